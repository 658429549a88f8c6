"""A held blob outlives every kind of deletion."""

import hashlib
import json
import subprocess

from faults.fault_test import FaultTest
from interop.http_client import get_blob, post_blob, put_entry
from interop.server import PROGRAM, Shacached, run_shacached

WHY = ["--why", "a test"]


class Holds(FaultTest):
    def test_what_is_held_stays(self):
        server = self.start(Shacached(self.folder / "data"))
        for deletion in [
            ["gc", "--unused-days", "0"],
            ["delete", "--key", "delete", *WHY],
            ["gc", "--expired"],
            ["ban"],
        ]:
            kind = " ".join(deletion[:2])
            data = kind.encode()
            digest = hashlib.sha512(data).hexdigest()
            self.assertEqual(post_blob(server, data).status, 201)
            if deletion[0] != "gc" or "--expired" in deletion:
                metadata = json.dumps({"sha512": digest, "expiration_date": "2001-01-01"})
                put = put_entry(server, deletion[0], json.dumps([metadata, ""]))
                self.assertEqual(put.status, 201)
            run_shacached("hold", "add", "h", "--digest", digest, *WHY, "--data", server.data)
            if deletion == ["ban"]:
                deletion = ["ban", digest, *WHY]
            # A refusal is as good as being left alone.
            for command in [deletion, ["gc", "--unused-days", "0"]]:
                subprocess.run(
                    [PROGRAM, *command, "--data", server.data],
                    stdin=subprocess.DEVNULL, capture_output=True,
                )
            self.assertEqual(get_blob(server, digest).body, data, f"held, and gone after {kind}")
            self.counts["deletions"] += 1
