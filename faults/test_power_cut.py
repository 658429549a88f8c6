"""Power cuts under load on the file systems in use: what was acknowledged survives each of them.

The kernel is told to drop everything of a mounted file system that was not synced, as a real cut
does; then the server is killed, and both come back.
"""

import random
import time

from faults.acknowledged import Acknowledged
from faults.archive import unfit
from faults.disk import Disk, run
from faults.fault_test import FaultTest, by_tier
from faults.uploaders import Uploaders
from interop.server import Shacached

DISK_BYTES = 1 << 30
CLIENTS = 8
SIZES_BYTES = [0, 1, 100, 4_000, 65_536, 65_537, 300_000]


class PowerCut(FaultTest):
    # Short and long; how much is acknowledged between two of them at least.
    ext4_cuts = (6, 100)
    xfs_cuts = (4, 50)
    least_per_cut = 10

    def test_ext4(self):
        self.check_cuts("ext4", by_tier(*self.ext4_cuts))

    def test_xfs(self):
        self.check_cuts("xfs", by_tier(*self.xfs_cuts))

    def server(self, data):
        return Shacached(data)

    def acknowledged(self):
        return Acknowledged()

    def uploaders(self, server, acknowledged, name):
        return Uploaders(server, acknowledged, name, clients=CLIENTS, sizes_bytes=SIZES_BYTES)

    def unfit(self, data):
        return unfit(data)

    def check_cuts(self, kind, cuts):
        for cycle in self.cycles(kind, cuts):
            self.counts["acknowledged"] += cycle.acknowledged.count()
            self.counts["lost or damaged"] += len(cycle.problems)
            self.assertEqual(cycle.problems, [])
        self.assertEqual(self.counts["cuts"], cuts)
        self.assertGreater(self.counts["acknowledged"], self.least_per_cut * cuts)

    def cycles(self, kind, cuts):
        """One power cut after the other on the same disk; after each all earlier ones are checked."""
        chance = random.Random(2)
        disk = Disk.made(self.folder, kind, DISK_BYTES)
        everything = self.acknowledged()
        with disk as mounted:
            # Made orderly, so that only what is uploaded later is at stake.
            with Shacached(mounted / "data") as maker:
                maker.stop()
            run("sync", "-f", mounted)
            server = self.server(mounted / "data")
            # Ended before the disk goes, also when the test fails in between.
            with server:
                for number in range(cuts):
                    cycle = Cycle(self.acknowledged())
                    with self.uploaders(server, cycle.acknowledged, f"cut/{number}"):
                        # The moment is the point: it has to fall anywhere in an upload.
                        time.sleep(chance.uniform(0.05, 0.4))
                        disk.cut_power()
                        server.kill()
                    disk.unmount()
                    disk.mount()
                    cycle.problems.extend(self.unfit(server.data))
                    server.start()
                    cycle.problems.extend(cycle.acknowledged.lost(server))
                    everything.merge(cycle.acknowledged)
                    self.counts["cuts"] += 1
                    if number == cuts - 1:
                        cycle.problems.extend(everything.lost(server))
                    yield cycle


class Cycle:
    """What one power cut met, and what it broke."""

    def __init__(self, acknowledged):
        self.acknowledged = acknowledged
        self.problems = []
