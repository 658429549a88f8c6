"""slapos.core and slapcache read what our client uploaded; ours installs what slapos.core did."""

import base64
import hashlib
import json
import os
import subprocess
import tarfile

from interop.folder_test import FolderTest
from interop.new_client import NewClient
from interop.python_client import SLAPOS_ENVIRONMENT, PythonClient, Signer, run, run_in
from interop.server import Shacached

SOFTWARE_URL = "http://example.com/software/release-1.0/software.cfg"
UPGRADE_KEY = "slapos-upgrade-testing-key"


class SlaposTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.server = self.start(Shacached(self.folder / "data"))
        signer = Signer(self.folder, "signer")
        self.python = PythonClient(self.server, self.folder, signer=signer, trusted=[signer])
        self.config_file = self.python.config_file
        with self.config_file.open("a") as file:
            for direction in ("download", "upload"):
                file.write(f"{direction}-binary-cache-url = {self.server.cache_url}\n")
                file.write(f"{direction}-binary-dir-url = {self.server.directory_url}\n")
            file.write(f"[shacache]\nkey = {UPGRADE_KEY}\n")
        self.new = NewClient(self.config_file)
        stranger = Signer(self.folder, "stranger")
        strange = PythonClient(self.server, self.folder, signer=stranger, trusted=[stranger])
        self.strange = NewClient(strange.config_file)

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path


class CacheLookup(SlaposTest):
    """`slapos cachelookup` shows an entry as a row whose last column says who signed it."""

    def lookup(self, kind, *arguments):
        """The rows of the table that it prints, each as its words."""
        done = subprocess.run(
            [
                SLAPOS_ENVIRONMENT / "bin/slapos", "cachelookup", kind, "--cfg", self.config_file,
                *arguments,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        # Of the three commands one logs its table, with the time before each line.
        lines = [line.rpartition("] INFO ")[2] for line in done.stdout.splitlines()]
        first, second, third = (
            number for number, line in enumerate(lines) if line.startswith("-----")
        )
        self.assertEqual(second, first + 2, done.stdout)
        return [line.split() for line in lines[second + 1 : third]]

    def test_url(self):
        url = "http://example.com/source-1.0.tar.gz"
        for client, data in ((self.new, b"trusted"), (self.strange, b"strange")):
            client.upload("--url", url, self.file("file", data))
        self.assertEqual(self.lookup("url", url), [
            [url, hashlib.sha512(b"trusted").hexdigest(), "True"],
            [url, hashlib.sha512(b"strange").hexdigest(), "False"],
        ])

    def test_pypi(self):
        name = "hello-1.0.tar.gz"
        for client, data in ((self.new, b"trusted"), (self.strange, b"strange")):
            file = self.file(name, data)
            client.upload("-k", "pypi:hello=1.0", "--meta", f"basename={name}", file)
        self.assertEqual(self.lookup("pypi", "hello", "1.0"), [
            [name, hashlib.sha512(b"trusted").hexdigest(), "True"],
            [name, hashlib.sha512(b"strange").hexdigest(), "False"],
        ])

    def test_binary_release(self):
        release = built_release(self.folder)
        self.new.succeed("software upload", "--software-url", SOFTWARE_URL, release)
        self.new.succeed(
            "software upload", "--software-url", SOFTWARE_URL, "--multiarch", "another-cpu", release
        )
        rows = self.lookup("binary-sr", SOFTWARE_URL)
        self.assertEqual([row[0] for row in rows], sorted(["another-cpu", this_machine()]))
        compatible_and_verified = {row[0]: row[-2:] for row in rows}
        self.assertEqual(
            compatible_and_verified,
            {"another-cpu": ["no", "yes"], this_machine(): ["yes", "yes"]},
        )


class BinaryRelease(SlaposTest):
    def test_uploaded_by_us_and_installed_by_slapos_core(self):
        release = built_release(self.folder)
        self.new.succeed("software upload", "--software-url", SOFTWARE_URL, release)
        archive = self.folder / "archive"
        self.slapos("download", release.parent, archive)
        installed = self.folder / "installed"
        # As slapos.core unpacks it.
        with tarfile.open(archive) as tar:
            tar.extractall(installed, filter="fully_trusted")
        key = hashlib.md5(SOFTWARE_URL.encode()).hexdigest()
        self.assertEqual(tree(installed / key), tree(release))

    def test_uploaded_by_slapos_core_and_installed_by_us(self):
        release = built_release(self.folder)
        archive = self.folder / "archive"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(release, arcname=release.name)
        self.slapos("upload", release.parent, archive)
        installed = self.folder / "installed"
        installed.mkdir()
        self.new.succeed("software download", "--software-url", SOFTWARE_URL, installed)
        self.assertEqual(tree(installed / release.name), tree(release))

    def slapos(self, action, software_root, archive):
        run_in(
            SLAPOS_ENVIRONMENT, "slapos_binary.py", action, self.config_file, SOFTWARE_URL,
            software_root, archive,
        )


class Slapcache(SlaposTest):
    def test_takes_the_entry_with_the_largest_timestamp(self):
        contents = [(1.5, b"old"), (2_000_000_000.25, b"newest"), (3, b"middle")]
        for timestamp, data in contents:
            self.upload(data, json.dumps({"timestamp": timestamp}).encode())
        self.assertEqual(self.download(), b"newest")

    def test_takes_the_last_upload(self):
        for data in (b"first", b"second", b"third"):
            self.upload(data, b"{}")
            self.assertEqual(self.download(), data)

    def test_ignores_a_stranger(self):
        self.upload(b"trusted", b"{}")
        self.strange.upload("-k", UPGRADE_KEY, self.file("file", b"strange"))
        self.assertEqual(self.download(), b"trusted")

    def upload(self, data, metadata):
        """The file and, as slapcache wants it, its checksum under a key beside."""
        checksum = base64.b64encode(hashlib.sha256(data).digest())
        metadata = self.file("metadata.json", metadata)
        for key, content in ((UPGRADE_KEY, data), (f"{UPGRADE_KEY}-sha256-content", checksum)):
            self.new.upload("-k", key, "-m", metadata, self.file("file", content))

    def download(self):
        target = self.folder / "target"
        run(
            SLAPOS_ENVIRONMENT / "bin/slapcache-download",
            "--slapos-configuration", self.config_file, "--destination", target,
        )
        return target.read_bytes()


def built_release(folder):
    """A folder as buildout leaves it, under the name that SlapOS gives it."""
    release = folder / "root" / hashlib.md5(SOFTWARE_URL.encode()).hexdigest()
    (release / "bin").mkdir(parents=True)
    program = release / "bin/program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (release / "empty").mkdir()
    (release / "absolute").symlink_to(program)
    (release / "relative").symlink_to("bin/program")
    os.link(program, release / "same")
    return release


def tree(folder):
    """What is in a folder: kind, mode and content of each name."""
    found = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if path.is_symlink():
            content = os.readlink(path)
        else:
            content = path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (oct(mode), content)
    return found


def this_machine():
    return run("gcc", "-dumpmachine").decode().strip()
