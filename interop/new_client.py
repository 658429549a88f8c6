"""Our client as a user runs it: `shacache`, and the old command names as links to it."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from interop.python_client import COMMAND_LIMIT_S, run
from interop.server import CHECKOUT

PROGRAM = Path(os.environ.get("SHACACHE", CHECKOUT / "target/debug/shacache"))


class NewClient:
    """`shacache upload`, `download` and `list` with the configuration file of a real client."""

    def __init__(self, config_file):
        self.config_file = config_file

    def upload(self, *arguments):
        self.succeed("upload", "--quiet", *arguments)

    def download(self, *arguments):
        return self.succeed("download", *arguments)

    def list(self, *arguments):
        return json.loads(self.succeed("list", "--json", *arguments))

    def succeed(self, *command_and_arguments):
        """Runs any command of the program; gives what it prints."""
        return run(*self._command(*command_and_arguments))

    def refused(self, *command_and_arguments):
        """Runs a command that has to fail; gives its exit code and its complaint."""
        done = subprocess.run(
            self._command(*command_and_arguments), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=COMMAND_LIMIT_S, text=True, errors="replace",
        )
        if done.returncode == 0:
            raise AssertionError(f"{command_and_arguments} was not refused")
        return done.returncode, done.stderr

    def start_download(self, *arguments):
        """The command as a process whose standard output is the data; for what is large."""
        return start(*self._command("download", *arguments))

    def _command(self, command, *arguments):
        # Settings of whoever runs the tests would win over the file.
        clean = ["env", *(f"--unset={name}" for name in os.environ if is_setting(name))]
        return [*clean, PROGRAM, *command.split(), "-c", self.config_file, *arguments]


class DropInClient:
    """The old command names as links to our program, in a new folder below `folder`."""

    def __init__(self, config_file, folder):
        self.config_file = config_file
        self.programs = Path(tempfile.mkdtemp(prefix="drop-in-", dir=folder))
        for name in ("networkcache-upload", "networkcache-download", "generate-signature-key"):
            (self.programs / name).symlink_to(PROGRAM)

    def upload(self, *arguments):
        run(self.programs / "networkcache-upload", "-c", self.config_file, *arguments)

    def download(self, *arguments):
        return run(self.programs / "networkcache-download", "-c", self.config_file, *arguments)

    def list(self, *arguments):
        return json.loads(self.download("-l", *arguments))

    def start_download(self, *arguments):
        """The command as a process whose standard output is the data; for what is large."""
        return start(
            self.programs / "networkcache-download", "-c", self.config_file, *arguments
        )


def start(*command):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def is_setting(name):
    return name.startswith("SHACACHE_")
