"""The order of system calls behind every 201: data synced, renamed, names synced, answered.

A sync is an fsync of the very file or folder, or a syncfs. Order is judged strictly: the earlier
call has to have returned before the later one begins.
"""

import os
import re
from collections import Counter

from faults import publishing
from faults.fault_test import FaultTest
from faults.trace import Trace
from interop.http_client import post_blob
from interop.server import Shacached

UPLOADS = 210
# The server syncs a file each time so much was written to it.
EARLY_BYTES = 8 << 20
LARGE_BYTES = 33 << 20
# Calls without which the trace of a good server has to look bad.
MISSING = {
    "syncfs": lambda call: call.name == "syncfs",
    "fsync of files": lambda call: call.name == "fsync" and "/tmp/" in call.descriptor_path,
    "fsync of folders": lambda call: (
        call.name == "fsync" and re.search(r"/blobs/../..$", call.descriptor_path)
    ),
    "fsync of new folders' parents": lambda call: (
        call.name == "fsync" and re.search(r"/blobs(/..)?$", call.descriptor_path)
    ),
}


class SyncOrder(FaultTest):
    def test_every_201_comes_after_its_syncs(self):
        order = self.trace()
        violations = [line for upload in order.acknowledged for line in order.violations(upload)]
        self.counts["violations"] = len(violations)
        self.assertEqual(violations, [])
        self.counts.update(order.counts)
        # Both ways of publishing were seen, and folders that had to be made for it.
        self.assertGreater(order.counts["by fsync"], 20)
        self.assertGreater(order.counts["by syncfs"], 20)
        self.assertGreater(order.counts["new folders"], 100)
        for what, is_missing in MISSING.items():
            with self.subTest(f"a server without {what}"):
                calls = [call for call in order.calls if not is_missing(call)]
                doctored = Order(calls, order.acknowledged)
                self.assertTrue(any(any(doctored.violations(up)) for up in doctored.acknowledged))
                self.counts["doctored traces found out"] += 1

    def test_a_large_blob_is_written_back_as_it_comes(self):
        server = self.start(Shacached(self.folder / "data"))
        trace = Trace(server, self.folder / "strace", ["fsync", "rename", "renameat", "renameat2"])
        with trace:
            self.assertEqual(post_blob(server, os.urandom(LARGE_BYTES)).status, 201)
        calls = [call for call in trace.calls() if call.done]
        renames = [call for call in calls if call.name.startswith("rename")]
        renamed = next(call for call in renames if "/archive/blobs/" in call.paths[1])
        synced = [call for call in calls if call.descriptor_path == renamed.paths[0]]
        self.counts["syncs"] = len(synced)
        self.assertEqual(len(synced), LARGE_BYTES // EARLY_BYTES + 1)
        self.assertTrue(all(call.end < renamed.begin for call in synced))

    def trace(self):
        server = self.start(Shacached(self.folder / "data"))
        with publishing.traced(server, self.folder / "strace") as trace:
            acknowledged = publishing.publish(server, UPLOADS)
        self.counts["acknowledged"] = len(acknowledged)
        self.assertEqual(len(acknowledged), UPLOADS)
        return Order(trace.calls(), acknowledged)


class Order:
    """The calls that matter for durability, by what they do."""

    def __init__(self, calls, acknowledged):
        self.calls = calls
        self.acknowledged = acknowledged
        self.counts = Counter()
        self.answers = publishing.answers(calls)
        self.renames = [call for call in calls if call.name.startswith("rename") and call.done]
        self.folders = {call.paths[0]: call for call in calls if made_folder(call)}
        self.system_syncs = [call for call in calls if call.name == "syncfs" and call.done]
        self.file_syncs = {}
        self.writes = {}
        for call in calls:
            if call.name in ("fsync", "fdatasync") and call.done:
                self.file_syncs.setdefault(call.descriptor_path, []).append(call)
            elif call.name == "write":
                self.writes.setdefault(call.descriptor_path, []).append(call)
        self.counts["new folders"] = len(self.folders)

    def violations(self, upload):
        """One line for each step that did not happen before the next one."""
        answer = self.answers.get(upload.name)
        if answer is None:
            yield f"{upload.name}: no 201 in the trace"
            return
        renames = [
            call for call in self.renames
            if upload.matches(call.paths[1]) and call.end < answer.begin
        ]
        if not renames:
            yield f"{upload.name}: no rename before the 201"
            return
        for rename in renames:
            written = max((call.end for call in self.writes.get(rename.paths[0], [])), default=-1)
            if self.sync_between(rename.paths[0], written, rename.begin) is None:
                yield f"{upload.name}: renamed before its data was synced"
        folder = os.path.dirname(renames[0].paths[1])
        sync = self.sync_between(folder, renames[0].end, answer.begin)
        if sync is None:
            yield f"{upload.name}: answered before its folder was synced"
        else:
            self.counts[f"by {sync.name}"] += 1
        while made := self.folders.get(folder):
            folder = os.path.dirname(folder)
            if self.sync_between(folder, made.end, answer.begin) is None:
                yield f"{upload.name}: answered before a new folder's name was synced"

    def sync_between(self, path, after, before):
        """A sync of `path` that began after one point and had ended before another."""
        for call in [*self.file_syncs.get(path, []), *self.system_syncs]:
            if call.begin > after and call.end < before:
                return call
        return None


def made_folder(call):
    return call.name.startswith("mkdir") and call.done
