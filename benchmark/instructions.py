"""How many instructions the server takes for one request of each kind, counted by callgrind: unlike
times, they are nearly the same on every machine and in every run, so that one more is seen.

What start and end cost is taken out: a short and a long run differ in requests only. What the kernel
does is not counted, and callgrind before 3.22 knows no openat2(2), so that files are opened as on an
old kernel.
"""

import http.client
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from benchmark.place import CHECKOUT
from benchmark.servers import Ours
from interop.payload import Payload

KEPT = CHECKOUT / "benchmark/instructions.json"
TOLERATED = 0.03
# How much it does depends on the time that passes.
NO_SCRUB = "[scrub]\nenabled = false\n"
SIGNATURE = "c2lnbmF0dXJl" * 28


@dataclass(frozen=True)
class Kind:
    """What `ask(client, number)` asks for after `prepare(client)`; `short` and `long` are how often."""

    prepare: Callable
    ask: Callable
    short: int
    long: int


class Counted(Ours):
    """Callgrind makes everything dozens of times slower, and a busy machine more so."""

    start_limit_s = 120


class Client:
    """One connection to the server, kept open."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(*server.address, timeout=300)
        self.path = None

    def request(self, method, path, body=None, kind="application/octet-stream"):
        self.connection.request(method, path, body, {"Content-Type": kind} if body else {})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status}: {content[:200]}")
        return content

    def store(self, size):
        body = b"".join(Payload(size).blocks())
        self.path = "/shacache/" + self.request("POST", "/shacache/", body).decode()

    def put(self, key, number):
        metadata = json.dumps({"sha512": f"{number:0128}", "file": f"file-{number:08}.tar.gz"})
        body = json.dumps([metadata, SIGNATURE])
        self.request("PUT", f"/shadir/{key}", body, "application/json")

    def put_three(self):
        for number in range(3):
            self.put("three", number)
        self.path = "/shadir/three"

    def ask_again(self, _):
        self.request("GET", self.path)

    def post_another(self, number):
        self.request("POST", "/shacache/", f"{number:1024}")

    def put_another(self, number):
        self.put(f"bench-{number:08}", number)


KINDS = {
    "GET of 1 KiB": Kind(lambda client: client.store(1 << 10), Client.ask_again, 200, 2200),
    "GET of 10 MiB": Kind(lambda client: client.store(10 << 20), Client.ask_again, 3, 13),
    "GET of a list of 3 entries": Kind(Client.put_three, Client.ask_again, 200, 2200),
    "POST of 1 KiB": Kind(lambda client: None, Client.post_another, 200, 1200),
    "PUT of an entry": Kind(lambda client: None, Client.put_another, 200, 1200),
}


def count(place):
    """Instructions for one request, by its kind."""
    counted = {}
    for name, kind in KINDS.items():
        short, long = (total(place, kind, times) for times in (kind.short, kind.long))
        counted[name] = round((long - short) / (kind.long - kind.short))
    return counted


def total(place, kind, times):
    with tempfile.TemporaryDirectory(prefix="instructions-", dir=place.folder) as folder:
        told = Path(folder, "callgrind.out")
        prefix = [
            *place.on_server_core, "valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={told}"]
        with Counted(Path(folder), prefix=prefix, settings=NO_SCRUB) as ours:
            client = Client(ours)
            kind.prepare(client)
            for number in range(times):
                kind.ask(client, number)
            client.connection.close()
            ours.stop()
        return int(re.search(r"^(?:summary|totals): (\d+)", told.read_text(), re.MULTILINE)[1])


def compare(kept, counted):
    """What got worse than is tolerated, in a line each."""
    complaints = [
        f"{name}: {counted[name]:,} instructions, {counted[name] / before - 1:+.1%} of {before:,}"
        for name, before in kept.items()
        if name in counted and counted[name] > before * (1 + TOLERATED)
    ]
    missing = kept.keys() ^ counted.keys()
    return complaints + [f"{name}: kept or counted only" for name in sorted(missing)]


def table(kept, counted):
    width = max(map(len, counted))
    lines = ["Instructions for one request, and those kept to compare with"]
    for name, now in counted.items():
        before = kept.get(name)
        change = f"  {before:>12,}  {now / before - 1:+.1%}" if before else ""
        lines.append(f"  {name.ljust(width)}  {now:>12,}{change}")
    return "\n".join(lines)


def kept():
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def keep(counted):
    KEPT.write_text(json.dumps(counted, indent=2) + "\n")
