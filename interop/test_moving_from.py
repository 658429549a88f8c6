"""What other servers answer is taken in over HTTP, and the real client reads all of it back from us."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from interop.folder_test import FolderTest
from interop.nginx import Authority, Nginx
from interop.payload import Payload
from interop.python_client import PythonClient, Signer
from interop.relay import Relay
from interop.server import PROGRAM, Shacached, run_shacached, wait_until
from interop.slapproxy import Slapproxy

# As buildout, slapos.core and people make them, and the size of what each names.
FILES = {
    "pypi:name=1.0": 0,
    "slapos-buildout-5a6f0bd1": 1,
    "'slapos-upgrade-testing-key'": 70_000,
    "pypi-index-0a-foo[x]>=1.0": 3_000_000,
}
# Of the largest file, before the network is held up.
PASSED_BYTES = 1_000_000


class AtTheRoots(Shacached):
    """A server whose two services are at the root of two hosts, as ERP5's are."""

    def __init__(self, data, folder):
        config = Path(folder, "roots.toml")
        config.write_text(
            '[mount]\nshacache-host = ["127.0.0.1"]\nshadir-host = ["localhost"]\n'
        )
        super().__init__(data, arguments=("--config", config))

    @property
    def cache_url(self):
        return self.base_url

    @property
    def directory_url(self):
        return self.base_url.replace("127.0.0.1", "localhost")


class MoveIn(FolderTest):
    """`sources` are servers that were filled by the client; `files` is what is in them, by key."""

    @classmethod
    def setUpClass(cls):
        held = tempfile.TemporaryDirectory(prefix="shacache-interop-")
        cls.addClassCleanup(held.cleanup)
        folder = Path(held.name)
        cls.signer = Signer(folder, "signer")
        slapproxy = Slapproxy(folder / "slapproxy").__enter__()
        cls.addClassCleanup(slapproxy.__exit__)
        roots = AtTheRoots(folder / "roots", folder)
        roots.start()
        cls.addClassCleanup(roots.__exit__)
        cls.sources = {"slapproxy": slapproxy, "two hosts": roots}
        cls.files = {}
        for number, (key, size) in enumerate(FILES.items()):
            path = Payload(size, seed=number).write_to(folder / f"file-{number}")
            cls.files[key] = path.read_bytes()
            for server in cls.sources.values():
                cls.client(server, folder).upload("-f", path, "-k", key, f"number={number}")
        cls.keys = folder / "keys"
        cls.keys.write_text("\n".join([*FILES, "nobody has this"]) + "\n")

    @classmethod
    def client(cls, server, folder):
        return PythonClient(server, folder, signer=cls.signer, trusted=[cls.signer])

    def command(self, data, *source):
        return ["import", "--json", "--data", data, "--keys", self.keys, *source]

    def imported(self, data, *source):
        report = json.loads(run_shacached(*self.command(data, *source)))
        codes = [found["code"] for found in report["findings"]]
        self.assertEqual(codes, ["key-missing"], report["findings"])
        return [report[name] for name in ("blobs", "entries", "already")]

    def urls(self, server):
        return ["--from-cache", server.cache_url, "--from-dir", server.directory_url]

    def lists(self, server):
        def ask(key):
            url = f"{server.directory_url}/{urllib.request.quote(key)}"
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)

        return {key: ask(key) for key in FILES}

    def check(self, server, source):
        self.assertEqual(self.lists(server), self.lists(source))
        client = self.client(server, self.folder)
        for key, data in self.files.items():
            self.assertEqual(client.download("-k", key), data, key)

    def test_the_client_reads_everything_back(self):
        for name, source in self.sources.items():
            with self.subTest(name):
                server = self.start(Shacached(self.folder / name))
                self.assertEqual(self.imported(server.data, *self.urls(source)), [4, 4, 0])
                self.check(server, source)
                self.assertEqual(self.imported(server.data, *self.urls(source)), [0, 0, 4])
                self.check(server, source)

    def test_an_import_that_was_killed_is_run_again(self):
        source = self.sources["slapproxy"]
        address = source.base_url.partition("://")[2].split(":")
        for beside_a_server in (True, False):
            with self.subTest(beside_a_server=beside_a_server):
                server = Shacached(self.folder / f"data-{beside_a_server}")
                if beside_a_server:
                    self.start(server)
                with Relay((address[0], int(address[1])), PASSED_BYTES) as relay:
                    cache, directory = (
                        relay.base_url + url.removeprefix(source.base_url)
                        for url in (source.cache_url, source.directory_url)
                    )
                    urls = ["--from-cache", cache, "--from-dir", directory]
                    self.kill_in_the_middle(relay, server.data, urls)
                    relay.is_open.set()
                    blobs, entries, already = self.imported(server.data, *urls)
                self.assertEqual((entries + already, blobs >= 1), (4, True))
                if not beside_a_server:
                    self.start(server)
                self.check(server, source)
                wait_until(lambda: not self.spooled(server.data), "half a blob is gone")

    def spooled(self, data):
        """How much there is of blobs on their way. The rest in `tmp` is small and soon gone.

        Of what has passed, the client holds a piece back, of up to 400 kB when it came at once, and
        up to 256 KiB are written when more comes.
        """
        sizes = []
        for path in (data / "tmp").iterdir():
            with contextlib.suppress(FileNotFoundError):
                sizes.append(path.stat().st_size)
        return [size for size in sizes if size > PASSED_BYTES // 5]

    def kill_in_the_middle(self, relay, data, urls):
        """Kills an import when it waits for the rest of a blob, and all else is there."""
        process = subprocess.Popen(
            [PROGRAM, *self.command(data, *urls)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )
        try:
            self.assertTrue(relay.held.wait(30), "no blob was on its way")
            archive = data / "archive"
            wait_until(
                lambda: len(list(archive.glob("entries/*/*/*.json"))) == 3, "the other entries"
            )
            self.assertEqual(len(list(archive.glob("blobs/*/*/*"))), 3)
            wait_until(lambda: self.spooled(data), "the start of the blob is here")
            [spooled] = self.spooled(data)
            self.assertLessEqual(spooled, PASSED_BYTES)
        finally:
            process.kill()
            process.wait()

    def test_with_certificates_as_slapos_cfg_names_them(self):
        source = self.sources["two hosts"]
        inner = Shacached(self.folder / "inner")
        shutil.copytree(source.data / "archive", inner.data / "archive")
        self.start(inner)
        authority = Authority(self.folder, "authority")
        nginx = self.start(Nginx(inner, self.folder, authority))
        client = self.client(nginx, self.folder)
        client.speak_tls(authority, authority.issue("importer"))
        config = ["--from-config", client.config_file]
        server = self.start(Shacached(self.folder / "data"))
        self.assertEqual(self.imported(server.data, *config), [4, 4, 0])
        self.check(server, inner)

        # Whom nobody here knows is not believed.
        done = subprocess.run(
            [PROGRAM, *self.command(self.folder / "empty", *self.urls(nginx))],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        self.assertEqual((done.returncode, done.stdout), (5, ""), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("cannot be reached: the request failed", done.stderr)
        self.assertIn("invalid peer certificate", done.stderr)
