"""Where a benchmark runs: which cores, in which folder, how much of everything; and how a program
is started there and watched."""

import os
import re
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
RELEASE = CHECKOUT / "target/release"
SHACACHE = RELEASE / "shacache"
SHACACHED = RELEASE / "shacached"
BARE_PIPELINE = RELEASE / "examples/bare-pipeline"
BARE_SERVER = RELEASE / "examples/bare-server"
LOAD = RELEASE / "examples/load"
# Debian keeps it where the PATH of users may not lead.
NGINX_PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"
SEAWEEDFS = CHECKOUT / ".test/venv-seaweedfs/bin/weed"
PYTHON_COMMANDS = CHECKOUT / ".test/venv/bin"


@dataclass(frozen=True)
class Place:
    """The server has one core, what asks it another: neither can borrow from the other."""

    folder: Path
    size_mib: int
    seconds: int
    server_core: int = 0
    client_core: int = 1

    @property
    def on_server_core(self):
        return ["taskset", "--cpu-list", str(self.server_core)]

    @property
    def on_client_core(self):
        return ["taskset", "--cpu-list", str(self.client_core)]


@dataclass(frozen=True)
class Run:
    """How long a program took and the most physical memory it ever held (VmHWM)."""

    seconds: float
    peak_mib: float


def timed(command, *, output=None):
    """Runs a program to its end; `output` is the file for its standard output."""
    with open(output or os.devnull, "wb") as sink:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.PIPE, env=clean()
        )
        peak_kib = watched_to_its_end(process)
        seconds = time.perf_counter() - started
    complaint = process.stderr.read().decode(errors="replace")
    process.stderr.close()
    if process.returncode != 0:
        shown = " ".join(str(word) for word in command)
        raise RuntimeError(f"{shown}: exit {process.returncode}\n{complaint}")
    return Run(seconds, peak_kib / 1024)


def watched_to_its_end(process):
    """Gives the peak. It only grows, so the last look before the end misses a few pages at most."""
    end = select.poll()
    pidfd = os.pidfd_open(process.pid)
    try:
        end.register(pidfd, select.POLLIN)
        peak_kib = peak_memory_kib(process.pid)
        while not end.poll(LOOK_EVERY_MS):
            peak_kib = max(peak_kib, peak_memory_kib(process.pid))
    finally:
        os.close(pidfd)
    process.wait()
    return peak_kib


def peak_memory_kib(pid):
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def clean():
    """The environment without settings of whoever runs this."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SHACACHE")}


LOOK_EVERY_MS = 50
