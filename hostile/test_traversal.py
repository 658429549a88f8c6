"""A name is data: no name, wherever it stands, makes the server touch a file outside its folder."""

import json
import os
from pathlib import Path

from faults.fault_test import by_tier
from faults.trace import Trace
from hostile import traversal
from hostile.hostile_test import HostileTest
from hostile.raw_client import exchange
from interop.http_client import post_blob
from interop.server import wait_until

CALLS = [
    "open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "access",
    "faccessat", "faccessat2", "readlink", "readlinkat", "unlink", "unlinkat", "rename", "renameat",
    "renameat2", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat", "truncate", "chmod",
    "fchmodat", "execve",
]
NAMES_IN_AN_ENTRY = 10
SECRET = "this lies beside the data folder"
# What the allocator and the runtime look at.
OWN_AFFAIRS = {
    "/proc/self/maps", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu/online",
}
HARMLESS = {200, 201, 204, 400, 404, 405, 409, 413, 414, 415}


class Traversal(HostileTest):
    def test_no_name_leads_out_of_the_data_folder(self):
        server = self.configured()
        outside = self.folder / "outside"
        names = traversal.names()
        names = list(dict.fromkeys([*names[:: by_tier(2, 1)], *traversal.LONE]))
        self.assertGreaterEqual(len(names), 300)
        answers, calls = self.attack(server, names)
        self.check_answers(answers)
        self.check_calls(server, calls)
        self.assertEqual(snapshot(outside), {outside / "secret": SECRET}, "it was changed")
        wait_until(lambda: not any((server.data / "tmp").iterdir()), "no upload is left")

    def test_no_name_leads_out_of_the_data_folder_naively_served(self):
        server = self.naive()
        answers, calls = self.attack(server, traversal.names()[:20])
        with self.is_noticed("a file outside was sent"):
            self.check_answers(answers)
        with self.is_noticed("outside of the data folder"):
            self.check_calls(server, calls)

    def attack(self, server, names):
        """All that was answered to requests with these names, and the calls the server made."""
        for folder in (self.folder / "outside", server.data / "state"):
            folder.mkdir(exist_ok=True)
            (folder / "secret").write_text(SECRET)
        digest = post_blob(server, b"a blob").body.decode()
        answers = []
        with Trace(server, self.folder / "trace", CALLS) as trace:
            for message in messages(names, digest):
                answers += [(message, answer) for answer in exchange(server.address, message)]
        self.counts["names"] += len(names)
        self.assertGreater(len(answers), 8 * len(names), "not everything was answered")
        self.counts["answers"] += len(answers)
        return answers, trace.calls()

    def check_answers(self, answers):
        for message, answer in answers:
            for secret in (SECRET.encode(), b"root:x:0"):
                self.assertNotIn(secret, answer.body, f"a file outside was sent: {message[:300]!r}")
            self.assertIn(answer.status, HARMLESS, message[:300])

    def check_calls(self, server, calls):
        self.counts["calls on paths"] += len(calls)
        self.assertGreater(len(calls), 100, "the trace saw nothing")
        for call in calls:
            folder = call.descriptor_path
            for path in call.paths:
                if not path.startswith("/"):
                    path = f"{folder or os.getcwd()}/{path}"
                if path in OWN_AFFAIRS:
                    continue
                self.assertTrue(
                    Path(os.path.normpath(path)).is_relative_to(server.data),
                    f"{call.name} outside of the data folder: {path}",
                )


def messages(names, digest):
    """Requests with each of `names` wherever a request has room for one."""
    entry = json.dumps([json.dumps({"sha512": digest}), ""]).encode()
    for name in names:
        raw = name.encode()
        yield request(b"GET /" + raw)
        yield request(b"GET /shacache/" + raw)
        yield request(b"PUT /shacache/" + raw, b"a blob")
        yield request(b"POST /shacache/" + raw, b"a blob")
        yield request(b"PUT /shadir/" + raw, entry)
        yield request(b"GET /shadir/" + raw)
        yield request(b"DELETE /shadir/" + raw)
        poison = json.dumps([json.dumps({"sha512": name}), ""]).encode()
        yield request(b"PUT /shadir/key", poison)
        yield request(b"GET /shadir/key", extra=b"Host: %b\r\nRange: %b\r\n" % (raw, raw))
    for start in range(0, len(names), NAMES_IN_AN_ENTRY):
        some = names[start : start + NAMES_IN_AN_ENTRY]
        fields = {"sha512": digest, "file": some[0], "url": some[0], **dict.fromkeys(some, some)}
        yield request(b"PUT /shadir/key", json.dumps([json.dumps(fields), ""]).encode())


def request(line, body=None, extra=b"Host: a\r\n"):
    framing = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    return line + b" HTTP/1.1\r\n" + extra + framing + b"Connection: close\r\n\r\n" + (body or b"")


def snapshot(folder):
    return {file: file.read_text() for file in Path(folder).rglob("*") if file.is_file()}
