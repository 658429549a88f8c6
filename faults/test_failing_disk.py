"""A disk that cannot write any more: fsync fails with EIO, as it does on a real one.

The file system believes to have room, while the memory that its image lies in is full: write-back
fails, and a second fsync of the same file would succeed without having written anything.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from faults.acknowledged import Acknowledged, entry_body, metadata
from faults.archive import unfit
from faults.disk import Disk, run
from faults.fault_test import FaultTest
from faults.trace import Trace, open_paths
from interop.http_client import get_blob, get_entries, post_blob, put_entry, request
from interop.server import Shacached, wait_until

REAL_BYTES = 24 << 20
CLAIMED_BYTES = 256 << 20
BLOB_BYTES = 1 << 20
# Takes the kernel several writes: as a rule the last of them find the memory full, and fsync says so.
LARGE_BLOB_BYTES = 4 << 20
XFS_BYTES = 512 << 20
# Long enough for a busy machine to notice the folder and to cut the power meanwhile.
SLOW_US = 2_000_000
# Several groups' worth.
CLIENTS = 24
LONE_US = 200_000


class FailingDisk(FaultTest):
    def test_fsync_fails(self):
        self.check_failing_disk(BLOB_BYTES)

    def test_fsync_of_large_blobs_fails(self):
        self.check_failing_disk(LARGE_BLOB_BYTES)

    def check_failing_disk(self, blob_bytes):
        thin = self.thin_folder()
        acknowledged = Acknowledged()
        with Disk.made(thin, "ext4", CLAIMED_BYTES) as mounted, Shacached(mounted / "data") as server:
            trace = Trace(server, self.folder / "strace", ["fsync", "fdatasync", "syncfs"])
            with trace:
                self.fill(server, acknowledged, blob_bytes)
            self.check_read_only(server, acknowledged)
            self.check_syncs(trace.calls())
        with self.on_a_good_disk(thin) as mounted:
            self.assertEqual(unfit(mounted / "data"), [])
            with Shacached(mounted / "data") as server:
                self.assertEqual(acknowledged.lost(server), [])
                self.assertEqual(post_blob(server, b"well again").status, 201)
        self.counts["acknowledged"] = acknowledged.count()
        # A blob and its entry each, and half the memory at least.
        self.assertGreater(acknowledged.count(), REAL_BYTES // blob_bytes)

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

    def test_a_blob_that_cannot_be_taken_back_is_not_shown(self):
        blob = os.urandom(1000)
        digest = hashlib.sha512(blob).hexdigest()
        for error in ["EIO", "ENOSPC"]:
            with self.subTest(error):
                server = self.start_in(f"blob-{error}")
                folder = server.data / "archive/blobs" / digest[:2] / digest[2:4]
                folder.mkdir(parents=True)
                self.check_not_taken_back(
                    server, folder, error,
                    upload=lambda: post_blob(server, blob).status,
                    look=lambda: get_blob(server, digest).status,
                    seen=(404, 200),
                )

    def test_an_entry_that_cannot_be_taken_back_is_not_shown(self):
        for error in ["EIO", "ENOSPC"]:
            with self.subTest(error):
                server = self.start_in(f"entry-{error}")
                self.assertEqual(put_entry(server, "key", an_entry(1)).status, 201)
                self.check_not_taken_back(
                    server, next((server.data / "archive/entries").glob("*/key")), error,
                    upload=lambda: put_entry(server, "key", an_entry(2)).status,
                    look=lambda: len(json.loads(get_entries(server, "key").body)),
                    seen=(1, 2),
                )

    def test_a_group_that_cannot_be_taken_back_is_not_shown(self):
        server = self.start_in("group")
        # The first sync of a group is of its bytes, the second of its names. A lone file takes its time,
        # so that others wait together.
        calls = ["fsync", "syncfs", "unlinkat"]
        failing = [
            f"fsync:delay_enter={LONE_US}", "syncfs:error=ENOSPC:when=2+2", "unlinkat:error=ENOSPC",
        ]
        trace = Trace(server, self.folder / "strace", calls, inject=failing)
        blobs = [os.urandom(1000) for _ in range(CLIENTS)]
        with trace, ThreadPoolExecutor(CLIENTS) as clients:
            statuses = list(clients.map(lambda blob: post_blob(server, blob).status, blobs))
        failed = Counter(call.name for call in trace.calls() if call.injected)
        self.assertEqual(failed["syncfs"], 1)
        self.assertGreaterEqual(failed["unlinkat"], 4)
        self.assertLessEqual(set(statuses), {201, 503})
        self.assertGreaterEqual(statuses.count(503), failed["unlinkat"])
        self.assertEqual(request(server, "GET", "/readyz").status, 503)
        seen = [get_blob(server, hashlib.sha512(blob).hexdigest()).status for blob in blobs]
        self.assertEqual(seen, [200 if status == 201 else 404 for status in statuses])
        self.counts["refused"] += statuses.count(503)

    def start_in(self, name):
        arguments = self.without_background_check()
        return self.start(Shacached(self.folder / name, arguments=arguments))

    def check_not_taken_back(self, server, folder, error, *, upload, look, seen):
        """The sync of `folder` fails, and so does the removal of what was to be published in it. It
        must count for nothing until a start has synced it."""
        calls = ["fsync", "unlinkat"]
        files = len(list(folder.iterdir()))
        failing = f"{','.join(calls)}:error={error}"
        trace = Trace(server, self.folder / "strace", calls, inject=failing, only=folder)
        with trace:
            self.assertEqual(upload(), 503)
        self.assertEqual([call.name for call in trace.calls() if call.injected], calls)
        self.assertEqual(len(list(folder.iterdir())), files + 1)
        before, after = seen
        self.assertEqual(look(), before)
        self.assertEqual(upload(), 503)
        self.assertEqual(request(server, "GET", "/readyz").status, 503)
        server.restart()
        self.assertEqual((look(), upload(), look()), (after, 201, after))
        self.counts["refused"] += 2

    def thin_folder(self):
        thin = self.folder / "thin"
        thin.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={REAL_BYTES}", "tmpfs", thin)
        self.addCleanup(run, "umount", thin)
        return thin

    def fill(self, server, acknowledged, blob_bytes):
        """Uploads until the disk is given up. A full one is not: whether the kernel says of the
        image's memory that it is full, or that the image failed, depends on what is written where."""
        self.refused = []
        for number in range(CLAIMED_BYTES // blob_bytes):
            data = os.urandom(blob_bytes)
            answer = post_blob(server, data)
            if answer.status == 201:
                digest = answer.body.decode()
                acknowledged.add_blob(digest)
                text = metadata(digest, number=number)
                answer = put_entry(server, f"key-{number}", entry_body(text))
                if answer.status == 201:
                    acknowledged.add_entry(f"key-{number}", text)
            else:
                self.refused.append(hashlib.sha512(data).hexdigest())
            if answer.status == 503:
                return
            self.assertIn(answer.status, [201, 507])
            self.counts[f"{answer.status} before that"] += 1
        self.fail("the disk never failed")

    def check_read_only(self, server, acknowledged):
        self.assertEqual(request(server, "GET", "/readyz").status, 503)
        self.assertEqual(request(server, "GET", "/healthz").status, 200)
        for number in range(5):
            self.assertEqual(post_blob(server, b"later %d" % number).status, 503)
            self.assertEqual(put_entry(server, "late", an_entry(number)).status, 503)
            self.counts["refused afterwards"] += 2
        for digest in self.refused:
            self.assertEqual(get_blob(server, digest).status, 404)
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
