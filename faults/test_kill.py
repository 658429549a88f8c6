"""SIGKILL at any moment, under load: what was acknowledged is there after the next start."""

import hashlib
import random
import time

from faults.acknowledged import Acknowledged
from faults.archive import temporary_files, unfit
from faults.fault_test import FaultTest, by_tier
from faults.uploaders import Uploaders
from interop.server import Shacached

CLIENTS = 8
START_LIMIT_S = 2


class Kill(FaultTest):
    def test_acknowledged_uploads_survive(self):
        kills = by_tier(20, 200)
        # Mostly small, as in the field; the largest is met a few times in each run.
        sizes_bytes = [0, 1, 100, 4_000, 65_536, 65_537, 1_000_000] * by_tier(4, 12)
        sizes_bytes.append(by_tier(8, 64) << 20)
        server = self.start(Shacached(self.folder / "data"))
        chance = random.Random(1)
        acknowledged = Acknowledged()
        for kill in range(kills):
            cycle = Acknowledged()
            with Uploaders(server, cycle, f"kill/{kill}", clients=CLIENTS, sizes_bytes=sizes_bytes):
                # The moment is the point: it has to fall anywhere in an upload.
                time.sleep(chance.uniform(0.05, 0.5))
                server.kill()

            left = temporary_files(server.data)
            started_at = time.monotonic()
            server.start()
            self.assertLess(time.monotonic() - started_at, START_LIMIT_S)
            # The new one may be writing some of its own already.
            self.assertEqual(left & temporary_files(server.data), set(), "leftovers")
            self.counts["leftovers removed"] += len(left)
            self.assertEqual(cycle.lost(server), [])
            acknowledged.merge(cycle)
            self.counts["kills"] += 1
        self.assertEqual(acknowledged.lost(server), [])
        # Whatever was not acknowledged is whole or not there.
        self.assertEqual(unfit(server.data), [])
        self.assertEqual(list((server.data / "quarantine").rglob("*")), [])
        self.counts["acknowledged"] = acknowledged.count()
        self.assertGreater(acknowledged.count(), 10 * kills)

    def test_start_with_many_blobs(self):
        blobs = by_tier(5_000, 100_000)
        server = self.start(Shacached(self.folder / "data"))
        for number in range(blobs):
            data = number.to_bytes(8, "big")
            digest = hashlib.sha512(data).hexdigest()
            folder = server.data / "archive/blobs" / digest[:2] / digest[2:4]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / digest).write_bytes(data)
        server.kill()
        started_at = time.monotonic()
        server.start()
        start_ms = int(1000 * (time.monotonic() - started_at))
        self.counts["blobs"], self.counts["start ms"] = blobs, start_ms
        self.assertLess(start_ms, 1000 * START_LIMIT_S)
