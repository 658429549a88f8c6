"""The real client and ours behind nginx, which speaks TLS and lets nobody in who has no certificate
of its authority."""

from interop.both_ways import BothWays
from interop.folder_test import FolderTest
from interop.new_client import NewClient
from interop.nginx import Authority, Nginx
from interop.python_client import SOURCE_TARBALL
from interop.server import Shacached

# The old names send it as it is; nginx takes a `%` only before two hex digits.
REFUSED_BY_NGINX = "100%-not-an-escape"
NETWORK = 5


class Https(BothWays, FolderTest):
    refused_keys = (REFUSED_BY_NGINX,)

    def setUp(self):
        super().setUp()
        server = self.start(Shacached(self.folder / "data"))
        self.authority = Authority(self.folder, "authority")
        self.set_up(self.start(Nginx(server, self.folder, self.authority)))

    def test_a_key_that_only_shacache_gets_through(self):
        file = self.file("file", b"percent")
        with self.assertRaisesRegex(AssertionError, "400"):
            self.python.upload("-k", REFUSED_BY_NGINX, "-f", file, "by=python")
        self.new.upload("-k", REFUSED_BY_NGINX, file)
        self.assertEqual(self.new.download("-k", REFUSED_BY_NGINX), b"percent")

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
