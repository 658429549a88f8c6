"""A check of the archive while it takes uploads: what was acknowledged stays in sight.

The check judges first and moves damaged things to quarantine later; strace makes the moments
between the two long.
"""

import hashlib
import itertools
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from faults.acknowledged import entry_body, metadata
from faults.archive import blob_file
from faults.fault_test import FaultTest
from faults.trace import Trace, open_paths
from interop.http_client import get_blob, get_entries, post_blob, put_entry
from interop.server import PROGRAM, Shacached, wait_until

# Too long to be spelled in the name of its folder.
KEY = "K" * 300
SLOW_US = 2_000_000
# Hashed for some seconds.
BLOB_REPEATS = 100_000
RATE_BYTES = 300_000
# The exit code of a check that found something.
DAMAGED = 4


class CheckBesideUploads(FaultTest):
    def setUp(self):
        super().setUp()
        arguments = self.without_background_check()
        self.server = self.start(Shacached(self.folder / "data", arguments=arguments))

    def test_a_key_that_is_put_for_the_first_time(self):
        """Its folder is there a moment before the file that says whose it is."""
        text = metadata(hashlib.sha512(b"elsewhere").hexdigest())
        slow = f"renameat:delay_enter={SLOW_US}:when=1"
        trace = Trace(self.server, self.folder / "strace", ["renameat"], inject=slow)
        with trace, ThreadPoolExecutor(1) as client:
            upload = client.submit(put_entry, self.server, KEY, entry_body(text))
            wait_until(lambda: self.folder_of_key().is_dir(), "the key's folder")
            self.assertFalse(upload.done(), "the check has to come first")
            self.verify()
            self.assertEqual(upload.result().status, 201)
        self.assertEqual(len(json.loads(get_entries(self.server, KEY).body)), 1)

    def test_a_key_file_that_cannot_be_opened(self):
        text = metadata(hashlib.sha512(b"elsewhere").hexdigest())
        self.assertEqual(put_entry(self.server, KEY, entry_body(text)).status, 201)
        key_file = self.folder_of_key() / "%key"
        for error in ("EMFILE", "EIO"):
            with self.subTest(error):
                trace = Trace(
                    self.server, self.folder / "strace", ["openat"],
                    inject=f"openat:error={error}", only=key_file,
                )
                with trace:
                    report, code = self.verify()
                self.assertIn("unreadable", {found["code"] for found in report["findings"]})
                self.assertEqual(code, DAMAGED)
                self.assertGreater(sum(call.injected for call in trace.calls()), 0)
                self.counts["failed calls"] += 1
                self.assertEqual(get_entries(self.server, KEY).status, 200)

    def test_a_folder_that_cannot_be_looked_at(self):
        digest = post_blob(self.server, b"in a folder that cannot be looked at").body.decode()
        fan_out = blob_file(self.server.data, digest).parent.parent
        trace = Trace(
            self.server, self.folder / "strace", ["statx"], inject="statx:error=EIO", only=fan_out,
        )
        with trace:
            report, code = self.verify()
        self.assertGreater(sum(call.injected for call in trace.calls()), 1)
        self.assertEqual({found["code"] for found in report["findings"]}, {"unreadable"})
        self.assertEqual((report["units"], code), (256, DAMAGED))
        self.assertEqual(get_blob(self.server, digest).status, 200)

    def test_a_blob_that_takes_the_place_of_something_else(self):
        """It comes after the check has listed the folder, and before its turn in there."""
        slow = b"hashed slowly" * BLOB_REPEATS
        before = post_blob(self.server, slow).body.decode()
        # From then on nobody but the check reads it.
        md5 = hashlib.md5(slow).hexdigest()
        wait_until(lambda: get_blob(self.server, md5).status == 200, "its other digests")
        data = next(data for data in candidates() if comes_after(data, before))
        file = blob_file(self.server.data, hashlib.sha512(data).hexdigest())
        os.symlink("/nonexistent", file)
        with ThreadPoolExecutor(1) as client:
            check = client.submit(self.verify, "--rate", str(RATE_BYTES))
            first = str(blob_file(self.server.data, before))
            wait_until(lambda: first in open_paths(self.server), "the blob before is hashed")
            self.assertEqual(post_blob(self.server, data).status, 201)
            self.assertIn(first, open_paths(self.server), "the upload has to come first")
            check.result()
        self.assertEqual(get_blob(self.server, file.name).status, 200)

    def folder_of_key(self):
        folders = (self.server.data / "archive/entries").glob("*/%sha256-*")
        return next(folders, self.folder / "none")

    def verify(self, *options):
        done = subprocess.run(
            [PROGRAM, "verify", "--json", "--data", self.server.data, *options],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        self.assertIn(done.returncode, (0, DAMAGED), done.stderr)
        return json.loads(done.stdout), done.returncode


def candidates():
    return (b"in the place of a link, %d" % number for number in itertools.count())


def comes_after(data, digest):
    """Whether the blob lies in the same folder, and later in the order of names."""
    name = hashlib.sha512(data).hexdigest()
    return name[:4] == digest[:4] and name > digest
