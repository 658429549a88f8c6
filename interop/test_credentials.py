"""The real client as somebody who is known: by a name and a password in its URLs, by the certificate
that it shows, and by both a password and a signature."""

import subprocess

from interop.folder_test import FolderTest
from interop.http_client import get_blob, get_entries, post_blob
from interop.nginx import Authority
from interop.python_client import PythonClient, Signer
from interop.server import Shacached
from interop.test_signed import fingerprint
from interop.test_tls import TlsShacached

KEY = "file-urlmd5:credentials"
PASSWORD = "correct-horse-battery"


class Known(FolderTest):
    def setUp(self):
        super().setUp()
        self.config = self.folder / "server.toml"
        self.file = self.folder / "file"
        self.file.write_bytes(b"from somebody who is known")

    def upload(self, client, key=KEY):
        client.upload("-k", key, "-f", self.file, "a=1")

    def refused(self, client, status, key=KEY):
        """The upload ends with this status."""
        with self.assertRaisesRegex(AssertionError, rf"\b{status}\b"):
            self.upload(client, key)

    def stored(self, server):
        """How many blobs and entries there are."""
        archive = server.data / "archive"
        return (
            len(list(archive.glob("blobs/*/*/*"))), len(list(archive.glob("entries/*/*/*.json")))
        )


class Passwords(Known):
    """With Python 3 the client of today ends with a TypeError over a name in a URL, before it sends
    anything; `log_in.py` runs it as Python 2 did."""

    def upload(self, client, key=KEY):
        client.upload_logged_in("-k", key, "-f", self.file, "a=1")

    def server(self, policy, trust=""):
        self.config.write_text(f'[upload]\npolicy = "{policy}"\n{trust}')
        server = self.start(Shacached(self.folder / "data", arguments=["--config", self.config]))
        self.add(server, "uploader", "--role", "upload", "--role", "put", "--key", "file-*")
        return server

    def add(self, server, name, *options):
        """Gives somebody the password that everybody has here."""
        subprocess.run(
            [server.program, "token", "new", name, *options, "--password", "--data", server.data],
            input=PASSWORD + "\n", text=True, check=True, capture_output=True,
        )

    def client(self, server, name, password=PASSWORD, **more):
        return PythonClient(LoggedIn(server, name, password), self.folder, **more)

    def test_a_password_in_the_url(self):
        server = self.server("credentials")
        self.refused(self.client(server, "uploader", "another-password"), 401)
        self.refused(self.client(server, "nobody"), 401)
        self.refused(PythonClient(server, self.folder), 401)
        self.assertEqual(self.stored(server), (0, 0))
        self.upload(self.client(server, "uploader"))
        self.assertEqual(self.stored(server), (1, 1))
        # Who downloads needs none, and whoever has a wrong one downloads too.
        for client in (PythonClient(server, self.folder),
                       self.client(server, "uploader"),
                       self.client(server, "uploader", "another-password")):
            self.assertEqual(client.download_logged_in("-k", KEY), self.file.read_bytes())

    def test_what_python_3_makes_of_it(self):
        server = self.server("credentials")
        with self.assertRaisesRegex(AssertionError, "TypeError"):
            self.client(server, "uploader").upload("-k", KEY, "-f", self.file, "a=1")
        self.assertFalse(any("shacache" in line for line in server.log if "POST" in line))

    def test_the_rights_of_a_password(self):
        server = self.server("credentials")
        self.add(server, "reader", "--role", "read")
        self.refused(self.client(server, "reader"), 403)
        self.assertEqual(self.stored(server), (0, 0))
        self.refused(self.client(server, "uploader"), 403, key="pypi:a=1")
        self.assertEqual(self.stored(server), (1, 0))

    def test_a_token_in_the_place_of_a_password(self):
        server = self.server("credentials")
        made = subprocess.run(
            [server.program, "token", "new", "builder", "--role", "upload", "--role", "put",
             "--data", server.data],
            text=True, check=True, capture_output=True,
        )
        token = made.stdout.split()[-1]
        self.refused(self.client(server, "uploader", token), 401)
        self.upload(self.client(server, "builder", token))
        subprocess.run([server.program, "token", "revoke", "builder", "--data", server.data],
                       check=True, capture_output=True)
        self.refused(self.client(server, "builder", token), 401)

    def test_credentials_and_a_signature(self):
        listed, stranger = Signer(self.folder, "listed"), Signer(self.folder, "stranger")
        server = self.server("credentials+signed", "[trust]\n"
                             f'certificates = ["{listed.certificate_file}"]\n')
        unknown = PythonClient(server, self.folder, signer=listed, trusted=[listed])
        self.refused(unknown, 401)
        self.assertEqual(self.stored(server), (0, 0))
        for client in (self.client(server, "uploader", signer=stranger, trusted=[stranger]),
                       self.client(server, "uploader")):
            self.refused(client, 403)
            self.assertEqual(get_entries(server, KEY).status, 404)
        self.upload(self.client(server, "uploader", signer=listed, trusted=[listed]))
        self.assertEqual(unknown.download("-k", KEY), self.file.read_bytes())
        self.assertEqual(self.stored(server), (1, 1))

    def test_a_blob_for_which_nobody_vouches(self):
        """Under credentials it is served once it is there; nothing lies apart."""
        server = self.server("credentials")
        self.assertEqual(post_blob(server, b"of nobody").status, 401)
        self.upload(self.client(server, "uploader"))
        [blob] = server.data.glob("archive/blobs/*/*/*")
        self.assertEqual(get_blob(server, blob.name).status, 200)
        self.assertEqual(list((server.data / "unclaimed").iterdir()), [])


class Certificates(Known):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder, "authority")
        self.builders = Authority(self.folder, "builders")
        self.pinned = Authority(self.folder, "pinned")
        self.config.write_text(
            '[upload]\npolicy = "credentials"\n'
            '[[identity]]\nname = "factory"\nroles = ["upload", "put"]\n'
            f'authorities = "{self.builders.certificate_file}"\ncommon-names = ["builder"]\n'
            '[[identity]]\nname = "pinned"\nroles = ["upload", "put"]\n'
            f'certificates = ["{fingerprint(self.pinned.certificate_file)}"]\n'
        )
        self.server = self.start(TlsShacached(
            self.folder, self.authority, arguments=["--config", self.config],
        ))

    def client(self, identity):
        client = PythonClient(self.server, self.folder)
        client.speak_tls(self.authority, identity)
        return client

    def test_a_certificate_of_the_authority_or_a_listed_key(self):
        strangers = {
            "an unlisted key": Authority(self.folder, "stranger"),
            "another name": self.builders.issue("other"),
            "another authority": self.authority.issue("builder"),
            "expired": self.expired(),
        }
        for identity in strangers.values():
            self.refused(self.client(identity), 403)
        self.assertEqual(self.stored(self.server), (0, 0))
        # Self-signed, CA:TRUE, of nobody's making but its own: its key is listed.
        self.upload(self.client(self.pinned))
        self.upload(self.client(self.builders.issue("builder")), "another-key")
        self.assertEqual(self.stored(self.server), (1, 2))
        for name, identity in strangers.items():
            with self.subTest(name):
                client = self.client(identity)
                self.assertEqual(client.download("-k", KEY), self.file.read_bytes())

    def expired(self):
        """Of the right authority and name."""
        folder = self.builders.folder
        issued = self.builders.issue("builder", days=-1)
        for file in (issued.key_file, issued.certificate_file):
            file.rename(folder / f"expired-{file.name}")
        issued.key_file = folder / f"expired-{issued.key_file.name}"
        issued.certificate_file = folder / f"expired-{issued.certificate_file.name}"
        return issued


class LoggedIn:
    """Looks like a server to clients, with a name and a password in its URLs."""

    def __init__(self, server, name, password):
        scheme, _, rest = server.base_url.partition("://")
        base_url = f"{scheme}://{name}:{password}@{rest}"
        self.cache_url = base_url + "/shacache"
        self.directory_url = base_url + "/shadir"
