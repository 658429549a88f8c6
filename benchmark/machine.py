"""What the figures were measured on: without that they say nothing."""

import os
import platform
import re
import subprocess
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
