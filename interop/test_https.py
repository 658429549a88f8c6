"""The real client and ours, both directions, over HTTPS with client certificates: nginx lets nobody
in who has none."""

from interop import tier
from interop.folder_test import FolderTest
from interop.new_client import DropInClient, NewClient
from interop.nginx import Authority, Nginx
from interop.payload import Payload, sha512_of_stream
from interop.python_client import SOURCE_TARBALL, PythonClient, Signer
from interop.server import Shacached
from interop.test_commands import DECODED, KEYS, FileOrigin

# What the real client uploads says nothing about the key it is for.
UNBOUND = "--any-key-binding"
# The old names send it as it is; nginx takes a `%` only before two hex digits.
REFUSED_BY_NGINX = "100%-not-an-escape"
NETWORK = 5


class Https(FolderTest):
    def setUp(self):
        super().setUp()
        self.server = self.start(Shacached(self.folder / "data"))
        self.authority = Authority(self.folder, "authority")
        self.proxy = self.start(Nginx(self.server, self.folder, self.authority))
        self.signer = Signer(self.folder, "signer")
        self.python = self.client(self.authority, self.authority.issue("client"))
        self.drop_in = DropInClient(self.python.config_file, self.folder)
        self.new = NewClient(self.python.config_file)

    def client(self, authority, identity):
        """The real client that believes `authority` and shows `identity`, if any."""
        client = PythonClient(self.proxy, self.folder, signer=self.signer, trusted=[self.signer])
        with client.config_file.open("a") as file:
            for service in ("shacache", "shadir"):
                file.write(f"{service}-ca-file = {authority.certificate_file}\n")
                if identity:
                    file.write(f"{service}-cert-file = {identity.certificate_file}\n")
                    file.write(f"{service}-key-file = {identity.key_file}\n")
        return client

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def test_every_key(self):
        for typed in KEYS:
            if typed == REFUSED_BY_NGINX:
                continue
            with self.subTest(typed):
                key = DECODED.get(typed, typed)
                by_python, by_new = f"python {key}".encode(), f"new {key}".encode()
                self.python.upload("-k", typed, "-f", self.file("file", by_python), "by=python")
                self.new.upload("-k", key, "--meta", "by=new", self.file("file", by_new))
                listed = self.python.list("-k", typed)
                self.assertEqual([entry["by"] for entry in listed], ["python", "new"])
                self.assertEqual(self.new.list("-k", key, UNBOUND), listed)
                self.assertEqual(self.python.download("-k", typed, 'by=="new"'), by_new)
                self.assertEqual(self.drop_in.download("-k", typed, 'by=="new"'), by_new)
                self.assertEqual(self.new.download("-k", key, 'by=="python"', UNBOUND), by_python)

    def test_a_key_that_only_shacache_gets_through(self):
        file = self.file("file", b"percent")
        with self.assertRaisesRegex(AssertionError, "400"):
            self.python.upload("-k", REFUSED_BY_NGINX, "-f", file, "by=python")
        self.new.upload("-k", REFUSED_BY_NGINX, file)
        self.assertEqual(self.new.download("-k", REFUSED_BY_NGINX), b"percent")

    def test_every_file(self):
        large = 1 << 30 if tier.LONG else 100_000_000
        for size in (0, 1, 65536, large):
            for uploader in (self.python, self.drop_in, self.new):
                with self.subTest(size=size, uploader=type(uploader).__name__):
                    self.check_file(uploader, size)

    def check_file(self, uploader, size):
        payload = Payload(size, seed=type(uploader).__name__)
        key = f"{size}:{type(uploader).__name__}"
        file = payload.write_to(self.folder / "file")
        if uploader is self.new:
            uploader.upload("-k", key, file)
        else:
            uploader.upload("-k", key, "-f", file, "kind=size")
        file.unlink()
        for downloader in (self.new, self.drop_in) if uploader is self.python else (self.python,):
            unbound = [UNBOUND] if downloader is self.new else []
            with downloader.start_download("-k", key, *unbound) as download:
                got = sha512_of_stream(download.stdout)
            self.assertEqual(download.returncode, 0)
            self.assertEqual(got, (payload.sha512(), size))

    def test_source_tarball_by_url(self):
        tarball = SOURCE_TARBALL.read_bytes()
        for upload in (
            lambda url: self.python.upload("-u", url),
            lambda url: self.drop_in.upload("-u", url),
            lambda url: self.new.upload(url),
        ):
            with FileOrigin(tarball) as origin:
                upload(origin.url)
                for client in (self.python, self.drop_in, self.new):
                    self.assertTrue(client.download("-u", origin.url) == tarball, client)

    def test_who_is_not_let_in_is_told_so(self):
        self.new.upload("-k", "key", self.file("file", b"for those who are let in"))
        stranger = Authority(self.folder, "stranger")
        for name, client in (
            ("no certificate", self.client(self.authority, None)),
            ("one of a stranger", self.client(self.authority, stranger.issue("client"))),
            ("another authority", self.client(stranger, self.authority.issue("other"))),
        ):
            with self.subTest(name):
                new = NewClient(client.config_file)
                for command in (["download", "-k", "key"], ["upload", SOURCE_TARBALL]):
                    code, complaint = new.refused(*command)
                    self.assertEqual(code, NETWORK, complaint)
                    self.assertRegex(complaint, "(?i)certificate|400 Bad Request")
                with self.assertRaises(AssertionError):
                    client.download("-k", "key")
        self.assertEqual(len(list((self.folder / "data/archive/entries").glob("*/*/*.json"))), 1)
