"""What was answered 201 is there after SIGKILL at any moment; what was not leaves nothing behind."""

import hashlib
import itertools
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from interop import tier
from interop.folder_test import FolderTest
from interop.http_client import get_blob, get_entries, post_blob, put_entry
from interop.server import Shacached, wait_until

WRITERS = 4
SIZES_BYTES = [0, 1, 4_000, 70_000, 1_000_000, 8_000_000]


class Kill(FolderTest):
    def test_every_acknowledged_write_survives(self):
        kills = 200 if tier.LONG else 20
        server = self.start(Shacached(self.folder / "data"))
        chance = random.Random(1)
        acknowledged = []
        for kill in range(kills):
            known = len(acknowledged)
            with ThreadPoolExecutor(WRITERS) as pool:
                for writer in range(WRITERS):
                    pool.submit(write_until_killed, server, f"kill:{kill}/{writer}", acknowledged)
                wait_until(lambda known=known: len(acknowledged) > known, "one write acknowledged")
                time.sleep(chance.uniform(0, 0.4))
                server.kill()

            server.start()
            left = [path for path in (server.data / "tmp").rglob("*") if path.is_file()]
            self.assertEqual(left, [])
            self.check(server, acknowledged[known:])
        self.check(server, acknowledged)

    def check(self, server, acknowledged):
        for key, digest in acknowledged:
            self.assertEqual(hashlib.sha512(get_blob(server, digest).body).hexdigest(), digest)
            [[metadata, _]] = json.loads(get_entries(server, key).body)
            self.assertEqual(json.loads(metadata)["sha512"], digest)


def write_until_killed(server, name, acknowledged):
    """Uploads blobs with an entry each; notes those whose two answers both came."""
    chance = random.Random(name)
    for number in itertools.count():
        key = f"{name}/{number}"
        try:
            blob = post_blob(server, chance.randbytes(chance.choice(SIZES_BYTES)))
            if blob.status != 201:
                return
            digest = blob.body.decode()
            body = json.dumps([json.dumps({"sha512": digest}), ""])
            if put_entry(server, key, body).status != 201:
                return
        except (OSError, HTTPException):
            return
        acknowledged.append((key, digest))
