"""What the figures were measured on, and who else was at work: without that they say nothing."""

import contextlib
import os
import platform
import re
import subprocess
import time
from pathlib import Path

from benchmark.place import CHECKOUT


def describe():
    return {
        "commit": commit(),
        "processor": f"{os.cpu_count()} cores of {processor()}",
        "memory": f"{memory_gib():.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def commit():
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True
    )
    return described.stdout.strip() or "unknown"


def processor():
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


class Others:
    """What everybody but us took of the processor since this was made."""

    def __init__(self):
        self.busy, self.own, self.since = busy_seconds(), own_seconds(), time.monotonic()

    def share(self):
        """1 is every core all the time."""
        others = busy_seconds() - self.busy - (own_seconds() - self.own)
        return max(0, others / (time.monotonic() - self.since) / os.cpu_count())


def busy_seconds():
    """Of all cores in programs and their system calls; not in interrupts, which are nobody's."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / TICKS


def own_seconds():
    """Of all that was started from here, what has ended included."""
    return sum(
        sum(map(int, fields[11:15])) for fields in processes() if int(fields[2]) == os.getpgrp()
    ) / TICKS


def processes():
    """The fields of proc_pid_stat(5) from the third on."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            yield stat.read_text().rpartition(")")[2].split()


TICKS = os.sysconf("SC_CLK_TCK")
