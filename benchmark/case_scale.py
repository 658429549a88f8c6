"""A server with a million entries under 300,000 keys and 100,000 blobs: how soon it is up, how fast it
reads all of them and how long a list takes. Making them takes minutes, so it runs only by name."""

import shutil
import subprocess
import time
from pathlib import Path

from benchmark import archive
from benchmark.case import Case, Contest, Contestant, Measure, Target
from benchmark.place import LOAD, SHACACHED, clean
from benchmark.servers import Nginx, Ours
from interop.http_client import get_entries

START = Measure("until it listens", "ms", higher_is_better=False)
ENTRIES = Measure("entries read", "/s")
HALF = Measure("half within", "ms", higher_is_better=False, decimals=2)
SLOWEST = Measure("99 of 100 within", "ms", higher_is_better=False, decimals=2)
WORST = Measure("all within", "ms", higher_is_better=False, decimals=2)
STOPPED, KILLED, NO_INDEX = "after a stop", "after a kill", "without an index"
WARM, COLD = "warm", "cold"
# What the machine and the generator add by themselves.
OURS, FLOOR = "shacached", "nginx, always the same file"
PER_SECOND, CONNECTIONS, ASKED = 2_000, 16, 200_000


class ScaleCase(Case):
    name = "scale"
    is_long = True

    def __init__(self, place):
        super().__init__(place)
        self.has_entries = False

    def __enter__(self):
        super().__enter__()
        self.ours = Ours(self.folder, prefix=self.place.on_server_core)
        self.opened.enter_context(self.ours)
        archive.write_blobs(self.ours.data)
        self.ours.stop()
        return self

    def contests(self):
        yield f"start with {archive.BLOBS:,} blobs", self.start
        yield f"reindex of {archive.ENTRIES:,} entries", self.reindex
        yield f"GET of lists of random keys of {archive.KEYS:,}, {PER_SECOND:,}/s", self.lists

    def start(self, title):
        return Contest(
            title, [START],
            [
                Contestant(STOPPED, self.start_after_stop),
                Contestant(KILLED, self.start_after_kill),
                Contestant(NO_INDEX, self.start_without_index),
            ],
            STOPPED,
            [
                Target(contestant, START.name, at_most=1000)
                for contestant in (STOPPED, KILLED, NO_INDEX)
            ],
        )

    # --- start -----------------------------------------------------------------------------------

    def start_after_stop(self):
        return self.started_in()

    def start_after_kill(self):
        self.ours.start()
        self.ours.kill()
        return self.started_in()

    def start_without_index(self):
        shutil.rmtree(self.ours.data / "index")
        return self.started_in()

    def started_in(self):
        """Ends it in order, so that the next one finds the index whole."""
        started = time.perf_counter()
        self.ours.start()
        seconds = time.perf_counter() - started
        self.ours.stop()
        return {START.name: seconds * 1000}

    # --- reindex ---------------------------------------------------------------------------------

    def reindex(self, title):
        self.write_entries()
        return Contest(
            title, [ENTRIES],
            [
                Contestant(WARM, self.reindexed_from_memory),
                Contestant(COLD, self.reindexed_from_disk),
            ],
            WARM, [Target(WARM, ENTRIES.name, at_least=20_000)], most_rounds=2,
        )

    def reindexed_from_memory(self):
        """Everything is read once before: the system may have forgotten it meanwhile."""
        archive.read_all(self.ours.data)
        return self.reindexed()

    def reindexed_from_disk(self):
        """Linux forgets what it has of the disk; takes root rights."""
        subprocess.run(["sync"], check=True)
        Path("/proc/sys/vm/drop_caches").write_text("3")
        return self.reindexed()

    def reindexed(self):
        """With the blobs that are there, too; none of either may be left out."""
        command = [
            *self.place.on_server_core, SHACACHED, "reindex", "--data", self.ours.data,
        ]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=clean())
        return {ENTRIES.name: archive.ENTRIES / (time.perf_counter() - started)}

    # --- lists -----------------------------------------------------------------------------------

    def lists(self, title):
        self.write_entries()
        self.reindexed()
        self.ours.start()
        keys = archive.some_keys(ASKED)
        files = self.folder / "files"
        files.mkdir()
        (files / "list").write_bytes(get_entries(self.ours, keys[0]).body)
        nginx = self.opened.enter_context(
            Nginx(self.folder / "nginx", files, prefix=self.place.on_server_core)
        )
        return Contest(
            title, [SLOWEST, HALF, WORST],
            [
                Contestant(OURS, lambda: self.ask(self.ours, [f"/shadir/{key}" for key in keys])),
                Contestant(FLOOR, lambda: self.ask(nginx, ["/list"])),
            ],
            FLOOR, [Target(OURS, SLOWEST.name, at_most=2)],
        )

    def ask(self, server, paths):
        file = self.folder / "paths"
        file.write_text("\n".join(paths))
        command = [
            *self.place.on_client_core, LOAD, "rate", server.base_url.removeprefix("http://"),
            CONNECTIONS, PER_SECOND, self.place.seconds, file,
        ]
        done = subprocess.run(
            [str(word) for word in command], check=True, capture_output=True, text=True,
            env=clean(),
        )
        asked, half, slowest, worst = map(float, done.stdout.split())
        if asked != PER_SECOND * self.place.seconds:
            raise RuntimeError(f"{asked:.0f} requests were made")
        return {SLOWEST.name: slowest, HALF.name: half, WORST.name: worst}

    def write_entries(self):
        if not self.has_entries:
            archive.write_entries(self.ours.data)
            self.has_entries = True


CASE = ScaleCase
