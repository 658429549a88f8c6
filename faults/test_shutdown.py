"""SIGTERM in the middle of many transfers: each of them ends well within the grace, nobody new is
let in, and a client that does not come to an end is not waited for forever."""

import contextlib
import hashlib
import http.client
import signal
import socket
import threading
import time

from faults.fault_test import FaultTest, by_tier
from interop.http_client import get_blob, post_blob
from interop.payload import Payload
from interop.server import STOP_LIMIT_S, Shacached, wait_until

TRANSFERS = 20
# Smaller than what the kernel takes off the server's hands would be over before the signal.
BLOB_BYTES = 8 << 20
LONG_BLOB_BYTES = 50 << 20
RECEIVE_BUFFER_BYTES = 1 << 16
GRACE_S = 1
# From the end of the grace to the end of the process.
EXIT_LIMIT_S = 5


class Shutdown(FaultTest):
    def test_transfers_end_well_within_the_grace(self):
        server = self.start(Shacached(self.folder / "data"))
        uploads, downloads = self.transfers(server, TRANSFERS, by_tier(BLOB_BYTES, LONG_BLOB_BYTES))
        self.assertFalse(is_refused(server.address))
        with InFlight([*uploads, *downloads]) as in_flight:
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(server.address), "new connections are refused")
            self.assertIsNone(server.process.poll())
            in_flight.go_on()
        self.assertEqual(server.process.wait(STOP_LIMIT_S), 0)

        self.assertEqual(broken([*uploads, *downloads]), [])
        self.counts["uploads"], self.counts["downloads"] = len(uploads), len(downloads)
        server.start()
        for upload in uploads:
            body = get_blob(server, upload.digest).body
            self.assertEqual(hashlib.sha512(body).hexdigest(), upload.digest)

    def test_all_transfers_break_once_the_grace_is_over(self):
        """The negative control: what waits for them is the grace, and one that is too short shows."""
        server = self.start(self.server_with_a_short_grace())
        uploads, downloads = self.transfers(server, TRANSFERS, BLOB_BYTES)
        with InFlight([*uploads, *downloads]) as in_flight:
            server.process.send_signal(signal.SIGTERM)
            self.assertNotEqual(server.process.wait(GRACE_S + EXIT_LIMIT_S), 0)
            in_flight.go_on()
        self.counts["broken"] = len(broken([*uploads, *downloads]))
        self.assertEqual(self.counts["broken"], 2 * TRANSFERS)

    def transfers(self, server, count, size):
        stored = Payload(size, seed=1)
        digest = post_blob(server, b"".join(stored.blocks())).body.decode()
        uploads = [Upload(server, Payload(size, seed=2 + number)) for number in range(count)]
        return uploads, [Download(server, digest) for _ in range(count)]

    def server_with_a_short_grace(self):
        config = self.folder / "server.toml"
        config.write_text(f"[limit]\nshutdown-grace-seconds = {GRACE_S}\n")
        return Shacached(self.folder / "data", arguments=["--config", config])

    def test_the_grace_has_an_end(self):
        server = self.start(self.server_with_a_short_grace())
        upload = Upload(server, Payload(BLOB_BYTES))
        with InFlight([upload]) as in_flight:
            signalled_at = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            code = server.process.wait(GRACE_S + EXIT_LIMIT_S)
            taken_s = time.monotonic() - signalled_at
            in_flight.go_on()
        self.assertNotEqual(code, 0)
        self.assertGreaterEqual(taken_s, GRACE_S)
        self.counts["ms to the end"] = int(1000 * taken_s)
        self.assertIsNone(upload.outcome)
        self.assertEqual(list((server.data / "tmp").iterdir()), [])
        server.start()
        self.assertEqual(get_blob(server, upload.digest).status, 404)


def broken(transfers):
    """Those that did not end as they have to."""
    return [transfer for transfer in transfers if transfer.outcome != transfer.right_outcome]


class Upload:
    """Sends half of a blob, waits, sends the rest."""

    def __init__(self, server, payload):
        self.connection = connect(server)
        self.payload = payload
        self.digest = payload.sha512()
        self.right_outcome = (201, self.digest)
        self.outcome = None

    def run(self, halfway, go_on):
        self.connection.putrequest("POST", "/shacache/")
        self.connection.putheader("Content-Length", str(self.payload.size))
        self.connection.endheaders()
        blocks = list(self.payload.blocks())
        for number, block in enumerate(blocks):
            if number == len(blocks) // 2:
                halfway.set()
                go_on.wait()
            self.connection.send(block)
        answer = self.connection.getresponse()
        self.outcome = (answer.status, answer.read().decode())


class Download:
    """Receives the head of an answer, waits, receives the rest."""

    def __init__(self, server, digest):
        self.connection = connect(server)
        self.digest = digest
        self.right_outcome = (200, digest)
        self.outcome = None

    def run(self, halfway, go_on):
        self.connection.request("GET", f"/shacache/{self.digest}")
        answer = self.connection.getresponse()
        halfway.set()
        go_on.wait()
        self.outcome = (answer.status, hashlib.sha512(answer.read()).hexdigest())


class InFlight:
    """A context manager: within it every transfer is halfway; they end when told to go on."""

    def __init__(self, transfers):
        self.may_go_on = threading.Event()
        self.halfway = [threading.Event() for _ in transfers]
        self.threads = [
            threading.Thread(target=self._run, args=(transfer, halfway), daemon=True)
            for transfer, halfway in zip(transfers, self.halfway, strict=True)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        for halfway in self.halfway:
            if not halfway.wait(STOP_LIMIT_S):
                raise AssertionError("a transfer did not begin")
        return self

    def __exit__(self, *_):
        self.go_on()
        for thread in self.threads:
            thread.join()

    def go_on(self):
        self.may_go_on.set()

    def _run(self, transfer, halfway):
        # A transfer that breaks has no outcome, which its test looks at.
        with contextlib.suppress(OSError, http.client.HTTPException):
            transfer.run(halfway, self.may_go_on)
        transfer.connection.close()


def connect(server):
    connection = http.client.HTTPConnection(*server.address, timeout=STOP_LIMIT_S)
    connection.sock = socket.socket()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    connection.sock.settimeout(STOP_LIMIT_S)
    connection.sock.connect(server.address)
    return connection


def is_refused(address):
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError as error:
        return isinstance(error, ConnectionRefusedError)
    return False
