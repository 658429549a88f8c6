"""What a real slapproxy kept is taken in, and the real client reads all of it back from us."""

import json
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from interop.folder_test import FolderTest
from interop.payload import Payload
from interop.python_client import PythonClient, Signer
from interop.server import PROGRAM, Shacached, run_shacached
from interop.slapproxy import Slapproxy

# As buildout, slapos.core and people make them.
KEYS = [
    "pypi:name=1.0", "slapos-buildout-5a6f0bd1", "'slapos-upgrade-testing-key'",
    "pypi-index-0a-foo[x]>=1.0",
]
URL = "http://example.com/release-1.0.tar.gz"
SIZES = [0, 1, 70_000, 1_000_000]


class MoveIn(FolderTest):
    """`files` is the bytes of each file by how the client asks for it, `lists` what slapproxy
    answered for each key."""

    @classmethod
    def setUpClass(cls):
        held = tempfile.TemporaryDirectory(prefix="shacache-interop-")
        cls.addClassCleanup(held.cleanup)
        folder = Path(held.name)
        cls.signer = Signer(folder, "signer")
        cls.files, cls.lists = {}, {}
        with Slapproxy(folder / "slapproxy") as cls.slapproxy:
            client = cls.client(cls.slapproxy, folder)
            for number, size in enumerate(SIZES):
                path = Payload(size, seed=number).write_to(folder / f"file-{number}")
                client.upload("-f", path, "-k", KEYS[number], f"number={number}")
                cls.files["-k", KEYS[number]] = path.read_bytes()
            path = Payload(5_000, seed=9).write_to(folder / "url-file")
            client.upload("-f", path, "-u", URL, "by=url")
            cls.files["-u", URL] = path.read_bytes()
            for path in cls.slapproxy.metadata.iterdir():
                cls.lists[path.name] = cls.ask(cls.slapproxy, path.name)

    @classmethod
    def client(cls, server, folder):
        return PythonClient(server, folder, signer=cls.signer, trusted=[cls.signer])

    @staticmethod
    def ask(server, key):
        with urllib.request.urlopen(f"{server.directory_url}/{urllib.request.quote(key)}") as answer:
            return json.load(answer)

    def imported(self, data):
        said = run_shacached(
            "import", "--json", "--data", data,
            "--slapproxy", self.slapproxy.content, self.slapproxy.metadata,
        )
        report = json.loads(said)
        return [report[name] for name in ("blobs", "entries", "already", "damage", "notes")]

    def check_lists(self, server):
        self.assertEqual(len(self.lists), len(self.files))
        for key, entries in self.lists.items():
            self.assertEqual(self.ask(server, key), entries, key)

    def test_the_client_reads_everything_back(self):
        server = self.start(Shacached(self.folder / "data"))
        self.assertEqual(self.imported(server.data), [5, 5, 0, 0, 0])
        self.check_lists(server)
        client = self.client(server, self.folder)
        for question, data in self.files.items():
            self.assertEqual(client.download(*question), data, question)
        self.assertEqual(self.imported(server.data), [0, 0, 10, 0, 0], "the second time")
        self.check_lists(server)

    def test_without_a_server(self):
        self.assertEqual(self.imported(self.folder / "data"), [5, 5, 0, 0, 0])
        self.check_lists(self.start(Shacached(self.folder / "data")))

    def test_what_slapproxy_left_damaged_stays_outside(self):
        content = self.folder / "content"
        shutil.copytree(self.slapproxy.content, content)
        # It writes in place: this is what one that was killed leaves.
        largest = max(content.iterdir(), key=lambda path: path.stat().st_size)
        with largest.open("r+b") as file:
            file.truncate(500_000)
        server = self.start(Shacached(self.folder / "data"))
        done = subprocess.run(
            [
                PROGRAM, "import", "--data", server.data,
                "--slapproxy", content, self.slapproxy.metadata,
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn(f"blob-damaged {largest}", done.stdout)
        self.assertIn(f"an entry names {largest.name}, which is not there", done.stdout)
        self.assertIn("imported 4 blobs", done.stdout)
        self.check_lists(server)
