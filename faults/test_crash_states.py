"""Every state that a power cut may leave on disk, by prefixes and reorderings of the system calls
of one load: everything acknowledged is there, and no other bytes lie under any final name.

Each image is laid out as a folder and read without the server; on some of them a real server is
started as well.
"""

import os
import random
import shutil

from faults import publishing
from faults.acknowledged import Acknowledged
from faults.archive import temporary_files, unfit
from faults.crash_images import Recording
from faults.fault_test import FaultTest, by_tier
from interop.http_client import get_entries
from interop.server import Shacached

UPLOADS = 100


class CrashStates(FaultTest):
    def test_all_hold_what_was_acknowledged(self):
        images, started = by_tier((1_000, 10), (10_000, 200))
        crashes = self.record()
        self.check_images(crashes, images, started)
        self.assertGreater(self.counts["acknowledged before"], 20 * images)

    def check_images(self, crashes, images, started):
        for number in range(images):
            problems = crashes.problems()
            self.assertEqual(problems, [], f"image {number}, cut at {crashes.cut}")
            self.counts["images"] += 1
            self.counts["files in them"] += crashes.file_count
            self.counts["acknowledged before"] += len(crashes.acknowledged())
            if number % (images // started) == 0:
                self.check_start(crashes)

    def record(self):
        data = self.folder / "data"
        with Shacached(data) as maker:
            maker.stop()
        skeleton = self.folder / "skeleton"
        # A start takes the mark of an orderly stop away, durably.
        shutil.copytree(data, skeleton, ignore=shutil.ignore_patterns("clean"))
        with Shacached(data) as server:
            with publishing.traced(server, self.folder / "strace") as trace:
                uploads = publishing.publish(server, UPLOADS)
            self.assertEqual(len(uploads), UPLOADS)
        return Crashes(trace.calls(), data, skeleton, uploads)

    def check_start(self, crashes):
        """A server finds all of it, and empties `tmp/`."""
        acknowledged = Acknowledged()
        for digest in crashes.served():
            acknowledged.add_blob(digest)
        left = temporary_files(crashes.data)
        with Shacached(crashes.data) as server:
            self.assertEqual(acknowledged.lost(server), [])
            for upload in crashes.acknowledged():
                if upload.method == "PUT":
                    key = upload.path.removeprefix("/shadir/")
                    self.assertEqual(get_entries(server, key).body, b"[" + upload.body + b"]")
            # The server may be writing some of its own already.
            self.assertEqual(left & temporary_files(server.data), set())
        self.counts["servers started"] += 1


class Crashes:
    """Lays out one possible state after the other in the folder that was traced."""

    def __init__(self, calls, data, skeleton, uploads):
        self.data = data
        self.skeleton = skeleton
        self.uploads = uploads
        self.answers = publishing.answers(calls)
        self.recording = Recording(calls, data)
        self.recording.give_contents(uploads)
        self.chance = random.Random(5)
        self.cut = 0
        self.file_count = 0

    def problems(self):
        """Makes the next state and looks at it."""
        self.cut = self.chance.randrange(self.recording.last + 2)
        self.lay_out(self.recording.image(self.cut, self.chance))
        return [*unfit(self.data), *self.missing()]

    def acknowledged(self):
        return [upload for upload in self.uploads if self.answers[upload.name].begin < self.cut]

    def served(self):
        """The digests of the blobs that anybody has to get."""
        return [
            upload.file.rpartition("/")[2]
            for upload in self.acknowledged() if upload.method == "POST"
        ]

    def lay_out(self, image):
        for changing in ("archive", "unclaimed", "tmp", "index"):
            shutil.rmtree(self.data / changing)
            shutil.copytree(self.skeleton / changing, self.data / changing)
        self.file_count = 0
        for path, content in image.items():
            if content is None:
                os.mkdir(path)
            else:
                with open(path, "wb") as file:
                    file.write(content)
                self.file_count += 1

    def missing(self):
        there = set()
        for folder, _, files in os.walk(self.data / "archive"):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    there.add((os.path.basename(folder), file.read()))
        for upload in self.acknowledged():
            if (upload.file.split("/")[-2], upload.body) not in there:
                yield f"{upload.name}: acknowledged, and not there"
