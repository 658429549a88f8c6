"""What a check of the whole archive costs: hardly more than hashing it, and next to nothing for
clients when it is throttled. A check that is cut off goes on where it was."""

import hashlib
import http.client
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from faults.archive import blob_file, blob_files
from faults.fault_test import FaultTest, by_tier
from interop import tier
from interop.http_client import post_blob
from interop.payload import BLOCK_BYTES, Payload
from interop.server import CHECKOUT, PROGRAM, Shacached, run_shacached, wait_until

BLOB_BYTES = 4 << 20
BLOBS, BLOBS_LONG = 64, 2_560
PARTS = 256
# Of the speed at which one processor hashes the same files, in time of the processor: a check lets
# everybody else go first. A short one is mostly the start of a process.
LEAST_SPEED, LEAST_SPEED_LONG = 0.4, 0.8
RATE_BYTES = 32 << 20
# Of the time that 99 of 100 requests take on an idle server, in the same run.
MOST_DELAY, MOST_DELAY_LONG = 5, 2
ROUNDS = 6
REQUESTS = 500


class Scrub(FaultTest):
    """All tests check the same archive, and none changes it."""

    @classmethod
    def setUpClass(cls):
        # Ten gibibytes are too much for memory, and what a check costs is a matter of real disks.
        disk = CHECKOUT / "target" if tier.LONG else None
        held = tempfile.TemporaryDirectory(prefix="shacache-faults-", dir=disk)
        cls.data = Path(cls.enterClassContext(held)) / "data"
        with Shacached(cls.data) as server:
            cls.small = post_blob(server, b"x" * 1024).body.decode()
            server.stop()
        cls.blobs = by_tier(BLOBS, BLOBS_LONG)
        for seed in range(cls.blobs):
            payload = Payload(BLOB_BYTES, seed=seed)
            file = blob_file(cls.data, payload.sha512())
            file.parent.mkdir(parents=True, exist_ok=True)
            payload.write_to(file)
        cls.bytes = cls.blobs * BLOB_BYTES + 1024
        # Computes all that a server would be busy with otherwise.
        run_shacached("reindex", "--data", cls.data)

    def setUp(self):
        super().setUp()
        self.server = Shacached(self.data, arguments=self.without_background_check())

    def test_a_check_costs_little_more_than_hashing(self):
        ratios = []
        for _ in range(3):
            bare_s = processor_time(self.hash_all)
            verified_s = processor_time(lambda: run_shacached("verify", "--data", self.data))
            ratios.append(bare_s / verified_s)
        self.counts["bytes"] = self.bytes
        self.counts["percent of hashing speed"] = int(100 * max(ratios))
        self.assertGreaterEqual(max(ratios), by_tier(LEAST_SPEED, LEAST_SPEED_LONG), ratios)

    def test_a_throttled_check_does_not_slow_clients(self):
        self.start(self.server)
        idle, busy = [], []
        for _ in range(ROUNDS):
            # A server goes on to the end of the part at hand when the command that asked is gone;
            # another check waits for that.
            run_shacached(
                "verify", "--dry-run", "--subset", "1/256", "--data", self.data
            )
            idle += self.request_times()
            command = ["verify", "--data", self.data, "--rate", str(RATE_BYTES)]
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

    def test_a_rate_is_kept(self):
        self.start(self.server)
        begun = time.monotonic()
        subset = by_tier("1/4", "1/64")
        share = self.verify("--dry-run", "--subset", subset, "--rate", str(RATE_BYTES))
        took_s = time.monotonic() - begun
        due_s = share["bytes"] / RATE_BYTES
        self.counts["ms"], self.counts["ms at least"] = int(1000 * took_s), int(1000 * due_s)
        self.assertGreater(due_s, 0.5, "a share that tells")
        self.assertGreaterEqual(took_s, due_s, "read faster than it was told to")

    def test_a_check_that_was_cut_off_goes_on(self):
        whole = self.verify()
        self.assertEqual((whole["blobs"], whole["bytes"]), (self.blobs + 1, self.bytes))
        self.assertEqual(whole["units"], PARTS)
        command = ["verify", "--data", self.data, "--rate", str(self.bytes // 8)]
        check = subprocess.Popen([PROGRAM, *command], stdout=subprocess.DEVNULL)
        progress = self.data / "state/verify.json"
        before = progress.read_text()
        wait_until(lambda: progress.read_text() != before, "some progress", limit_s=60)
        check.kill()
        check.wait()
        rest = self.verify("--resume")
        self.counts[f"parts left of {PARTS}"] = rest["units"]
        self.assertLess(rest["units"], PARTS)
        self.assertGreater(rest["units"], 0)

    def test_the_shares_are_all_there_is(self):
        reports = [self.verify("--subset", f"{number}/4") for number in range(1, 5)]
        self.counts["blobs"] = sum(report["blobs"] for report in reports)
        self.assertEqual(self.counts["blobs"], self.blobs + 1)
        self.assertEqual(sum(report["bytes"] for report in reports), self.bytes)
        self.assertEqual(sum(report["units"] for report in reports), PARTS)

    def verify(self, *options):
        return json.loads(run_shacached("verify", "--json", *options, "--data", self.data))

    def hash_all(self):
        for path in blob_files(self.data):
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


def processor_time(work):
    """Seconds that it takes, in this process and those that it waits for."""
    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def p99(times):
    return sorted(times)[len(times) * 99 // 100]
