"""The packages install, start, serve and upgrade in a clean Debian, and take no data away."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from interop.server import CHECKOUT, PROGRAM, wait_until
from packages.debian import Debian

SERVER = "http://127.0.0.1:8080"
SERVICE = "shacached.service"
SOCKET = "shacached.socket"
# Tenths, as systemd-analyze has it on the command line.
EXPOSURE_LIMIT = 25


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        held = tempfile.TemporaryDirectory(prefix="shacache-packages-")
        cls.addClassCleanup(held.cleanup)
        cls.folder = Path(held.name)
        cls.first = build(cls.folder / "first", None)
        cls.next = build(cls.folder / "next", "99.0.0")

    def setUp(self):
        self.debian = Debian(self.folder / "root")
        self.addCleanup(shutil.rmtree, self.debian.root)
        self.debian.__enter__()
        self.addCleanup(self.debian.__exit__)
        self.install(self.first)

    def install(self, packages):
        for package in packages:
            shutil.copy(package, self.debian.root / "root")
        self.debian.run("dpkg", "--install", *(f"/root/{package.name}" for package in packages))

    def wait_for_service(self):
        wait_until(
            lambda: self.debian.property(SERVICE, "ActiveState") == "active",
            "the service is active",
        )

    def upload(self, content):
        """Puts bytes into the cache and gives their digest."""
        (self.debian.root / "root/file").write_bytes(content)
        self.debian.run("shacache", "upload", "--server", SERVER, "/root/file")
        return hashlib.sha512(content).hexdigest()

    def download(self, digest):
        self.debian.run(
            "shacache", "download", "--quiet", "--server", SERVER, digest, "-o", "/root/back",
        )
        content = (self.debian.root / "root/back").read_bytes()
        (self.debian.root / "root/back").unlink()
        self.assertEqual(hashlib.sha512(content).hexdigest(), digest)

    def test_install_serve_upgrade_purge(self):
        debian = self.debian
        self.wait_for_service()
        digest = self.upload(os.urandom(300_000))
        self.download(digest)

        data = debian.root / "var/lib/shacache"
        self.assertEqual(data.stat().st_mode & 0o7777, 0o750)
        owner = debian.run("stat", "--format=%U:%G", "/var/lib/shacache").strip()
        self.assertEqual(owner, "shacache:shacache")

        # An operator's own setting outlives the upgrade; so does every byte.
        settings = debian.root / "etc/shacache/server.toml"
        own = settings.read_text().replace('#level = "info"', 'level = "debug"')
        self.assertIn('\nlevel = "debug"', own)
        settings.write_text(own)
        before = debian.property(SERVICE, "MainPID")
        self.install(self.next)
        self.wait_for_service()
        self.assertNotEqual(debian.property(SERVICE, "MainPID"), before)
        version = debian.run("dpkg-query", "--show", "--showformat=${Version}", "shacached")
        self.assertEqual(version, "99.0.0")
        self.assertEqual(settings.read_text(), own)
        self.download(digest)
        self.assertEqual(debian.property(SERVICE, "NRestarts"), "0")

        debian.run("dpkg", "--purge", "shacached", "shacache")
        self.assertFalse(settings.exists())
        blob = data / "archive/blobs" / digest[:2] / digest[2:4] / digest
        self.assertEqual(hashlib.sha512(blob.read_bytes()).hexdigest(), digest)

    def test_every_command_has_its_page_and_is_completed(self):
        for program in ("shacached", "shacache"):
            files = self.debian.run("dpkg", "--listfiles", program).splitlines()
            completions = self.debian.run(
                "cat", f"/usr/share/bash-completion/completions/{program}"
            )
            commands = list(self.commands(program))
            self.assertIn(("import",) if program == "shacached" else ("fetch",), commands)
            for command in commands:
                with self.subTest(program, command=command):
                    page = "-".join([program, *command])
                    self.assertIn(f"/usr/share/man/man1/{page}.1.gz", files)
                    # As the script calls where it is.
                    above = "__subcmd__".join([program, *command[:-1]])
                    self.assertIn(f"{above},{command[-1]})\n", completions)

    def commands(self, program, *above):
        """Every command that the program tells of, as its words."""
        told = self.debian.run(program, *above, "--help")
        section = told.partition("\nCommands:\n")[2].partition("\n\n")[0]
        for name in re.findall(r"^  ([a-z-]+)", section, re.MULTILINE):
            if name != "help":
                yield (*above, name)
                yield from self.commands(program, *above, name)

    def test_what_signs_is_in_the_client_alone(self):
        # Where a crate's sources lay is in its messages.
        for program, holds in {"shacached": False, "shacache": True}.items():
            code = (self.debian.root / "usr/bin" / program).read_bytes()
            self.assertEqual(bool(re.search(rb"/rsa-\d", code)), holds, program)

    def test_the_old_commands(self):
        self.wait_for_service()
        debian = self.debian
        (debian.root / "root/file").write_bytes(b"old")
        (debian.root / "root/slapos.cfg").write_text(
            f"[networkcache]\ndownload-cache-url = {SERVER}/shacache\n"
            f"download-dir-url = {SERVER}/shadir\nupload-cache-url = {SERVER}/shacache\n"
            f"upload-dir-url = {SERVER}/shadir\n"
        )
        debian.run("networkcache-upload", "-c", "/root/slapos.cfg", "-k", "old", "-f", "/root/file",
                   "kind=test")
        printed = debian.run("networkcache-download", "-c", "/root/slapos.cfg", "-k", "old")
        self.assertEqual(printed, "old")
        debian.run("generate-signature-key", "--cert-file", "/root/cert", "/root/key", "name")

    def test_what_the_service_may_do(self):
        self.wait_for_service()
        # Without `man`, which this Debian does not have.
        self.debian.run("systemd-analyze", "verify", "--man=no", SERVICE, SOCKET)
        self.debian.run(
            "systemd-analyze", "security", "--no-pager", f"--threshold={EXPOSURE_LIMIT}", SERVICE
        )
        # The same judge refuses a service that is not confined.
        loose = self.debian.try_run(
            "systemd-analyze", "security", "--no-pager", f"--threshold={EXPOSURE_LIMIT}",
            "systemd-journald.service",
        )
        self.assertNotEqual(loose.returncode, 0)

    def test_reload(self):
        self.wait_for_service()
        before = self.debian.property(SERVICE, "MainPID")
        self.debian.run("systemctl", "reload", SERVICE)
        self.download(self.upload(b"after a reload"))
        self.assertEqual(self.debian.property(SERVICE, "MainPID"), before)

    def test_with_its_socket_no_connection_is_refused(self):
        self.wait_for_service()
        debian = self.debian
        digest = self.upload(b"through the socket")
        debian.run("systemctl", "stop", SERVICE)
        debian.run("systemctl", "enable", "--now", SOCKET)
        # The first connection starts the service.
        self.download(digest)
        for _ in range(5):
            debian.run("systemctl", "restart", "--no-block", SERVICE)
            self.download(digest)
        self.assertEqual(debian.property(SOCKET, "ActiveState"), "active")


def build(folder, version):
    """Packages the programs that are built already; with a version, one that Debian takes for newer.
    Gives the packages of the server and of the client."""
    source = folder / "source"
    source.mkdir(parents=True)
    shutil.copytree(CHECKOUT / "debian", source / "debian")
    for document in CHECKOUT.glob("*.md"):
        shutil.copy(document, source)
    if version:
        changelog = source / "debian/changelog"
        newest = changelog.read_text()
        first, rest = newest.split("\n", 1)
        name, _, state = first.partition(" ")
        state = state.partition(") ")[2]
        changelog.write_text(f"{name} ({version}) {state}\n{rest}\n{newest}")
    environment = dict(
        os.environ, PROGRAMS=str(PROGRAM.parent), DEB_BUILD_OPTIONS="nostrip noautodbgsym"
    )
    built = subprocess.run(
        ["dpkg-buildpackage", "-d", "-b", "-us", "-uc"], cwd=source, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if built.returncode != 0:
        raise AssertionError(f"dpkg-buildpackage:\n{built.stdout}")
    return sorted(folder.glob("shacache*.deb"))
