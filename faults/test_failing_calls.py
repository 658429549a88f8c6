"""One system call fails under the server: refused or repeated, never a false 201, never a panic.

strace makes the N-th such call of each thread fail, a preloaded write() the N-th write to a file.
Afterwards everything acknowledged has to be there for a server that nothing interferes with.
"""

import errno
import hashlib
import itertools
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from faults.acknowledged import Acknowledged, entry_body, metadata
from faults.archive import unfit
from faults.fault_test import FaultTest, by_tier
from faults.trace import Trace
from interop import tier
from interop.http_client import get_blob, get_entries, post_blob, put_entry, request
from interop.server import Shacached, wait_until

# What the store uses, with the errors that Linux may give for it. Only an interrupted call may be
# made again, and has to be.
ERRORS = {
    "openat": ["EIO", "ENOSPC", "EMFILE", "EINTR"],
    "openat2": ["EIO", "EMFILE", "EINTR"],
    "fsync": ["EIO", "ENOSPC", "EINTR"],
    "syncfs": ["EIO", "ENOSPC", "EINTR"],
    "renameat": ["EIO", "ENOSPC"],
    "mkdirat": ["EIO", "ENOSPC"],
    "statx": ["EIO"],
    "fstatfs": ["EIO"],
    "getdents64": ["EIO", "EINTR"],
    "preadv2": ["EIO", "EINTR"],
    "pread64": ["EIO", "EINTR"],
}
WRITE_ERRORS = ["EIO", "ENOSPC", "EDQUOT", "EINTR"]
AT_START = ["openat", "mkdir", "fsync", "rename", "unlink", "syncfs", "getdents64", "pwrite64"]
SYNCS = ["fsync", "syncfs"]
SHORTAGES = ["ENOSPC", "EDQUOT", "EMFILE"]


class FailingCalls(FaultTest):
    def setUp(self):
        super().setUp()
        self.folders = itertools.count()

    def test_each_call(self):
        pairs = [(call, error) for call, errors in ERRORS.items() for error in errors]
        for number, (call, error) in enumerate(pairs):
            # The short tier lets each pair fail once, each at another time.
            for at in range(1, 21) if tier.LONG else [number % 4 + 1]:
                with self.subTest(f"{call}: {error} at {at}"):
                    self.check_call(call, error, at)
        # Not every thread comes to its twentieth call, and how many threads there are is a matter of
        # load.
        self.assertGreater(self.counts["failed calls"], by_tier(48, 1_000))
        self.assertGreater(self.counts["cases"], 2 * self.counts["cases without a failed call"])

    def check_call(self, call, error, at):
        # Who else syncs would make it a matter of luck whose sync fails.
        server = self.prepared_server(checked=call not in SYNCS)
        with server:
            traced = Trace(
                server, self.folder / "strace", [call], inject=f"{call}:error={error}:when={at}"
            )
            with traced:
                acknowledged, statuses = load(server)
            failed = [call for call in traced.calls() if call.injected]
            if error != "EINTR" and any(is_upload_sync(call) for call in failed):
                self.assertNotEqual(set(statuses), {201}, "its sync failed, and it was acknowledged")
            self.check(server, acknowledged, statuses, call, error, len(failed))

    def test_each_write(self):
        shim = self.build_shim()
        for error in WRITE_ERRORS:
            for at in by_tier([1, 4], range(1, 21)):
                with self.subTest(f"write: {error} at {at}"):
                    server = self.prepared_server(shim, at, getattr(errno, error))
                    with server:
                        acknowledged, statuses = load(server)
                        failed = self.failed_writes(server)
                        self.assertEqual(failed, 1)
                        if error != "EINTR":
                            self.assertNotEqual(set(statuses), {201})
                        self.check(server, acknowledged, statuses, "write", error, failed)
        self.assertEqual(self.counts["failed calls"], self.counts["cases"])

    def test_every_write_is_cut_in_half(self):
        server = self.prepared_server(self.build_shim(), 0, 0)
        with server:
            acknowledged, statuses = load(server)
            cut = self.failed_writes(server)
            self.assertGreater(cut, len(statuses) // 2)
            self.check(server, acknowledged, statuses, "write", "EINTR", cut)

    def test_at_start(self):
        """A start that cannot succeed says why in one line; the next one finds everything."""
        server = self.prepared_server()
        acknowledged, _ = self.loaded(server)
        for call in AT_START:
            for at in range(1, by_tier(3, 21)):
                with self.subTest(f"{call}: EIO at {at}"):
                    # With -D the server itself is our child, and strace ends with it.
                    record = self.folder / "strace"
                    failing = Shacached(server.data, prefix=[
                        "strace", "-D", "-f", "-o", record, "-e", f"trace={call}",
                        "-e", f"inject={call}:error=EIO:when={at}",
                    ])
                    self.check_start(failing)
                    self.counts["starts"] += 1
                    self.counts["failed calls"] += record.read_text().count("(INJECTED)")
        with server:
            self.assertEqual(acknowledged.lost(server), [])
        self.assertGreater(self.counts["refused"], 3)
        # A start makes few calls of a kind: the twentieth seldom comes.
        self.assertGreaterEqual(self.counts["failed calls"], self.counts["refused"])

    def check_start(self, failing):
        try:
            with failing:
                pass
        except AssertionError:
            self.counts["refused"] += 1
            reasons = [line for line in failing.log if line.startswith("shacached: ")]
            self.assertEqual(len(reasons), 1, failing.log)
        self.assertNotRegex("".join(failing.log), "panicked")

    def loaded(self, server):
        with server:
            return load(server)

    def prepared_server(self, shim=None, at=0, number=0, *, checked=True):
        """A server on an orderly, empty data folder of its own, checked in the background or not."""
        data = self.folder / f"data-{next(self.folders)}"
        with Shacached(data) as maker:
            maker.stop()
        if shim is None:
            return Shacached(data, arguments=[] if checked else self.without_background_check())
        # Every write to a file is one of an upload then.
        return Shacached(data, arguments=self.without_background_check(), prefix=[
            "env", f"LD_PRELOAD={shim}", f"FAILING_WRITE_REPORT={report_of(data)}",
            f"FAILING_WRITE_AT={at}", f"FAILING_WRITE_ERRNO={number}",
        ])

    def failed_writes(self, server):
        return len(report_of(server.data).read_text().splitlines())

    def build_shim(self):
        source = Path(__file__).with_name("failing_write.c")
        shim = self.folder / "failing_write.so"
        subprocess.run(
            ["cc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", shim, source], check=True
        )
        return shim

    def check(self, server, acknowledged, statuses, call, error, injected):
        self.counts["cases"] += 1
        self.counts["failed calls"] += injected
        self.counts["cases without a failed call"] += injected == 0
        self.counts["acknowledged"] += acknowledged.count()
        self.counts["refused"] += len(statuses) - statuses.count(201)
        allowed = {"EINTR": {201}}.get(error, {201, 503, 507})
        self.assertLessEqual(set(statuses), allowed)
        tmp = server.data / "tmp"
        wait_until(lambda: not any(tmp.iterdir()), "temporary files are gone")
        self.assertNotRegex("".join(server.log), re.compile("panic", re.IGNORECASE))
        ready = request(server, "GET", "/readyz").status
        if error in SHORTAGES:
            self.assertEqual(ready, 200, "a shortage is over when it is over")
        elif call in SYNCS and len(statuses) > statuses.count(201):
            self.assertEqual(ready, 503, "after a failed sync nothing is taken any more")
            self.counts["read-only after a failed sync"] += 1
        server.kill()
        with Shacached(server.data) as undisturbed:
            self.assertEqual(acknowledged.lost(undisturbed), [])
            self.assertEqual(unfit(undisturbed.data), [])
            self.assertEqual(request(undisturbed, "GET", "/readyz").status, 200)


def is_upload_sync(call):
    """Whether it is one that uploads wait for, unlike those of the index."""
    return call.name in SYNCS and "/index/" not in call.descriptor_path


def report_of(data):
    return data.with_name(f"{data.name}.report")


def load(server):
    """Uploads of every kind, alone and together, then a look at each; no wrong byte is served.

    Gives what was acknowledged and the statuses of all uploads.
    """
    acknowledged, statuses = Acknowledged(), []

    def upload(number, size):
        data = number.to_bytes(4, "big") * (size // 4)
        answer = post_blob(server, data)
        statuses.append(answer.status)
        if answer.status == 201:
            acknowledged.add_blob(answer.body.decode())

    def put(number):
        text = metadata(hashlib.sha512(b"elsewhere").hexdigest(), number=number)
        answer = put_entry(server, f"key-{number % 4}", entry_body(text))
        statuses.append(answer.status)
        if answer.status == 201:
            acknowledged.add_entry(f"key-{number % 4}", text)

    for number, size in enumerate([0, 700, 70_000, 300_000, 65_536, 4]):
        upload(number, size)
        put(number)
    with ThreadPoolExecutor(12) as pool:
        for number in range(10, 22):
            pool.submit(upload, number, 4 * number)
            pool.submit(put, number)
    look(server, acknowledged)
    return acknowledged, statuses


def look(server, acknowledged):
    for digest in acknowledged.blobs:
        try:
            answer = get_blob(server, digest)
        except HTTPException:
            continue
        if answer.status == 200 and hashlib.sha512(answer.body).hexdigest() != digest:
            raise AssertionError(f"wrong bytes served as {digest}")
    for key in acknowledged.entries:
        answer = get_entries(server, key)
        if answer.status == 200:
            json.loads(answer.body)
