"""A full disk refuses what does not fit, and nothing else suffers.

The data folder lies on a small file system that exists only in the server's own mount namespace:
it needs no rights on the machine and is gone with the process.
"""

import hashlib
import json
import os
from pathlib import Path

from interop.folder_test import FolderTest
from interop.http_client import get_blob, get_entries, post_blob, put_entry
from interop.server import Shacached

DISK_BYTES = 64 << 20
BLOB_BYTES = 4 << 20
SMALL_BYTES = BLOB_BYTES >> 12
MOUNT_AND_RUN = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


class DiskFull(FolderTest):
    def setUp(self):
        super().setUp()
        disk = self.folder / "disk"
        disk.mkdir()
        as_root_of_its_own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        server = Shacached(
            disk / "data",
            prefix=[
                "unshare", *as_root_of_its_own, "--mount", "--",
                "sh", "-c", MOUNT_AND_RUN, "sh", str(DISK_BYTES), disk,
            ],
        )
        self.server = self.start(server)
        # How the server's own view of that folder is seen from here.
        self.disk = Path(f"/proc/{self.server.process.pid}/root{disk}")
        self.stored = {}

    def post(self, number, size=BLOB_BYTES):
        data = number.to_bytes(8, "big") * (size // 8)
        answer = post_blob(self.server, data)
        if answer.status == 201:
            self.stored[answer.body.decode()] = data
        return answer

    def fill_by_uploads(self):
        """Uploads until not even a small one is taken; gives the first and the last refusal."""
        refused = []
        size = BLOB_BYTES
        for number in range(DISK_BYTES // SMALL_BYTES):
            answer = self.post(number, size)
            if answer.status == 201:
                continue
            refused.append(answer)
            if size == SMALL_BYTES:
                return refused[0], answer
            size //= 16
        self.fail("more went in than there is room for")

    def fill_the_rest(self):
        """Another program takes every byte that is left."""
        with open(self.disk / "ballast", "ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                return

    def check_reads(self):
        for digest, data in self.stored.items():
            answer = get_blob(self.server, digest)
            self.assertEqual((answer.status, answer.body == data), (200, True))

    def check_nothing_left_over(self):
        left = [path for path in (self.disk / "data/tmp").rglob("*") if path.is_file()]
        self.assertEqual(left, [])

    def entry(self, number):
        digest = hashlib.sha512(b"elsewhere").hexdigest()
        return json.dumps([json.dumps({"sha512": digest, "n": number}), ""])

    def test_uploads_are_refused_and_entries_use_the_reserve(self):
        for answer in self.fill_by_uploads():
            self.assertEqual(answer.status, 507)
            self.assertEqual(answer.body.count(b"\n"), 1, "one plain line")
        self.assertGreater(len(self.stored), 10)
        self.check_nothing_left_over()
        self.check_reads()

        for number in range(20):
            self.assertEqual(put_entry(self.server, "reserve", self.entry(number)).status, 201)
        self.assertEqual(len(json.loads(get_entries(self.server, "reserve").body)), 20)

    def test_service_goes_on_when_space_is_free_again(self):
        self.assertEqual(self.post(1).status, 201)
        self.assertEqual(put_entry(self.server, "before", self.entry(0)).status, 201)
        self.fill_the_rest()
        self.assertEqual(self.post(2).status, 507)
        self.assertEqual(put_entry(self.server, "full", self.entry(0)).status, 507)
        self.assertEqual(get_entries(self.server, "full").status, 404)
        self.assertEqual(len(json.loads(get_entries(self.server, "before").body)), 1)
        self.check_nothing_left_over()
        self.check_reads()

        (self.disk / "ballast").unlink()
        self.assertEqual(self.post(2).status, 201)
        self.assertEqual(put_entry(self.server, "full", self.entry(0)).status, 201)
        self.check_reads()
