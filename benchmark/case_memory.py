"""How much memory the server takes for many large downloads and uploads at once."""

import itertools
import shutil
import subprocess
import time

from benchmark.case import Case, Contest, Contestant, Measure, Target
from benchmark.place import LOAD, clean
from benchmark.servers import Ours

OURS = "shacached"
MEMORY = Measure("peak memory", "MiB", higher_is_better=False, decimals=1)
MOVED = Measure("moved", "MB/s")
DOWNLOADS, UPLOADS = 64, 8
LIMIT_MIB = 150


class MemoryCase(Case):
    name = "memory"

    def __init__(self, place):
        super().__init__(place)
        self.numbers = itertools.count(0, UPLOADS)

    def contests(self):
        yield (
            f"{DOWNLOADS} downloads and {UPLOADS} uploads of {self.place.size_mib} MiB at once",
            self.at_once,
        )

    def at_once(self, title):
        return Contest(
            title, [MEMORY, MOVED], [Contestant(OURS, self.run)], OURS,
            [Target(OURS, MEMORY.name, at_most=LIMIT_MIB)], most_rounds=1,
        )

    def run(self):
        """On a server of its own, which has answered nothing else."""
        size = self.place.size_mib << 20
        with Ours(self.folder / "ours", prefix=self.place.on_server_core) as ours:
            address = ours.base_url.removeprefix("http://")
            first = next(self.numbers)
            self.load("upload", address, 1, size, first).finish()
            kept = max((ours.data / "archive/blobs").rglob("?" * 128))
            ours.restart()
            address = ours.base_url.removeprefix("http://")
            started = time.perf_counter()
            running = [
                self.load("download", address, DOWNLOADS, f"/shacache/{kept.name}"),
                self.load("upload", address, UPLOADS, size, first + 1),
            ]
            for one in running:
                one.finish()
            seconds = time.perf_counter() - started
            blobs = list((ours.data / "archive/blobs").rglob("?" * 128))
            if len(blobs) != 1 + UPLOADS or any(blob.stat().st_size != size for blob in blobs):
                raise RuntimeError(f"{len(blobs)} blobs were kept")
            peak_mib = ours.peak_memory_bytes() / (1 << 20)
        shutil.rmtree(self.folder / "ours")
        moved = (DOWNLOADS + UPLOADS) * size / seconds / 1e6
        return {MEMORY.name: peak_mib, MOVED.name: moved}

    def load(self, *arguments):
        return Load([*self.place.on_client_core, LOAD, *map(str, arguments)])


class Load:
    """A run of `load.rs`."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=clean()
        )

    def finish(self):
        _, complaint = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError(complaint.decode(errors="replace"))


CASE = MemoryCase
