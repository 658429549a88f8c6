"""The real client and ours, both directions: what one uploads and signs, the other downloads and
verifies. Ours is both `shacache` and the old command names that it is linked to."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from interop import tier
from interop.folder_test import FolderTest
from interop.http_client import get_entries
from interop.new_client import PROGRAM, DropInClient, NewClient
from interop.payload import Payload, sha512_of_stream
from interop.python_client import SOURCE_TARBALL, PythonClient, Signer, run
from interop.server import Shacached
from interop.test_commands import DECODED, KEYS, FileOrigin

# What the real client uploads says nothing about the key it is for.
UNBOUND = "--any-key-binding"
UNTRUSTED = 4


class NewClientTest(FolderTest):
    """A server, a signer whom everyone trusts, and the three clients with one configuration."""

    def setUp(self):
        super().setUp()
        self.server = self.start(Shacached(self.folder / "data"))
        self.signer = Signer(self.folder, "signer")
        self.python = PythonClient(
            self.server, self.folder, signer=self.signer, trusted=[self.signer]
        )
        self.drop_in = DropInClient(self.python.config_file, self.folder)
        self.new = NewClient(self.python.config_file)

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path


class EveryKey(NewClientTest):
    def test_every_key(self):
        for number, typed in enumerate(KEYS):
            with self.subTest(typed):
                self.check_key(typed, DECODED.get(typed, typed), number)

    def check_key(self, typed, key, number):
        """`typed` is what the old names put into the request as it is; `key` is what it means."""
        by_python, by_drop_in, by_new = (
            f"by {name} under key {number}".encode() for name in ("python", "drop-in", "new")
        )
        self.python.upload("-k", typed, "-f", self.file("file", by_python), "by=python")
        self.drop_in.upload("-k", typed, "-f", self.file("file", by_drop_in), "by=drop-in")
        self.new.upload("-k", key, "--meta", "by=new", self.file("file", by_new))

        listed = self.python.list("-k", typed)
        self.assertEqual([entry["by"] for entry in listed], ["python", "drop-in", "new"])
        self.assertEqual(self.drop_in.list("-k", typed), listed)
        self.assertEqual(self.new.list("-k", key, UNBOUND), listed)

        for client, name, arguments in (
            (self.python, typed, []), (self.drop_in, typed, []), (self.new, key, [UNBOUND]),
        ):
            for by, data in (("python", by_python), ("drop-in", by_drop_in), ("new", by_new)):
                got = client.download("-k", name, *arguments, f'by=="{by}"')
                self.assertEqual(got, data, f"{type(client).__name__} of what {by} uploaded")

    def test_a_key_is_typed_into_shacache_as_it_is(self):
        """Only the old names let the server decode what was typed."""
        for typed in DECODED:
            with self.subTest(typed):
                data = f"literally {typed}".encode()
                self.new.upload("-k", typed, self.file("file", data))
                self.assertEqual(self.new.download("-k", typed), data)
                self.assertEqual(self.python.download("-k", typed.replace("%", "%25")), data)
                self.assertEqual(get_entries(self.server, typed).status, 404)


class EveryFile(NewClientTest):
    def test_sizes(self):
        for size in (0, 1, 65535, 65536, 65537, 5_000_000):
            for uploader in (self.python, self.drop_in, self.new):
                with self.subTest(size=size, uploader=type(uploader).__name__):
                    # Each gives the server bytes that it does not have yet, if there are any.
                    seed = f"{size} {type(uploader).__name__}"
                    file = Payload(size, seed).write_to(self.folder / "file")
                    self.upload(uploader, file, f"size:{seed.replace(' ', ':')}")
                    self.check_downloads(f"size:{seed.replace(' ', ':')}", file.read_bytes())

    def upload(self, uploader, file, key):
        if uploader is self.new:
            uploader.upload("-k", key, file)
        else:
            uploader.upload("-k", key, "-f", file, "kind=size")

    def check_downloads(self, key, data):
        # Equal or not; their difference would fill the screen.
        self.assertTrue(self.python.download("-k", key) == data, "the real client's")
        self.assertTrue(self.drop_in.download("-k", key) == data, "the old names'")
        self.assertTrue(self.new.download("-k", key, UNBOUND) == data, "shacache's")
        target = self.folder / "target"
        self.new.download("-k", key, UNBOUND, "-o", target)
        self.assertTrue(target.read_bytes() == data, "shacache's file")

    def test_source_tarball_by_url(self):
        tarball = SOURCE_TARBALL.read_bytes()
        uploads = {
            "python": lambda url: self.python.upload("-u", url),
            "drop-in": lambda url: self.drop_in.upload("-u", url),
            "new": lambda url: self.new.upload(url),
            "new, from a file": lambda url: self.new.upload("--url", url, SOURCE_TARBALL),
        }
        for name, upload in uploads.items():
            with self.subTest(name), FileOrigin(tarball) as origin:
                upload(origin.url)
                # A `url` in the metadata is enough for `shacache` to know the key.
                for client in (self.python, self.drop_in, self.new):
                    self.assertTrue(client.download("-u", origin.url) == tarball, client)
                urlmd5 = hashlib.md5(origin.url.encode()).hexdigest()
                [entry] = self.python.list("-k", f"file-urlmd5:{urlmd5}")
                self.assertEqual(entry["url"], origin.url)
                self.assertEqual(entry["sha512"], hashlib.sha512(tarball).hexdigest())
                self.assertEqual(self.new.list(origin.url), [entry])

    def test_folder_as_url(self):
        for uploader, arguments in (
            (self.python, ["-u"]), (self.drop_in, ["-u"]), (self.new, None),
        ):
            name = type(uploader).__name__
            with self.subTest(name):
                source = self.folder / f"source-{name}"
                source.mkdir()
                (source / "README").write_text(name)
                (source / "link").symlink_to("/absolute")
                uploader.upload(*([source, "-u", source] if arguments is None else ["-u", source]))
                archives = [
                    client.download("-u", source)
                    for client in (self.python, self.drop_in, self.new)
                ]
                self.assertEqual(len(set(archives)), 1)
                with tarfile.open(fileobj=io.BytesIO(archives[0]), mode="r:gz") as tar:
                    readme = tar.extractfile(f"source-{name}/README").read()
                    self.assertEqual(readme, name.encode())
                    self.assertEqual(tar.getmember(f"source-{name}/link").linkname, "/absolute")

    def test_a_large_file(self):
        size = 1 << 30 if tier.LONG else 100_000_000
        for uploader, downloaders in (
            (self.python, (self.drop_in, self.new)), (self.new, (self.python,)),
        ):
            payload = Payload(size, seed=type(uploader).__name__)
            key = f"large:{type(uploader).__name__}"
            file = payload.write_to(self.folder / "file")
            self.upload(uploader, file, key)
            file.unlink()
            for downloader in downloaders:
                unbound = [UNBOUND] if downloader is self.new else []
                with downloader.start_download("-k", key, *unbound) as download:
                    got = sha512_of_stream(download.stdout)
                self.assertEqual(download.returncode, 0)
                self.assertEqual(got, (payload.sha512(), size))


class Verification(NewClientTest):
    def test_what_a_stranger_signed_does_not_exist(self):
        stranger = Signer(self.folder, "stranger")
        strange = PythonClient(self.server, self.folder, signer=stranger, trusted=[stranger])
        file = self.file("file", b"of a stranger")
        strange.upload("-k", "python's", "-f", file, "by=stranger")
        NewClient(strange.config_file).upload("-k", "new's", file)
        for key in ("python's", "new's"):
            with self.subTest(key):
                for client in (self.python, self.drop_in):
                    with self.assertRaisesRegex(AssertionError, "No result found"):
                        client.download("-k", key)
                code, complaint = self.new.refused("download", "-k", key, UNBOUND)
                self.assertEqual(code, UNTRUSTED, complaint)
                # It is there for those who trust the stranger.
                for client in (strange, DropInClient(strange.config_file, self.folder)):
                    self.assertEqual(client.download("-k", key), b"of a stranger")

    def test_an_entry_that_does_not_name_its_key_has_to_be_asked_for(self):
        file = self.file("file", b"unbound")
        self.python.upload("-k", "unbound", "-f", file, "by=python")
        code, complaint = self.new.refused("download", "-k", "unbound")
        self.assertEqual(code, UNTRUSTED)
        self.assertIn("which key", complaint)
        self.assertEqual(self.new.download("-k", "unbound", UNBOUND), b"unbound")

    def test_what_both_sign_is_the_same_text(self):
        """The same metadata from the same file: one entry, since text and signature are equal."""
        metadata = self.file("metadata.json", json.dumps(METADATA).encode())
        for key, arguments in (("file", ["-m", metadata]), ("words", ["é=ü", "a=\x7f\t\"\\"])):
            with self.subTest(key):
                file = self.file("file", key.encode())
                self.python.upload("-k", key, "-f", file, *arguments)
                self.drop_in.upload("-k", key, "-f", file, *arguments)
                self.assertEqual(len(json.loads(get_entries(self.server, key).body)), 1)

    def test_signing_keys_that_our_programs_make(self):
        for name, make in (
            ("old-name", [self.drop_in.programs / "generate-signature-key", "--cert-file"]),
            ("shacache", [PROGRAM, "keygen", "--cert-file"]),
        ):
            with self.subTest(name):
                ours = OurSigner(self.folder, name, make)
                python = PythonClient(self.server, self.folder, signer=ours, trusted=[ours])
                new = NewClient(python.config_file)
                python.upload("-k", f"{name}-1", "-f", self.file("file", b"1"), "by=python")
                new.upload("-k", f"{name}-2", self.file("file", b"2"))
                self.assertEqual(new.download("-k", f"{name}-1", UNBOUND), b"1")
                self.assertEqual(python.download("-k", f"{name}-2"), b"2")


class OurSigner(Signer):
    """A key and its certificate, made by our program."""

    def __init__(self, folder, name, make):
        self.key_file = Path(folder, f"{name}.key")
        self.certificate_file = Path(folder, f"{name}.crt")
        run(*make, self.certificate_file, self.key_file, name)


METADATA = {
    "text": "\u00e9\u2028\U0001f600\u007f\"\\/<>&'", "nothing": None, "yes": True,
    "list": [1, [], {}],
    "numbers": [0, -1, 1e22, 1e16, 0.1, 1.5e-7, 123456789012345678901234567890, -0.0],
    "not finite": [float("nan"), float("inf"), float("-inf")], "": {"b": 1, "a": 2},
}
