"""One flipped byte in a stored blob is never served as part of a complete answer; the blob moves to
quarantine, and uploading it again heals it."""

import hashlib
import random
import shutil
from http.client import IncompleteRead, RemoteDisconnected

from faults.fault_test import FaultTest, by_tier
from interop.http_client import get_blob, post_blob, request
from interop.server import Shacached, wait_until

SIZES_BYTES = [1, 100, 65_535, 65_536, 65_537, 200_000, 1_000_000]


class BitFlips(FaultTest):
    def setUp(self):
        super().setUp()
        self.server = self.start(Shacached(self.folder / "data"))
        self.chance = random.Random(10)
        self.blobs = {}
        for number in range(by_tier(20, 100)):
            size = SIZES_BYTES[number % len(SIZES_BYTES)] + number // len(SIZES_BYTES)
            data = self.chance.randbytes(size)
            answer = post_blob(self.server, data)
            self.assertEqual(answer.status, 201)
            self.blobs[answer.body.decode()] = data

    def test_with_checksums_known(self):
        # The other digests are computed from the file: none is to find the damage before we ask.
        for data in self.blobs.values():
            other = hashlib.md5(data).hexdigest()
            wait_until(lambda o=other: get_blob(self.server, o).status == 200, "md5 known")
        self.check(self.flip_all(), each_piece_is_checked=True)
        # A check in the background may have been there before us, but not at most of them.
        self.assertLess(self.counts["status 404"], len(self.blobs) // 2)

    def test_with_the_index_lost(self):
        """Then nothing but the name of a blob tells what its bytes were, and the last piece is held
        back until the whole is known."""
        self.server.stop()
        flipped = self.flip_all()
        shutil.rmtree(self.server.data / "index")
        self.server.start()
        self.check(flipped, each_piece_is_checked=False)

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
        return self.server.data / "archive/blobs" / digest[:2] / digest[2:4] / digest

    def check(self, flipped, *, each_piece_is_checked):
        for number, (digest, offset) in enumerate(flipped.items()):
            with self.subTest(f"{len(self.blobs[digest])} bytes, flipped at {offset}"):
                outcome, partial = self.ask(digest, offset, only_a_range=number % 2 == 0)
                self.counts[outcome] += 1
                if each_piece_is_checked:
                    self.assertTrue(self.blobs[digest][:offset].startswith(partial))
                wait_until(lambda d=digest: not self.file(d).exists(), "it is taken away")
                [kept] = (self.server.data / "quarantine").rglob(f"*{digest}")
                self.assertEqual(kept.stat().st_size, len(self.blobs[digest]))
                self.assertEqual(get_blob(self.server, digest).status, 404)

                self.assertEqual(post_blob(self.server, self.blobs[digest]).status, 201)
                self.assertEqual(get_blob(self.server, digest).body, self.blobs[digest])
                self.counts["healed"] += 1
        self.assertEqual(self.counts["healed"], len(self.blobs))
        self.assertNotRegex("".join(self.server.log), "panicked")

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
        # 404: a walk over the archive had found the damage first.
        self.assertIn(answer.status, (404, 500, 503))
        return f"status {answer.status}", b""
