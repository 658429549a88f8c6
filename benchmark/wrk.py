"""wrk, the load generator: one thread on the client's core. A run with a single failure is no run,
unless a peer is known to fail now and then: what it refused counts as answered."""

import re
import subprocess

from benchmark.place import clean
from benchmark.case import Measure

REQUESTS = Measure("requests", "/s")
SPEED = Measure("speed", "MB/s")
SLOWEST = Measure("99 of 100 within", "ms", higher_is_better=False, decimals=2)
UNITS_MS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}


def load(place, url, *, seconds=None, connections=16, script=None, headers=(), may_fail=False):
    """Asks for `url`, or what the Lua `script` says, all the time; gives what was measured."""
    command = [
        *place.on_client_core, "wrk", "--threads", "1", "--connections", str(connections),
        "--duration", f"{seconds or place.seconds}s", "--timeout", "30s", "--latency",
        *(word for header in headers for word in ("--header", header)),
        *(("--script", script) if script else ()), url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=clean())
    told = done.stdout
    refused = counted(r"Non-2xx or 3xx responses: (\d+)", told)
    tolerated = counted(r"(\d+) requests in", told) // 100 if may_fail else 0
    if done.returncode or refused > tolerated or "Socket errors" in told:
        raise RuntimeError(f"wrk {url}: {told}{done.stderr}")
    requests, read = re.search(r"Requests/sec: +([\d.]+)\nTransfer/sec: +(\S+)\n", told).groups()
    slowest, unit = re.search(r" 99% +([\d.]+)(us|ms|s|m)", told).groups()
    return {
        REQUESTS.name: float(requests),
        SPEED.name: megabytes(read),
        SLOWEST.name: float(slowest) * UNITS_MS[unit],
    }


def counted(pattern, text):
    """What the pattern finds, or nothing."""
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def megabytes(text):
    """wrk counts in powers of 1024."""
    number, unit = re.fullmatch(r"([\d.]+)([KMGT]?B)", text).groups()
    return float(number) * 1024 ** ["B", "KB", "MB", "GB", "TB"].index(unit) / 1e6


def only(measured, *measures):
    return {measure.name: measured[measure.name] for measure in measures}
