"""Thousands of connections that stop at some stage cost little, end in time, and slow nobody down.

The time limits are scaled down by configuration; every connection comes from loopback, where there
is no limit per address.
"""

import os
import re
import selectors
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from hostile.hostile_test import HostileTest
from interop.http_client import post_blob, request
from interop.nginx import Authority
from interop.server import wait_until

CONNECTIONS = 2_000
LIMIT_S = 2
TOLERANCE_S = 2
GOOD_CLIENT_LIMIT_S = 1
BASE_MEMORY_BYTES = 64 << 20
MEMORY_OF_AN_ANSWER_BYTES = 64 << 10
BLOB_BYTES = 8 << 20
SCALED_DOWN = f"""
log.level = "warn"
[limit]
first-byte-seconds = {LIMIT_S}
header-seconds = {LIMIT_S}
idle-seconds = {LIMIT_S}
body-stall-seconds = {LIMIT_S}
response-stall-seconds = {LIMIT_S}
"""
PATIENT = SCALED_DOWN.replace(f"= {LIMIT_S}", "= 600")


class SlowClients(HostileTest):
    def test_silent_after_connecting(self):
        self.check(self.configured(SCALED_DOWN), b"")

    def test_silent_within_the_tls_handshake(self):
        shown = Authority(self.folder, "authority").issue("server")
        tls = f'[tls]\ncertificate = "{shown.certificate_file}"\nkey = "{shown.key_file}"\n'
        server = self.configured(
            f"{SCALED_DOWN}handshake-seconds = {LIMIT_S}\n{tls}",
            arguments=["--listen", "https://127.0.0.1:0"],
        )
        wait_until(lambda: secured_port(server), "it says where it speaks TLS")
        # The beginning of a greeting of 512 bytes.
        greeting = bytes.fromhex("160301020001000 1fc0303".replace(" ", ""))
        self.check(server, greeting, address=("127.0.0.1", int(secured_port(server)[1])))

    def test_silent_within_the_request_line(self):
        self.check(self.configured(SCALED_DOWN), b"GET /heal")

    def test_silent_within_the_head(self):
        self.check(self.configured(SCALED_DOWN), b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")

    def test_silent_after_a_request(self):
        self.check(self.configured(SCALED_DOWN), b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")

    def test_silent_within_a_body(self):
        upload = b"POST /shacache/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome"
        self.check(self.configured(SCALED_DOWN), upload)

    def test_not_reading_the_answer(self):
        server = self.configured(SCALED_DOWN)
        digest = post_blob(server, os.urandom(BLOB_BYTES)).body
        download = b"GET /shacache/%b HTTP/1.1\r\nHost: a\r\n\r\n" % digest
        self.check(server, download, reads=False)

    def test_a_byte_now_and_then(self):
        """Never silent for long, and too slow all the same."""
        server = self.configured(SCALED_DOWN + "body-window-seconds = 2\n")
        upload = b"POST /shacache/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        self.check(server, upload, number=200, trickle=b"x")
        self.check(server, b"GET /healthz HTTP/1.1\r\n", number=200, trickle=b"X: y\r\n")

    def test_silence_that_is_patiently_borne(self):
        with self.is_noticed("still open"):
            self.check(self.configured(PATIENT), b"GET /heal", number=20)

    def test_memory_that_is_not_bounded(self):
        """A server that holds whole answers in memory is seen to do it."""
        server = self.naive()
        digest = post_blob(server, os.urandom(BLOB_BYTES)).body
        download = b"GET /shacache/%b HTTP/1.1\r\nHost: a\r\n\r\n" % digest
        with self.is_noticed("of memory"):
            self.check(server, download, reads=False, number=40)

    def check(
        self, server, sent, *, number=CONNECTIONS, reads=True, trickle=b"", address=None
    ):
        # Those that have asked for nothing large cost nothing much; of others the whole counts.
        base_bytes = resident_bytes(server) if reads else 0
        allowed_bytes = BASE_MEMORY_BYTES + (0 if reads else number * MEMORY_OF_AN_ANSWER_BYTES)
        good = GoodClient(server)
        with ExitStack() as stack:
            # A small buffer, so that little of an answer counts as read.
            stalled = stack.enter_context(
                Stalled(server, address or server.address, number, None if reads else 4096)
            )
            stack.enter_context(good)
            stalled.send(sent)
            late, peak_bytes = stalled.wait(trickle, reads, lambda: resident_bytes(server))
        more_bytes = peak_bytes - base_bytes
        self.counts["connections"] += number
        self.counts["closed after ms"] = round(1000 * stalled.slowest_s)
        self.counts["memory MiB"] = more_bytes >> 20
        self.counts["good answers"] += good.answered
        self.counts["slowest good ms"] = round(1000 * good.slowest_s)
        self.assertLess(more_bytes, allowed_bytes, f"{more_bytes} bytes of memory")
        self.assertEqual(late, 0, f"{late} connections still open")
        self.assertEqual(good.failed, [])
        self.assertGreater(good.answered, 0)
        self.assertLess(good.slowest_s, GOOD_CLIENT_LIMIT_S, "a good client had to wait")


class Stalled:
    """Many connections to one server, in one thread."""

    def __init__(self, server, address, number, receive_buffer_bytes):
        self.server = server
        self.descriptors_before = descriptors(server)
        self.number = number
        self.were_seen_open = False
        self.selector = selectors.DefaultSelector()
        self.slowest_s = 0
        for _ in range(number):
            connection = socket.socket()
            if receive_buffer_bytes:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            connection.connect(address)
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, time.monotonic())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.open():
            connection.close()
        self.selector.close()

    def open(self):
        return [key.fileobj for key in self.selector.get_map().values()]

    def send(self, data):
        for connection in self.open():
            connection.send(data)
            self.selector.modify(connection, selectors.EVENT_READ, time.monotonic())

    def wait(self, trickle, reads, memory):
        """Until all are closed or should be. Gives how many are left, and the most memory seen. Who
        does not read does not see the end either, but the server has closed its own."""
        most_bytes, next_look = 0, 0
        deadline = time.monotonic() + LIMIT_S + TOLERANCE_S
        while self.selector.get_map() and time.monotonic() < deadline:
            if reads:
                for key, _ in self.selector.select(0.05):
                    self.look_at(key)
            else:
                time.sleep(0.05)
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + 0.1
                most_bytes = max(most_bytes, memory())
                for key in list(self.selector.get_map().values()) if trickle else []:
                    self.trickle(key, trickle)
                if not reads and self.server_has_closed_all():
                    for key in list(self.selector.get_map().values()):
                        self.close(key)
        return len(self.selector.get_map()), most_bytes

    def look_at(self, key):
        try:
            if key.fileobj.recv(1 << 16):
                return
        except BlockingIOError:
            return
        except ConnectionError:
            pass
        self.close(key)

    def trickle(self, key, data):
        try:
            key.fileobj.send(data)
        except OSError:
            self.close(key)

    def server_has_closed_all(self):
        """Whether the server has as few descriptors as before, some of a good client apart. It may
        be slow to accept: until it was seen with most of them open, it has not closed them."""
        opened = descriptors(self.server) - self.descriptors_before
        self.were_seen_open |= opened > self.number * 3 // 4
        return self.were_seen_open and opened < min(20, self.number // 4)

    def close(self, key):
        self.slowest_s = max(self.slowest_s, time.monotonic() - key.data)
        self.selector.unregister(key.fileobj)
        key.fileobj.close()


class GoodClient:
    """Asks again and again while a context lasts."""

    def __init__(self, server):
        self.server = server
        self.answered = 0
        self.failed = []
        self.slowest_s = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def run(self):
        while not self.over.wait(0.02):
            started = time.monotonic()
            try:
                answer = request(self.server, "GET", "/shadir/none", timeout_s=10)
                if answer.status != 404:
                    self.failed.append(answer)
            except OSError as error:
                self.failed.append(error)
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            self.answered += 1


def secured_port(server):
    return re.search(r"listening on https://127.0.0.1:(\d+)", "".join(server.log))


def resident_bytes(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))
