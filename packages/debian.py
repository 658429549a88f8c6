"""A Debian of its own, booted with its systemd and with nothing but loopback for a network."""

import os
import signal
import subprocess
from pathlib import Path

from interop.server import CHECKOUT, wait_until

IMAGE = CHECKOUT / ".test/debian.tar"
STOP_LIMIT_S = 60
COMMAND_LIMIT_S = 120


class Debian:
    """One machine below `folder`. Use it as a context manager: leaving powers it off."""

    def __init__(self, folder):
        self.root = Path(folder)
        self.log = None
        self.container = None
        self.leader = None

    def __enter__(self):
        self.root.mkdir()
        subprocess.run(["tar", "--extract", "--file", IMAGE, "--directory", self.root], check=True)
        self.log = open(self.root.with_suffix(".log"), "wb")
        self.container = subprocess.Popen(
            [
                "systemd-nspawn", "--quiet", "--directory", self.root, "--boot",
                # Not known to the machine's own systemd, which need not be running.
                "--register=no", "--keep-unit", "--private-network", "--console=pipe",
            ],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
        )
        try:
            wait_until(self._is_up, "the machine is up", 120)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # The manager's signal for a power-off: systemd(1), SIGRTMIN+4.
        if self.leader is not None:
            os.kill(self.leader, signal.SIGRTMIN + 4)
        else:
            self.container.terminate()
        try:
            self.container.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.container.kill()
            self.container.wait()
        self.log.close()

    def _is_up(self):
        if self.container.poll() is not None:
            raise AssertionError(f"the machine ended: {self.root.with_suffix('.log').read_text()}")
        children = Path(f"/proc/{self.container.pid}/task/{self.container.pid}/children")
        self.leader = next(map(int, children.read_text().split()), None)
        if self.leader is None:
            return False
        # "degraded" are units of Debian's own that a container cannot have.
        state = self.try_run("systemctl", "is-system-running").stdout.strip()
        return state in ("running", "degraded")

    def try_run(self, *command):
        """Runs a command in the machine to its end, whatever that is."""
        # Empty but for what a login has: nothing of the tests' own environment gets in.
        enter = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                 "DEBIAN_FRONTEND=noninteractive",
                 "nsenter", "--target", str(self.leader), "--all", "--",
                 "timeout", str(COMMAND_LIMIT_S)]
        return subprocess.run(
            [*enter, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    def run(self, *command):
        """Runs a command in the machine; fails on a non-zero exit code. Gives what it printed."""
        done = self.try_run(*command)
        if done.returncode != 0:
            raise AssertionError(
                f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
                f"{self.journal()}"
            )
        return done.stdout

    def property(self, unit, name):
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def journal(self):
        """What the service said."""
        return self.try_run("journalctl", "--no-pager", "-u", "shacached").stdout
