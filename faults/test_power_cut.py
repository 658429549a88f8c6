"""Power cuts under load on the file systems in use: what was acknowledged survives each of them.

The kernel is told to drop everything of a mounted file system that was not synced, as a real cut
does; then the server is killed, and both come back.
"""

import random
import time

from faults import no_fsync
from faults.acknowledged import Acknowledged
from faults.archive import unfit
from faults.disk import Disk
from faults.fault_test import FaultTest, by_tier
from faults.uploaders import Uploaders
from interop.server import PROGRAM, Shacached

DISK_BYTES = 1 << 30
CLIENTS = 8
SIZES_BYTES = [0, 1, 100, 4_000, 65_536, 65_537, 300_000]
# The control loses something at the first cut already, or something is wrong with the cut.
CONTROL_CUTS = 20


class PowerCut(FaultTest):
    def test_ext4(self):
        self.check_cuts("ext4", by_tier(6, 100))

    def test_xfs(self):
        self.check_cuts("xfs", by_tier(4, 50))

    def test_without_fsync_ext4_loses(self):
        self.check_control("ext4")

    def test_without_fsync_xfs_loses(self):
        self.check_control("xfs")

    def check_cuts(self, kind, cuts):
        total = 0
        for cycle in self.cycles(kind, PROGRAM, cuts):
            self.assertEqual(cycle.problems, [])
            total += cycle.acknowledged.count()
        self.counts["acknowledged"] = total
        self.assertEqual(self.counts["cuts"], cuts)
        self.assertGreater(total, 10 * cuts)

    def check_control(self, kind):
        program = no_fsync.build()
        for cycle in self.cycles(kind, program, CONTROL_CUTS):
            self.counts["acknowledged"] += cycle.acknowledged.count()
            if cycle.problems:
                self.counts["lost or damaged"] = len(cycle.problems)
                return
        self.fail(f"nothing was lost in {CONTROL_CUTS} cuts without any sync")

    def cycles(self, kind, program, cuts):
        """One power cut after the other on the same disk; after each all earlier ones are checked."""
        chance = random.Random(2)
        disk = Disk.made(self.folder, kind, DISK_BYTES)
        everything = Acknowledged()
        with disk as mounted:
            # Made orderly, so that only what is uploaded later is at stake.
            with Shacached(mounted / "data") as maker:
                maker.stop()
            server = Shacached(mounted / "data", program=program)
            # Ended before the disk goes, also when the test fails in between.
            with server:
                self.assertEqual(no_fsync.is_unsafe(server), program != PROGRAM)
                for number in range(cuts):
                    cycle = Cycle()
                    with Uploaders(
                        server, cycle.acknowledged, f"cut/{number}",
                        clients=CLIENTS, sizes_bytes=SIZES_BYTES,
                    ):
                        # The moment is the point: it has to fall anywhere in an upload.
                        time.sleep(chance.uniform(0.05, 0.4))
                        disk.cut_power()
                        server.kill()
                    disk.unmount()
                    disk.mount()
                    cycle.problems.extend(unfit(server.data))
                    server.start()
                    cycle.problems.extend(cycle.acknowledged.lost(server))
                    everything.merge(cycle.acknowledged)
                    self.counts["cuts"] += 1
                    if number == cuts - 1:
                        cycle.problems.extend(everything.lost(server))
                    yield cycle


class Cycle:
    """What one power cut met, and what it broke."""

    def __init__(self):
        self.acknowledged = Acknowledged()
        self.problems = []
