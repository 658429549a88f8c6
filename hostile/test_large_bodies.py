"""Bodies larger than anyone takes, announced or without end: the client gets to read why, and the
server reads no more than it must and keeps none of it."""

import base64
import hashlib

from hostile.hostile_test import HostileTest
from hostile.raw_client import RawClient
from interop.server import run_shacached, wait_until

MEBIBYTE = 1 << 20
# What a client is ready to send; it gets nowhere near.
ENDLESS_BYTES = 20 << 30
BLOB_LIMIT_BYTES = 64 * MEBIBYTE
DRAIN_BYTES = 16 * MEBIBYTE
# Between the two programs, in buffers of the kernel.
UNDER_WAY_BYTES = 16 * MEBIBYTE
PEAK_LIMIT_BYTES = 200 * MEBIBYTE
CONFIGURATION = f"""
[limit]
blob-bytes = {BLOB_LIMIT_BYTES}
drain-bytes = {DRAIN_BYTES}
"""
DIGEST = hashlib.sha512(b"other").hexdigest()
# Where a body can be sent, what is answered, and how much of it is read before that.
ROUTES = [
    ("POST", "/shacache/", 413, BLOB_LIMIT_BYTES),
    ("PUT", "/shacache/", 413, BLOB_LIMIT_BYTES),
    ("PUT", f"/shacache/{DIGEST}", 413, BLOB_LIMIT_BYTES),
    ("PUT", "/shadir/key", 413, 64 * 1024),
    ("POST", "/shadir/key", 413, 64 * 1024),
    ("PUT", "/shadir/", 400, 0),
    ("PUT", "/shacache/no-digest", 400, 0),
    ("GET", f"/shacache/{DIGEST}", 404, 0),
    ("GET", "/shadir/key", 404, 0),
    ("DELETE", "/shadir/key", 405, 0),
    ("POST", "/healthz", 405, 0),
    ("GET", "/metrics", 200, 0),
    ("POST", "/elsewhere", 404, 0),
]
EVIL = "Origin: https://evil.example\r\n"
# Passwords take a while to check where much else goes on.
PATIENCE_S = 20
# A server that waits for the body does so for ever.
NAIVE_PATIENCE_S = 3


class LargeBodies(HostileTest):
    patience_s = PATIENCE_S

    def naive(self):
        self.patience_s = NAIVE_PATIENCE_S
        return super().naive()

    def test_endless_bodies(self):
        server = self.configured(CONFIGURATION)
        for route in ROUTES:
            self.check_endless(server, *route)
        self.check_calm(server)

    def test_endless_bodies_naively_served(self):
        server = self.naive()
        with self.is_noticed("took too much|did not answer"):
            self.check_endless(server, "PUT", "/shadir/key", 413, 64 * 1024)

    def check_endless(self, server, method, path, status, limit_bytes, fields=""):
        """A chunked body without end on every route, sent by who does not listen until cut off."""
        with RawClient(server.address) as client:
            client.send(head(method, path, f"{fields}Transfer-Encoding: chunked\r\n"))
            most_bytes = limit_bytes + DRAIN_BYTES + UNDER_WAY_BYTES
            sent_bytes, _ = client.send_until_refused(chunks(most_bytes + MEBIBYTE))
            self.assertLessEqual(sent_bytes, most_bytes, f"{method} {path} took too much")
            self.check_read(client, status, f"{method} {path}")
            self.counts["MiB sent"] += sent_bytes // MEBIBYTE

    def test_announced_bodies(self):
        server = self.configured(CONFIGURATION)
        for method, path, status, limit_bytes in ROUTES:
            for announced in (limit_bytes + 1, 1 << 30, ENDLESS_BYTES, (1 << 63) - 1):
                if limit_bytes or status != 200:
                    self.check_announced(server, method, path, status, announced)
        self.check_calm(server)

    def test_announced_bodies_naively_served(self):
        with self.is_noticed("did not answer"):
            self.check_announced(self.naive(), "PUT", "/shadir/key", 413, 1 << 30)

    def check_announced(self, server, method, path, status, announced_bytes):
        """The answer comes before the body has to; a client that asks first sends none of it."""
        for expect in ("", "Expect: 100-continue\r\n"):
            self.check_refused_unread(
                server, method, path, status, f"{expect}Content-Length: {announced_bytes}\r\n"
            )

    def test_bodies_with_wrong_credentials(self):
        server = self.configured(f'{CONFIGURATION}[upload]\npolicy = "credentials"\n')
        # Where nobody has credentials, nobody is asked for them.
        run_shacached("token", "new", "builder", "--role", "upload", "--data", server.data)
        self.check_unknown(server)
        self.check_calm(server)

    def test_bodies_with_wrong_credentials_naively_served(self):
        with self.is_noticed("did not answer"):
            self.check_unknown(self.naive())

    def check_unknown(self, server):
        """Nobody, and somebody unknown; each under another name, since tries are counted."""
        framings = (f"Content-Length: {5 << 30}\r\n", "Transfer-Encoding: chunked\r\n")
        for number, (method, path, refused_status, _) in enumerate(ROUTES):
            wrong = base64.b64encode(b"nobody-%d:secret" % number).decode()
            for credentials in ("", f"Authorization: Basic {wrong}\r\n"):
                for framing in framings if refused_status == 413 else ():
                    for expect in ("", "Expect: 100-continue\r\n"):
                        fields = credentials + framing + expect
                        answer = self.check_refused_unread(server, method, path, 401, fields)
                        self.assertIn("www-authenticate", answer.headers)
                if refused_status == 413:
                    self.check_endless(server, method, path, 401, 0, credentials)

    def test_bodies_of_who_may_not_send_them(self):
        server = self.configured(CONFIGURATION)
        for method, path, refused_status, _ in ROUTES:
            if refused_status == 413:
                for fields in (f"{EVIL}Content-Length: {5 << 30}\r\n",
                               f"{EVIL}Transfer-Encoding: chunked\r\n"):
                    for expect in ("", "Expect: 100-continue\r\n"):
                        self.check_refused_unread(server, method, path, 403, fields + expect)
        self.check_calm(server)

    def check_refused_unread(self, server, method, path, status, fields):
        with RawClient(server.address, timeout_s=self.patience_s) as client:
            client.send(head(method, path, fields))
            answer = self.check_read(client, status, f"{method} {path}")
            self.assertEqual(answer.headers.get("connection"), "close")
            # Who sends all the same is drained, not read.
            sent_bytes, _ = client.send_until_refused(chunks(DRAIN_BYTES + UNDER_WAY_BYTES))
            self.assertLess(sent_bytes, DRAIN_BYTES + UNDER_WAY_BYTES, "all of it was read")
        return answer

    def test_a_gibibyte_of_json(self):
        server = self.configured()
        nested = b"[" * MEBIBYTE
        with RawClient(server.address) as client:
            client.send(head("PUT", "/shadir/key", f"Content-Length: {1 << 30}\r\n"))
            _, all_sent = client.send_until_refused(nested for _ in range(1024))
            self.assertFalse(all_sent)
            self.check_read(client, 413, "a gibibyte of JSON")
        self.check_calm(server)

    def check_read(self, client, status, what):
        """The client gets to read its answer, although it has sent what nobody read."""
        try:
            answer = client.answer()
        except (OSError, AssertionError) as error:
            raise AssertionError(f"{what}: did not answer: {error}") from error
        self.assertEqual(answer.status, status, what)
        self.assertTrue(answer.body.endswith(b"\n"), what)
        self.assertEqual(answer.headers.get("x-content-type-options"), "nosniff", what)
        self.counts[f"read {status}"] += 1
        return answer

    def check_calm(self, server):
        peak_bytes = server.peak_memory_bytes()
        self.counts["peak MiB"] = peak_bytes // MEBIBYTE
        self.assertLess(peak_bytes, PEAK_LIMIT_BYTES)
        wait_until(lambda: not any((server.data / "tmp").iterdir()), "no upload is left")
        kept = [file for file in (server.data / "archive").rglob("*") if file.is_file()]
        self.assertEqual([file.name for file in kept], ["VERSION"])
        events = [line for line in server.log if line.startswith("{")]
        self.assertTrue(all('"level":"INFO"' in line for line in events))


def head(method, path, fields):
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


def chunks(size):
    chunk = b"100000\r\n" + b"[" * MEBIBYTE + b"\r\n"
    for _ in range(size // MEBIBYTE):
        yield chunk
