"""One flipped byte in a stored blob is never served as part of a complete answer; the blob moves to
quarantine, and uploading it again heals it."""

import hashlib
import json
import random
import re
import shutil
import subprocess
from http.client import IncompleteRead, RemoteDisconnected

from faults.archive import blob_file
from faults.fault_test import FaultTest, by_tier
from interop.http_client import get_blob, post_blob, request
from interop.server import Shacached, wait_until

SIZES_BYTES = [1, 100, 65_535, 65_536, 65_537, 200_000, 1_000_000]
# So long a walk over the archive takes to list one folder.
SLOW_LISTING_US = 500_000
# The exit code of a check that found something.
DAMAGED = 4
SERVED = "served as complete"


class BitFlips(FaultTest):
    def setUp(self):
        super().setUp()
        # None is to find the damage before we ask, and all is to be read from the disk.
        self.arguments = self.without_background_check("[cache]\nhot-bytes = 0\n")
        self.server = self.start(Shacached(self.folder / "data", arguments=self.arguments))
        self.chance = random.Random(10)
        self.blobs = {}
        for number in range(by_tier(20, 100)):
            size = SIZES_BYTES[number % len(SIZES_BYTES)] + number // len(SIZES_BYTES)
            data = self.chance.randbytes(size)
            answer = post_blob(self.server, data)
            self.assertEqual(answer.status, 201)
            self.blobs[answer.body.decode()] = data

    def test_with_checksums_known(self):
        self.wait_for_other_digests()
        self.check(self.flip_all(), each_piece_is_checked=True)
        self.assertEqual(self.counts["status 404"], 0)

    def test_with_the_index_lost(self):
        """Then nothing but the name of a blob tells what its bytes were, and the last piece is held
        back until the whole is known."""
        self.server.stop()
        flipped = self.flip_all()
        shutil.rmtree(self.server.data / "index")
        # The walk that makes the index anew would find all damage at once.
        self.server = self.start(Shacached(self.server.data, arguments=self.arguments, prefix=[
            "strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=getdents64",
            "-e", f"inject=getdents64:delay_enter={SLOW_LISTING_US}",
        ]))
        self.check(flipped, each_piece_is_checked=False)
        # It is slow, but comes to some of many.
        self.assertLess(self.counts["status 404"], len(self.blobs) // 4)

    def test_what_is_at_hand_is_right_whatever_the_disk_says(self):
        self.server.stop()
        self.server = self.start(Shacached(
            self.server.data, arguments=self.without_background_check()
        ))
        digest, data = next(iter(self.blobs.items()))
        self.assertEqual(get_blob(self.server, digest).body, data)
        self.flip(digest, len(data))
        # Until the archive is looked at again.
        wait_until(lambda: self.is_refused(digest, data), "the damage to be found")
        self.assertGreater(self.counts["served from memory"], 0)
        self.check_quarantined(digest)
        self.check_healing(digest)

    def is_refused(self, digest, data):
        answer = get_blob(self.server, digest)
        if answer.status != 200:
            return True
        self.assertEqual(answer.body, data)
        self.counts["served from memory"] += 1
        return False

    def test_a_check_finds_all(self):
        self.wait_for_other_digests()
        flipped = self.flip_all()
        report, code = self.verify()
        damaged = [found for found in report["findings"] if found["code"] == "blob-damaged"]
        found = "".join(finding["path"] for finding in damaged)
        self.counts["found by a check"] = sum(digest in found for digest in flipped)
        self.assertEqual([digest for digest in flipped if digest not in found], [], "not found")
        self.assertEqual((report["damage"], code), (len(flipped), DAMAGED))
        metrics = request(self.server, "GET", "/metrics").body.decode()
        [counted] = re.findall(r"^\w*damaged_blobs_total (\d+)$", metrics, re.MULTILINE)
        self.assertEqual(int(counted), len(flipped))
        for digest in flipped:
            self.check_quarantined(digest)
            self.check_healing(digest)
        self.assertEqual(self.verify()[1], 0)

    def verify(self):
        done = subprocess.run(
            [self.server.program, "verify", "--json", "--data", self.server.data],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        self.assertIn(done.returncode, (0, DAMAGED), done.stderr)
        return json.loads(done.stdout), done.returncode

    def wait_for_other_digests(self):
        """They are computed from the files."""
        for data in self.blobs.values():
            other = hashlib.md5(data).hexdigest()
            wait_until(lambda o=other: get_blob(self.server, o).status == 200, "md5 known")

    def flip_all(self):
        """Damages every blob; gives digest → where."""
        return {digest: self.flip(digest, len(data)) for digest, data in self.blobs.items()}

    def flip(self, digest, size):
        offset = self.chance.randrange(size)
        with open(self.file(digest), "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ (1 << self.chance.randrange(8))]))
        self.counts["flips"] += 1
        return offset

    def file(self, digest):
        return blob_file(self.server.data, digest)

    def check(self, flipped, *, each_piece_is_checked):
        for number, (digest, offset) in enumerate(flipped.items()):
            with self.subTest(f"{len(self.blobs[digest])} bytes, flipped at {offset}"):
                outcome, partial = self.ask(digest, offset, only_a_range=number % 2 == 0)
                self.counts[outcome] += 1
                self.assertNotEqual(outcome, SERVED)
                if each_piece_is_checked:
                    self.assertTrue(self.blobs[digest][:offset].startswith(partial))
                self.check_quarantined(digest)
                self.check_healing(digest)
        self.assertEqual(self.counts["healed"], len(self.blobs))
        self.assertNotRegex("".join(self.server.log), "panicked")

    def check_quarantined(self, digest):
        wait_until(lambda: not self.file(digest).exists(), "it is taken away")
        [kept] = (self.server.data / "quarantine").rglob(f"*{digest}")
        self.assertEqual(kept.stat().st_size, len(self.blobs[digest]))
        self.assertEqual(get_blob(self.server, digest).status, 404)

    def check_healing(self, digest):
        self.assertEqual(post_blob(self.server, self.blobs[digest]).status, 201)
        self.assertEqual(get_blob(self.server, digest).body, self.blobs[digest])
        self.counts["healed"] += 1

    def ask(self, digest, offset, *, only_a_range):
        """How the answer fails, and what had come of it by then."""
        headers = {}
        if only_a_range:
            last = min(offset + 1000, len(self.blobs[digest]) - 1)
            headers["Range"] = f"bytes={offset}-{last}"
        try:
            answer = request(self.server, "GET", f"/shacache/{digest}", headers=headers)
        except IncompleteRead as error:
            return "cut short", error.partial
        except RemoteDisconnected:
            return "no answer", b""
        if answer.status in (200, 206):
            return SERVED, answer.body
        # 404: a walk over the archive had found the damage first.
        self.assertIn(answer.status, (404, 500, 503))
        return f"status {answer.status}", b""
