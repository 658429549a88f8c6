"""A disk that cannot write any more: fsync fails with EIO, as it does on a real one.

The file system believes to have room, while the memory that its image lies in is full: write-back
fails, and a second fsync of the same file would succeed without having written anything.
"""

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

from faults.acknowledged import Acknowledged, entry_body, metadata
from faults.archive import unfit
from faults.disk import Disk, run
from faults.fault_test import FaultTest
from faults.trace import Trace, open_paths
from interop.http_client import get_blob, post_blob, put_entry, request
from interop.server import Shacached, wait_until

REAL_BYTES = 24 << 20
CLAIMED_BYTES = 256 << 20
BLOB_BYTES = 1 << 20
XFS_BYTES = 512 << 20
# Long enough for a busy machine to notice the folder and to cut the power meanwhile.
SLOW_US = 2_000_000


class FailingDisk(FaultTest):
    def test_fsync_fails(self):
        thin = self.thin_folder()
        acknowledged = Acknowledged()
        with Disk.made(thin, "ext4", CLAIMED_BYTES) as mounted, Shacached(mounted / "data") as server:
            trace = Trace(server, self.folder / "strace", ["fsync", "fdatasync", "syncfs"])
            with trace:
                refused = self.fill(server, acknowledged)
            self.assertEqual(refused.status, 503)
            self.check_read_only(server, acknowledged)
            self.check_syncs(trace.calls())
        with self.on_a_good_disk(thin) as mounted:
            self.assertEqual(unfit(mounted / "data"), [])
            with Shacached(mounted / "data") as server:
                self.assertEqual(acknowledged.lost(server), [])
                self.assertEqual(post_blob(server, b"well again").status, 201)
        self.counts["acknowledged"] = acknowledged.count()
        self.assertGreater(acknowledged.count(), 10)

    def test_a_file_system_that_gave_up(self):
        """Once XFS has shut down, the fsync of a folder succeeds without having done anything."""
        disk = Disk.made(self.folder, "xfs", XFS_BYTES)
        with disk as mounted, Shacached(mounted / "data") as server:
            # The first one makes the key's folder known to be on disk, with all above it.
            self.assertEqual(put_entry(server, "key", an_entry(1)).status, 201)
            folder = next((mounted / "data/archive/entries").glob("*/key"))
            # The disk goes while the folder is open already and not synced yet.
            slow = f"fsync:delay_enter={SLOW_US}"
            trace = Trace(server, self.folder / "strace", ["fsync"], inject=slow, only=folder)
            with trace, ThreadPoolExecutor(1) as client:
                upload = client.submit(put_entry, server, "key", an_entry(2))
                wait_until(lambda: str(folder) in open_paths(server), "the folder's sync")
                disk.cut_power()
                self.assertEqual(upload.result().status, 503)
            results = [call.result for call in trace.calls()]
            # A kernel that reports it makes this test show nothing.
            self.assertEqual(results, [0])
            self.assertEqual(request(server, "GET", "/readyz").status, 503)
            self.counts["refused"] += 1

    def thin_folder(self):
        thin = self.folder / "thin"
        thin.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={REAL_BYTES}", "tmpfs", thin)
        self.addCleanup(run, "umount", thin)
        return thin

    def fill(self, server, acknowledged):
        """Uploads until one is refused."""
        for number in range(CLAIMED_BYTES // BLOB_BYTES):
            data = os.urandom(BLOB_BYTES)
            answer = post_blob(server, data)
            if answer.status != 201:
                self.refused = hashlib.sha512(data).hexdigest()
                return answer
            acknowledged.add_blob(answer.body.decode())
            text = metadata(answer.body.decode(), number=number)
            answer = put_entry(server, f"key-{number}", entry_body(text))
            if answer.status != 201:
                self.refused = None
                return answer
            acknowledged.add_entry(f"key-{number}", text)
        self.fail("the disk never failed")

    def check_read_only(self, server, acknowledged):
        self.assertEqual(request(server, "GET", "/readyz").status, 503)
        self.assertEqual(request(server, "GET", "/healthz").status, 200)
        for number in range(5):
            self.assertEqual(post_blob(server, b"later %d" % number).status, 503)
            self.assertEqual(put_entry(server, "late", an_entry(number)).status, 503)
            self.counts["refused afterwards"] += 2
        if self.refused:
            self.assertEqual(get_blob(server, self.refused).status, 404)
        self.assertEqual(acknowledged.lost(server), [])
        self.counts["read afterwards"] = acknowledged.count()

    def check_syncs(self, calls):
        """The file whose sync failed is never synced again."""
        failed = [call for call in calls if call.result is not None and call.result < 0]
        self.assertGreaterEqual(len(failed), 1)
        for call in failed:
            self.counts["failed syncs"] += 1
            again = [
                later for later in calls
                if later.begin > call.begin and later.descriptor_path == call.descriptor_path
            ]
            self.assertEqual(again, [])

    def on_a_good_disk(self, thin):
        """What is in the image is all that reached the disk."""
        good = self.folder / "good"
        good.mkdir()
        shutil.copyfile(thin / "image", good / "image")
        return Disk(good)


def an_entry(number):
    return entry_body(metadata(hashlib.sha512(b"elsewhere").hexdigest(), number=number))
