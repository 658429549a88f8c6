"""The server's own TLS: the real client and ours, and the real client with certificates that no
authority would vouch for. The old client shows its certificate for downloads too."""

import json
import ssl

from interop.both_ways import BothWays
from interop.folder_test import FolderTest
from interop.nginx import Authority
from interop.python_client import PythonClient, Signer, run
from interop.server import Shacached, wait_until


class TlsShacached(Shacached):
    """A server that speaks TLS with a certificate of `authority`, and nothing else."""

    listen = "https://127.0.0.1:0"

    def __init__(self, folder, authority):
        self.certificate_file = folder / "server.crt"
        self.key_file = folder / "server.key"
        self.show(authority.issue("server"))
        super().__init__(folder / "data", prefix=[
            "env", f"SHACACHED_TLS__CERTIFICATE={self.certificate_file}",
            f"SHACACHED_TLS__KEY={self.key_file}",
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
    """Whoever is at the other end, downloads work."""

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
            "no certificate": None,
            "of the same authority": self.authority.issue("known"),
            "expired": self.authority.issue("expired", days=-1),
            "of an unknown authority": stranger.issue("unknown"),
            "its own issuer, CA:TRUE": stranger,
            # 1024 bits, CA:TRUE, valid for a hundred years.
            "made by generate-signature-key": Signer(self.folder, "signature"),
        }

    def test_downloads_work_with_any_certificate(self):
        self.client(None).upload("-k", "key", "-f", self.file, "a=1")
        for name, identity in self.identities().items():
            with self.subTest(name):
                client = self.client(identity)
                self.assertEqual(client.download("-k", "key"), b"for everyone")
                self.assertEqual([entry["a"] for entry in client.list("-k", "key")], ["1"])
