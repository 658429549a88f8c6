"""What a check of the whole archive costs: hardly more than hashing it, and next to nothing for
clients when it is throttled. A check that is cut off goes on where it was."""

import hashlib
import http.client
import json
import subprocess
import time

from faults.fault_test import FaultTest, by_tier
from interop.http_client import post_blob
from interop.payload import BLOCK_BYTES, Payload
from interop.server import PROGRAM, Shacached, run_shacached

BLOBS = 8
# Of the speed at which one processor hashes the same files. A short check is mostly the start of a
# process, and other work on the machine takes more from one that lets everybody go first.
LEAST_SPEED, LEAST_SPEED_LONG = 0.4, 0.8
RATE_BYTES = 32 << 20
# Of the time that 99 of 100 requests take on an idle server, in the same run.
MOST_DELAY, MOST_DELAY_LONG = 5, 2
ROUNDS = 6
REQUESTS = 500


class Scrub(FaultTest):
    def setUp(self):
        super().setUp()
        arguments = self.without_background_check()
        self.server = self.start(Shacached(self.folder / "data", arguments=arguments))
        size = by_tier(32 << 20, 1280 << 20)
        self.small = post_blob(self.server, b"x" * 1024).body.decode()
        for seed in range(BLOBS):
            with_length = Payload(size, seed=seed)
            connection = http.client.HTTPConnection(*self.server.address)
            connection.request(
                "POST", "/shacache/", with_length.blocks(), {"Content-Length": str(size)}
            )
            self.assertEqual(connection.getresponse().status, 201)
            connection.close()
        self.bytes = BLOBS * size + 1024

    def test_a_check_costs_little_more_than_hashing(self):
        self.server.stop()
        ratios = []
        for _ in range(3):
            bare_s = timed(self.hash_all)
            verified_s = timed(lambda: run_shacached("verify", "--data", self.server.data))
            ratios.append(bare_s / verified_s)
        self.counts["bytes"] = self.bytes
        self.counts["percent of hashing speed"] = int(100 * max(ratios))
        self.assertGreaterEqual(max(ratios), by_tier(LEAST_SPEED, LEAST_SPEED_LONG), ratios)

    def test_a_throttled_check_does_not_slow_clients(self):
        idle, busy = [], []
        for _ in range(ROUNDS):
            # A server goes on to the end of the part at hand when the command that asked is gone;
            # another check waits for that.
            run_shacached(
                "verify", "--dry-run", "--subset", "1/256", "--data", self.server.data
            )
            idle += self.request_times()
            command = ["verify", "--data", self.server.data, "--rate", str(RATE_BYTES)]
            check = subprocess.Popen([PROGRAM, *command], stdout=subprocess.DEVNULL)
            try:
                busy += self.request_times()
                self.assertIsNone(check.poll(), "the check went on all the time")
            finally:
                check.kill()
                check.wait()
        ratio = p99(busy) / p99(idle)
        self.counts["requests"] = len(idle) + len(busy)
        self.counts["percent of the idle p99"] = int(100 * ratio)
        self.assertLess(ratio, by_tier(MOST_DELAY, MOST_DELAY_LONG))

    def test_a_check_that_was_cut_off_goes_on(self):
        self.server.stop()
        whole = json.loads(run_shacached("verify", "--json", "--data", self.server.data))
        self.assertEqual((whole["blobs"], whole["bytes"]), (BLOBS + 1, self.bytes))
        command = ["verify", "--data", self.server.data, "--rate", str(self.bytes // 8)]
        check = subprocess.Popen([PROGRAM, *command], stdout=subprocess.DEVNULL)
        progress = self.server.data / "state/verify.json"
        before = progress.read_text()
        deadline = time.monotonic() + 60
        while progress.read_text() == before:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        check.kill()
        check.wait()
        rest = json.loads(run_shacached("verify", "--json", "--resume", "--data", self.server.data))
        self.counts["parts left of 256"] = rest["units"]
        self.assertLess(rest["units"], 256)
        self.assertGreater(rest["units"], 0)

    def hash_all(self):
        for path in (self.server.data / "archive/blobs").glob("*/*/*"):
            digest = hashlib.sha512()
            with open(path, "rb") as file:
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
            self.assertEqual(digest.hexdigest(), path.name)

    def request_times(self):
        times = []
        connection = http.client.HTTPConnection(*self.server.address)
        for _ in range(REQUESTS):
            started = time.perf_counter()
            connection.request("GET", "/shacache/" + self.small)
            self.assertEqual(len(connection.getresponse().read()), 1024)
            times.append(time.perf_counter() - started)
        connection.close()
        return times


def timed(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def p99(times):
    return sorted(times)[len(times) * 99 // 100]
