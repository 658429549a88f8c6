"""The server's memory does not grow with the size of a file."""

import hashlib
import http.client
import time

from interop.folder_test import FolderTest
from interop.payload import Payload, sha512_of_stream
from interop.server import Shacached

SIZE_BYTES = 4 << 30
LIMIT_BYTES = 100 << 20


class Memory(FolderTest):
    def test_four_gibibytes_up_and_down(self):
        server = self.start(Shacached(self.folder / "data"))
        payload = Payload(SIZE_BYTES)

        started = time.monotonic()
        digest = self.send(server, payload)
        sent = time.monotonic()
        self.assertEqual(self.receive(server, digest), (digest, SIZE_BYTES))
        received = time.monotonic()

        peak_bytes = server.peak_memory_bytes()
        print(
            f"       up {SIZE_BYTES / (sent - started) / 1e6:.0f} MB/s,"
            f" down {SIZE_BYTES / (received - sent) / 1e6:.0f} MB/s,"
            f" server's peak {peak_bytes / 1e6:.0f} MB"
        )
        self.assertLess(peak_bytes, LIMIT_BYTES)

    def send(self, server, payload):
        """Uploads with the digest computed on the way, which the answer has to equal."""
        digest = hashlib.sha512()

        def hashed_blocks():
            for block in payload.blocks():
                digest.update(block)
                yield block

        connection = http.client.HTTPConnection(*server.address, timeout=300)
        try:
            connection.request(
                "POST", "/shacache/", hashed_blocks(),
                {"Content-Length": str(payload.size), "Content-Type": "application/octet-stream"},
            )
            response = connection.getresponse()
            self.assertEqual(
                (response.status, response.read().decode()), (201, digest.hexdigest())
            )
            return digest.hexdigest()
        finally:
            connection.close()

    def receive(self, server, digest):
        connection = http.client.HTTPConnection(*server.address, timeout=300)
        try:
            connection.request("GET", f"/shacache/{digest}")
            return sha512_of_stream(connection.getresponse())
        finally:
            connection.close()
