"""No inodes, no file descriptors: refused with 507 or 503, nothing left behind, and all well again
as soon as there are some. (A full disk: `interop/test_disk_full.py`.)"""

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from faults.acknowledged import Acknowledged, entry_body, metadata
from faults.disk import Disk
from faults.fault_test import FaultTest
from interop.http_client import post_blob, put_entry, request
from interop.server import Shacached, wait_until

RECOVERY_LIMIT_S = 2
DISK_BYTES = 64 << 20
INODES = 600
BALLAST_FILES = 60
DESCRIPTORS = 128
CONNECTIONS = 500
CPU_WINDOW_S = 1
CPU_LIMIT = 0.2
SPINNING_DESCRIPTORS = 32
SPIN = """
import select, socket
listener = socket.create_server(("127.0.0.1", 0), backlog=256)
print(listener.getsockname()[1], flush=True)
held = []
while select.select([listener], [], []):
    try:
        held.append(listener.accept())
    except OSError:
        pass
"""


class Exhaustion(FaultTest):
    def test_inodes(self):
        disk = Disk.made(self.folder, "ext4", DISK_BYTES, options=["-N", str(INODES)])
        with disk as mounted, Shacached(mounted / "data") as server:
            ballast = [mounted / f"ballast-{number}" for number in range(BALLAST_FILES)]
            for file in ballast:
                file.touch()
            acknowledged, refused = self.fill(server)
            self.assertEqual(refused.status, 507)
            # Too few for a file in a folder of its own.
            self.assertLess(os.statvfs(mounted).f_favail, 3)
            text = metadata(hashlib.sha512(b"elsewhere").hexdigest())
            self.assertEqual(put_entry(server, "full", entry_body(text)).status, 507)
            self.check_calm(server, acknowledged)

            for file in ballast:
                file.unlink()
            self.check_recovery(server)
            self.assertEqual(put_entry(server, "full", entry_body(text)).status, 201)

    def fill(self, server):
        acknowledged = Acknowledged()
        for number in range(INODES):
            answer = post_blob(server, b"blob %d" % number)
            if answer.status != 201:
                return acknowledged, answer
            acknowledged.add_blob(answer.body.decode())
        self.fail("there was an inode for everything")

    def test_descriptors_of_idle_connections(self):
        server = self.start(self.limited_server())
        acknowledged = Acknowledged()
        acknowledged.add_blob(post_blob(server, b"before").body.decode())
        early = http.client.HTTPConnection(*server.address, timeout=30)
        early.request("GET", "/readyz")
        self.assertEqual(early.getresponse().read(), b"ready\n")
        with ExitStack() as held:
            for _ in range(CONNECTIONS):
                held.enter_context(socket.create_connection(server.address))
            self.counts["connections"] = CONNECTIONS
            wait_until(lambda: descriptors(server) >= DESCRIPTORS - 1, "no descriptor is left")
            early.request("POST", "/shacache/", b"none left")
            answer = early.getresponse()
            answer.read()
            self.assertEqual(answer.status, 503)
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            share = cpu_share(server, CPU_WINDOW_S)
            self.counts["CPU per mille meanwhile"] = int(1000 * share)
            self.assertLess(share, CPU_LIMIT)
        early.close()
        self.check_recovery(server)
        self.check_calm(server, acknowledged)

    def test_a_server_that_tries_again_at_once_is_noticed(self):
        """What the share of a processor is measured for: a listener stays ready while no descriptor
        is left."""
        spinning = Spinning()
        self.addCleanup(spinning.end)
        for _ in range(2 * SPINNING_DESCRIPTORS):
            connection = socket.create_connection(spinning.address)
            self.addCleanup(connection.close)
        # Others may want the processors, too.
        wait_until(lambda: cpu_share(spinning, CPU_WINDOW_S) > CPU_LIMIT, "it is seen to spin")
        self.counts["failed as it must"] += 1

    def test_descriptors_of_many_uploads(self):
        server = self.start(self.limited_server())
        acknowledged = Acknowledged()

        def upload(number):
            # Large enough to need a file while the others hold theirs.
            try:
                answer = post_blob(server, number.to_bytes(4, "big") * 20_000)
            except OSError as error:
                return repr(error)
            if answer.status == 201:
                acknowledged.add_blob(answer.body.decode())
            return answer.status

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            statuses = list(pool.map(upload, range(CONNECTIONS)))
        self.counts["refused"] = statuses.count(503)
        # Whoever waits in vain does so for something in here.
        state = f"{descriptors(server)} descriptors; " + "".join(server.log[-20:])
        self.assertLessEqual(set(statuses), {201, 503}, state)
        self.check_recovery(server)
        self.check_calm(server, acknowledged)

    def limited_server(self):
        return Shacached(
            self.folder / "data", prefix=["prlimit", f"--nofile={DESCRIPTORS}", "--"]
        )

    def check_recovery(self, server):
        started_at = time.monotonic()
        wait_until(
            lambda: post_blob(server, b"room again").status == 201, "uploads are taken again",
            limit_s=RECOVERY_LIMIT_S,
        )
        self.counts["recovered after ms"] = int(1000 * (time.monotonic() - started_at))

    def check_calm(self, server, acknowledged):
        """Nothing is left over or lost, and the store takes writes."""
        self.counts["acknowledged"] = acknowledged.count()
        self.assertGreater(acknowledged.count(), 0)
        wait_until(lambda: not any((server.data / "tmp").iterdir()), "temporary files are gone")
        self.assertEqual(acknowledged.lost(server), [])
        self.assertEqual(request(server, "GET", "/readyz").status, 200)
        self.assertNotRegex("".join(server.log), "panicked")


class Spinning:
    """A server that accepts again whenever that failed."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["prlimit", f"--nofile={SPINNING_DESCRIPTORS}", "--", sys.executable, "-c", SPIN],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        self.address = ("127.0.0.1", int(self.process.stdout.readline()))

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def cpu_share(server, window_s):
    """How much of one processor it uses while nobody asks it for anything."""
    before = cpu_seconds(server)
    time.sleep(window_s)
    return (cpu_seconds(server) - before) / window_s


def cpu_seconds(server):
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
