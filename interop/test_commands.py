"""The real `networkcache-upload` and `networkcache-download` with files and keys from the field."""

import hashlib
import http.server
import io
import json
import tarfile
import threading

from interop.folder_test import FolderTest
from interop.http_client import get_blob, get_entries
from interop.payload import Payload, sha512_of_stream
from interop.python_client import SOURCE_TARBALL, PythonClient, Signer
from interop.server import Shacached

# As typed on the command line; the client puts them into the request as they are.
KEYS = [
    "file-urlmd5:d41d8cd98f00b204e9800998ecf8427e",
    "pypi:setuptools=75.8.0",
    "'slapos-upgrade-testing-key-with-config-file'",
    "pypi-index-0cc175b9c0f1b6a831c399e269772661-setuptools>=1.0",
    "pypi-index-0cc175b9c0f1b6a831c399e269772661-setuptools<76",
    "pypi-index-0cc175b9c0f1b6a831c399e269772661-setuptools[core]~=75.8,!=75.1",
    "encoded%2Fslash",
    "plain/slash",
    "a`backtick`",
    "Capitals-And-UPPER",
    "with%20a%20space",
    "trailing/",
    "100%-not-an-escape",
]

# The keys that the server decodes to something else than what was typed.
DECODED = {"encoded%2Fslash": "encoded/slash", "with%20a%20space": "with a space"}


class Commands(FolderTest):
    def setUp(self):
        super().setUp()
        self.server = self.start(Shacached(self.folder / "data"))
        self.signer = Signer(self.folder, "signer")
        self.signing = PythonClient(
            self.server, self.folder, signer=self.signer, trusted=[self.signer]
        )
        self.unsigned = PythonClient(self.server, self.folder)

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def test_every_key_signed_and_unsigned(self):
        for number, key in enumerate(KEYS):
            with self.subTest(key):
                data = f"data of key {number}".encode()
                file = self.file("file", data)
                self.unsigned.upload("-k", key, "-f", file, "kind=unsigned")
                self.signing.upload("-k", key, "-f", file, "kind=signed")
                # What is not signed does not exist for the one who trusts only the signer.
                self.assertEqual([e["kind"] for e in self.signing.list("-k", key)], ["signed"])
                self.assertEqual(
                    [e["kind"] for e in self.unsigned.list("-k", key)], ["unsigned", "signed"]
                )
                self.assertEqual(self.signing.download("-k", key), data)

    def test_escapes_are_decoded_once(self):
        for typed, decoded in DECODED.items():
            with self.subTest(typed):
                file = self.file("file", decoded.encode())
                self.unsigned.upload("-k", typed, "-f", file, "kind=any")
                every_byte_escaped = "".join(f"%{byte:02X}" for byte in decoded.encode())
                self.assertEqual(
                    get_entries(self.server, every_byte_escaped).body,
                    get_entries(self.server, typed).body,
                )
                self.assertEqual(get_entries(self.server, typed.replace("%", "%25")).status, 404)

    def test_sizes(self):
        for size in (0, 1, 65535, 65536, 65537, 5_000_000):
            with self.subTest(size):
                file = Payload(size, seed=size).write_to(self.folder / "file")
                self.signing.upload("-k", f"size:{size}", "-f", file, "kind=size")
                self.assertEqual(self.signing.download("-k", f"size:{size}"), file.read_bytes())

    def test_one_gibibyte(self):
        payload = Payload(1 << 30)
        file = payload.write_to(self.folder / "file")
        self.signing.upload("-k", "large", "-f", file, "kind=large")
        file.unlink()
        with self.signing.start_download("-k", "large") as download:
            got = sha512_of_stream(download.stdout)
        self.assertEqual(download.returncode, 0)
        self.assertEqual(got, (payload.sha512(), 1 << 30))

    def test_source_tarball_by_url(self):
        with FileOrigin(SOURCE_TARBALL.read_bytes()) as origin:
            self.signing.upload("-u", origin.url)
        self.assertEqual(self.signing.download("-u", origin.url), SOURCE_TARBALL.read_bytes())
        [entry] = self.signing.list("-u", origin.url)
        self.assertEqual(entry["url"], origin.url)
        urlmd5 = hashlib.md5(origin.url.encode()).hexdigest()
        self.assertEqual(self.signing.list("-k", f"file-urlmd5:{urlmd5}"), [entry])

    def test_folder_as_url(self):
        source = self.folder / "source"
        source.mkdir()
        (source / "README").write_text("in the archive")
        self.signing.upload("-u", source)
        got = self.signing.download("-u", source)
        with tarfile.open(fileobj=io.BytesIO(got), mode="r:gz") as tar:
            self.assertEqual(tar.extractfile("source/README").read(), b"in the archive")

    def test_file_without_key_is_stored_but_not_listed(self):
        digest = hashlib.sha512(b"no key").hexdigest()
        self.signing.upload("-f", self.file("file", b"no key"))
        self.assertEqual(get_blob(self.server, digest).body, b"no key")
        self.assertFalse(any((self.folder / "data/archive/entries").glob("*/*/*.json")))

    def test_filters_see_every_entry_in_order(self):
        for number in (4.5, 1, 3, 2):
            metadata = self.file("m.json", json.dumps({"n": number, "v": [4, number]}).encode())
            data = self.file("file", f"version {number}".encode())
            self.signing.upload("-k", "many", "-f", data, "-m", metadata)

        def numbers(*filters):
            return [entry["n"] for entry in self.signing.list("-k", "many", *filters)]

        self.assertEqual(numbers(), [4.5, 1, 3, 2])
        self.assertEqual(numbers("n>=2"), [4.5, 3, 2])
        self.assertEqual(numbers("v>=[4,2]", "n<<Infinity"), [2])
        self.assertEqual(numbers("n>>-Infinity"), [4.5])
        self.assertEqual(self.signing.download("-k", "many", "n<2"), b"version 1")
        with self.assertRaisesRegex(AssertionError, "No result found with given criteria"):
            self.signing.list("-k", "many", "n>5")

    def test_uploading_again_adds_nothing(self):
        file = self.file("file", b"again")
        for _ in range(2):
            self.signing.upload("-k", "again", "-f", file, "kind=same")
        self.assertEqual(len(self.signing.list("-k", "again")), 1)


class FileOrigin:
    """A plain web server that gives one file, as a context manager."""

    def __init__(self, data):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Keeps the test's output to results."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/source.tar.gz"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
