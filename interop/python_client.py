"""The real client as a user runs it: its three commands, from a virtual environment."""

import json
import os
import subprocess
from pathlib import Path

from interop.server import CHECKOUT

ENVIRONMENT = Path(os.environ.get("SHACACHE_TEST_VENV", CHECKOUT / ".test/venv"))
OLD_ENVIRONMENT = CHECKOUT / ".test/venv-old"
SLAPOS_ENVIRONMENT = CHECKOUT / ".test/venv-slapos"
SOURCE_TARBALL = CHECKOUT / ".test/source/setuptools-75.8.0.tar.gz"
COMMAND_LIMIT_S = 300


class Signer:
    """A key and its certificate, made by `generate-signature-key`."""

    def __init__(self, folder, name):
        self.key_file = Path(folder, f"{name}.key")
        self.certificate_file = Path(folder, f"{name}.crt")
        run(
            ENVIRONMENT / "bin/generate-signature-key",
            "--cert-file", self.certificate_file, self.key_file, name,
        )

    @property
    def certificate(self):
        return self.certificate_file.read_text()


class LongKeySigner(Signer):
    """One with a key of 2048 bits, which the command does not make."""

    def __init__(self, folder, name):
        self.key_file = Path(folder, f"{name}.key")
        self.certificate_file = Path(folder, f"{name}.crt")
        run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", self.key_file, "-out", self.certificate_file,
        )


class PythonClient:
    """`networkcache-upload` and `networkcache-download` with one configuration file.

    With a `signer` everything uploaded is signed; only what `trusted` signers signed is found. With
    neither, nothing is signed and everything is taken, as the client does.
    """

    def __init__(self, server, folder, *, signer=None, trusted=()):
        self.config_file = Path(folder, f"slapos-{id(self):x}.cfg")
        lines = [
            "[networkcache]",
            f"download-cache-url = {server.cache_url}",
            f"upload-cache-url = {server.cache_url}",
            f"download-dir-url = {server.directory_url}",
            f"upload-dir-url = {server.directory_url}",
        ]
        if signer:
            lines.append(f"signature-private-key-file = {signer.key_file}")
        if trusted:
            lines.append("signature-certificate-list =")
            for other in trusted:
                lines += [f"  {line}" for line in other.certificate.splitlines()]
        self.config_file.write_text("\n".join(lines) + "\n")

    def speak_tls(self, authority, identity=None):
        """Believes `authority` from now on, and shows `identity`, if any."""
        with self.config_file.open("a") as file:
            for service in ("shacache", "shadir"):
                file.write(f"{service}-ca-file = {authority.certificate_file}\n")
                if identity:
                    file.write(f"{service}-cert-file = {identity.certificate_file}\n")
                    file.write(f"{service}-key-file = {identity.key_file}\n")

    def upload(self, *arguments):
        run(ENVIRONMENT / "bin/networkcache-upload", "-c", self.config_file, *arguments)

    def upload_logged_in(self, *arguments):
        """With a name and a password in the URLs, which the client gets right with Python 2 only."""
        run_in(ENVIRONMENT, "log_in.py", "upload", "-c", self.config_file, *arguments)

    def download_logged_in(self, *arguments):
        return run_in(ENVIRONMENT, "log_in.py", "download", "-c", self.config_file, *arguments)

    def download(self, *arguments):
        return run(ENVIRONMENT / "bin/networkcache-download", "-c", self.config_file, *arguments)

    def list(self, *arguments):
        return json.loads(self.download("-l", *arguments))

    def start_download(self, *arguments):
        """The command as a process whose standard output is the data; for what is large."""
        command = [ENVIRONMENT / "bin/networkcache-download", "-c", self.config_file, *arguments]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def run(*command):
    """Runs a command to its end and gives its standard output; fails on a non-zero exit code."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_LIMIT_S
    )
    if done.returncode != 0:
        shown = " ".join(str(word) for word in command)
        raise AssertionError(f"{shown}: exit {done.returncode}\n{done.stderr.decode()}")
    return done.stdout


def run_in(environment, script, *arguments):
    """Runs one of our scripts with an environment's own Python."""
    return run(environment / "bin/python", CHECKOUT / "interop" / script, *arguments)


