"""The server's own TLS: the real client and ours, and the real client with certificates that no
authority would vouch for. The old client shows its certificate for downloads too."""

import contextlib
import resource
import socket
import ssl
import time
import urllib.request

from interop.both_ways import BothWays
from interop.folder_test import FolderTest
from interop.new_client import NewClient
from interop.nginx import Authority
from interop.python_client import PythonClient
from interop.server import Shacached

STALLED = 2000
BEGIN_OF_A_HELLO = b"\x16\x03\x01\x02\x00\x01"


class TlsShacached(Shacached):
    """A server that speaks TLS with a certificate of `authority`, and nothing else."""

    listen = "https://127.0.0.1:0"

    def __init__(self, folder, authority, *, settings=(), arguments=()):
        self.certificate_file = folder / "server.crt"
        self.key_file = folder / "server.key"
        self.show(authority.issue("server"))
        super().__init__(folder / "data", arguments=arguments, prefix=[
            "env", f"SHACACHED_TLS__CERTIFICATE={self.certificate_file}",
            f"SHACACHED_TLS__KEY={self.key_file}", *settings,
        ])

    def show(self, issued):
        """Puts another certificate in place, to be shown from the next start or hangup on."""
        self.certificate_file.write_bytes(issued.certificate_file.read_bytes())
        self.key_file.write_bytes(issued.key_file.read_bytes())


class Direct(BothWays, FolderTest):
    large_bytes = 20_000_000

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder, "authority")
        self.set_up(self.start(TlsShacached(self.folder, self.authority)))


class AnyCertificate(FolderTest):
    """Whoever is at the other end, downloads work. (The Python of today refuses a key of 1024 bits
    itself; that OpenSSL clients get through with one is tested with `openssl s_client`.)"""

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder, "authority")
        self.server = self.start(TlsShacached(self.folder, self.authority))
        self.file = self.folder / "file"
        self.file.write_bytes(b"for everyone")

    def client(self, identity):
        client = PythonClient(self.server, self.folder)
        client.speak_tls(self.authority, identity)
        return client

    def identities(self):
        stranger = Authority(self.folder, "stranger")
        return {
            "of the same authority": self.authority.issue("known"),
            "expired": self.authority.issue("expired", days=-1),
            "of an unknown authority": stranger.issue("unknown"),
            "its own issuer, CA:TRUE": stranger,
        }

    def test_downloads_work_with_any_certificate(self):
        self.client(self.authority.issue("uploader")).upload("-k", "key", "-f", self.file, "a=1")
        for name, identity in self.identities().items():
            with self.subTest(name):
                client = self.client(identity)
                self.assertEqual(client.download("-k", "key"), b"for everyone")
                self.assertEqual([entry["a"] for entry in client.list("-k", "key")], ["1"])

    def test_uploads_are_refused_over_http(self):
        """Not by a handshake: the client gets to hear why, and downloads go on."""
        client = self.client(self.authority.issue("uploader"))
        client.upload("-k", "key", "-f", self.file, "a=1")
        self.server.stop()
        closed = self.start(TlsShacached(
            self.folder, self.authority, settings=["SHACACHED_UPLOAD__POLICY=credentials"],
        ))
        self.server = closed
        other = self.folder / "other"
        other.write_bytes(b"of a stranger")
        for name, identity in self.identities().items():
            with self.subTest(name):
                client = self.client(identity)
                with self.assertRaisesRegex(AssertionError, r"\b403\b"):
                    client.upload("-k", "other", "-f", other, "a=1")
                self.assertEqual(client.download("-k", "key"), b"for everyone")
        self.assertEqual(len(list((self.folder / "data/archive/entries").glob("*/*/*.json"))), 1)

    def test_a_certificate_need_not_be_shown(self):
        self.client(self.authority.issue("uploader")).upload("-k", "key", "-f", self.file, "a=1")
        # The real client shows one always.
        new = NewClient(self.client(None).config_file)
        got = new.download("-k", "key", "--no-trust", "--any-key-binding")
        self.assertEqual(got, b"for everyone")

    def test_stalled_hellos_keep_nobody_out(self):
        raise_file_limit(STALLED + 1000)
        context = ssl.create_default_context(cafile=self.authority.certificate_file)

        url = self.server.base_url + "/healthz"

        def healthy():
            asked = time.monotonic()
            with urllib.request.urlopen(url, context=context) as answer:
                answer.read()
            return time.monotonic() - asked

        healthy()
        before = self.server.peak_memory_bytes()
        with contextlib.ExitStack() as stalled:
            for _ in range(STALLED):
                connection = stalled.enter_context(socket.create_connection(self.server.address))
                connection.sendall(BEGIN_OF_A_HELLO)
            self.assertLess(max(healthy() for _ in range(5)), 1)
            self.assertLess(self.server.peak_memory_bytes() - before, 64 << 20)


def raise_file_limit(wanted):
    """For this process and those that it starts from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
