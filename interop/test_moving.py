"""Backups of a server that is written to, made as docs/backup.md says, and what comes back of them."""

import hashlib
import json
import shutil
import subprocess

from interop import tier
from interop.folder_test import FolderTest
from interop.http_client import get_blob, get_entries, post_blob, put_entry
from interop.payload import Payload
from interop.python_client import PythonClient, Signer
from interop.server import Shacached, run_shacached, wait_until
from interop.writers import Writers

# Answered before a backup begins, and while it runs.
BEFORE = 1000 if tier.LONG else 100
ROUNDS = 10 if tier.LONG else 1


class MovingTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.server = self.start(Shacached(self.folder / "data"))
        self.signer = Signer(self.folder, "signer")

    def client(self, server):
        return PythonClient(server, self.folder, signer=self.signer, trusted=[self.signer])

    def back_up_while_written_to(self, back_up):
        """Calls `back_up` in the middle of uploads; gives what was promised before it began."""
        with Writers(self.server) as writers:
            wait_until(
                lambda: writers.errors or len(writers.promises()) >= BEFORE, "uploads", limit_s=120
            )
            before = writers.promises()
            back_up()
            after = writers.promises()
        self.assertGreater(len(after), len(before), "nothing was written meanwhile")
        return before

    def check_restored(self, data, promises):
        """A second server on the copy has every promised byte, and no entry without its blob."""
        report = json.loads(run_shacached("verify", "--json", "--dry-run", "--data", data))
        self.assertEqual((report["damage"], report["notes"]), (0, 0), report["findings"])
        self.assertGreaterEqual(report["entries"], len(promises))
        with Shacached(data) as restored:
            lists = {}
            for promise in promises:
                if promise.key not in lists:
                    listed = json.loads(get_entries(restored, promise.key).body)
                    lists[promise.key] = {text for text, _ in listed}
                self.assertIn(promise.text, lists[promise.key])
                blob = get_blob(restored, promise.digest)
                self.assertEqual(blob.status, 200)
                self.assertEqual(hashlib.sha512(blob.body).hexdigest(), promise.digest)
            return self.check_client(restored)

    def upload_with_client(self):
        path = Payload(300_000).write_to(self.folder / "signed")
        self.client(self.server).upload("-k", "signed", "-f", path, "by=client")

    def check_client(self, restored):
        data = (self.folder / "signed").read_bytes()
        self.assertEqual(self.client(restored).download("-k", "signed"), data)


class Exports(MovingTest):
    def test_export_wipe_import_gives_the_same_archive(self):
        self.upload_with_client()
        for number, key in enumerate(["plain", "UPPER/.dots/%", "a" * 400, "pypi:a=1.0"]):
            blob = b"x" * number * 100_000
            digest = post_blob(self.server, blob).body.decode()
            for note in ("one", "two"):
                # Unusual spacing has to come back as it was.
                text = f'{{"sha512" :"{digest}",  "note": "{note}"}}'
                answer = put_entry(self.server, key, json.dumps([text, ""]))
                self.assertEqual(answer.status, 201, answer.body)
        archive, kept = self.server.data / "archive", self.folder / "kept"
        for export in (self.folder / "folder", self.folder / "file.tar"):
            run_shacached("export", "--data", self.server.data, export)
            self.server.stop()
            if not kept.exists():
                shutil.copytree(archive, kept)
            shutil.rmtree(self.server.data)

            run_shacached("import", "--data", self.server.data, export)
            self.compare(kept, archive)
            self.server.start()
            self.check_client(self.server)

    def compare(self, one, other):
        done = subprocess.run(["diff", "-r", one, other], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_all_that_was_promised_before_is_in_an_export(self):
        self.upload_with_client()
        for number in range(ROUNDS):
            for export in (self.folder / f"{number}", self.folder / f"{number}.tar"):
                promises = self.back_up_while_written_to(
                    lambda: run_shacached("export", "--data", self.server.data, export)
                )
                restored = self.folder / "restored"
                run_shacached("import", "--data", restored, export)
                self.check_restored(restored, promises)
                shutil.rmtree(restored)


class Rsync(MovingTest):
    def copy_entries(self, to):
        source = f"{self.server.data}/archive/"
        subprocess.run(["rsync", "-a", source, "--exclude=/blobs", f"{to}/archive/"], check=True)

    def copy_blobs(self, to):
        source = f"{self.server.data}/archive/blobs/"
        subprocess.run(["rsync", "-a", source, f"{to}/archive/blobs/"], check=True)

    def test_entries_first_and_then_blobs_is_safe_while_written_to(self):
        self.upload_with_client()
        copy = self.folder / "copy"
        copy.mkdir()
        for _ in range(ROUNDS):

            def back_up():
                self.copy_entries(copy)
                self.copy_blobs(copy)

            promises = self.back_up_while_written_to(back_up)
            # What a server makes of its data folder is none of the copy's business.
            opened = self.folder / "opened"
            shutil.copytree(copy, opened)
            self.check_restored(opened, promises)
            shutil.rmtree(opened)

    def test_the_other_order_is_not(self):
        copy = self.folder / "copy"
        copy.mkdir()
        (copy / "archive").mkdir()
        self.copy_blobs(copy)
        self.upload_with_client()
        self.copy_entries(copy)
        report = json.loads(run_shacached("verify", "--json", "--dry-run", "--data", copy))
        self.assertEqual([found["code"] for found in report["findings"]], ["blob-missing"])
