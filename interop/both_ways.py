"""The real client and ours, both directions, over HTTPS. Whatever speaks TLS is chosen by the test
cases that are made of this."""

from interop import tier
from interop.new_client import DropInClient, NewClient
from interop.nginx import Authority
from interop.payload import Payload, sha512_of_stream
from interop.python_client import SOURCE_TARBALL, PythonClient, Signer
from interop.test_commands import DECODED, KEYS, FileOrigin

# What the real client uploads says nothing about the key it is for.
UNBOUND = "--any-key-binding"


class BothWays:
    """For a test case that has a `front`: what looks like a server and speaks TLS with a
    certificate of `self.authority`. `refused_keys` are those that it does not let through."""

    refused_keys = ()
    large_bytes = 100_000_000

    def set_up(self, front):
        self.front = front
        self.signer = Signer(self.folder, "signer")
        self.python = self.client(self.authority, self.authority.issue("client"))
        self.drop_in = DropInClient(self.python.config_file, self.folder)
        self.new = NewClient(self.python.config_file)

    def client(self, authority, identity):
        """The real client that believes `authority` and shows `identity`, if any."""
        client = PythonClient(self.front, self.folder, signer=self.signer, trusted=[self.signer])
        client.speak_tls(authority, identity)
        return client

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def test_every_key(self):
        for typed in KEYS:
            if typed in self.refused_keys:
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

    def test_every_file(self):
        large = 1 << 30 if tier.LONG else self.large_bytes
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
