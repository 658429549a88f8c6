"""A set of entries that many write to and read from, while the server is killed and the power cut:
every entry that was acknowledged or seen stays, once, and in its place."""

from concurrent.futures import ThreadPoolExecutor

from faults.disk import Disk, run
from faults.fault_test import FaultTest, by_tier
from faults.set_log import SetLog
from interop.server import Shacached, wait_until

KEYS = 20
WRITERS = 8
READERS = 2
DISK_BYTES = 512 << 20


class EntrySet(FaultTest):
    def test_under_kills(self):
        server = self.start(Shacached(self.folder / "data"))
        log = SetLog(KEYS)

        def kill():
            server.kill()
            server.start()
            self.counts["kills"] += 1

        self.check(server, log, kill, by_tier(4, 40))

    def test_under_power_cuts(self):
        disk = Disk.made(self.folder, "ext4", DISK_BYTES)
        with disk as mounted, Shacached(mounted / "data") as server:
            # Only what is put later is at stake.
            run("sync", "-f", mounted)
            log = SetLog(KEYS)

            def cut():
                log.no_disk.set()
                disk.cut_power()
                server.kill()
                disk.unmount()
                disk.mount()
                server.start()
                log.no_disk.clear()
                self.counts["cuts"] += 1

            self.check(server, log, cut, by_tier(2, 20))

    def check(self, server, log, strike, strikes):
        """Writers and readers at work, struck so many times in between."""
        per_writer = by_tier(125, 500)
        with ThreadPoolExecutor(WRITERS + READERS) as pool:
            writers = [
                pool.submit(log.write, server, writer, per_writer) for writer in range(WRITERS)
            ]
            readers = [pool.submit(log.read_until_stopped, server, seed) for seed in range(READERS)]
            try:
                for number in range(strikes):
                    goal = WRITERS * per_writer * (number + 1) // (strikes + 1)
                    wait_until(lambda g=goal: log.written >= g, f"{goal} entries", limit_s=120)
                    strike()
                for writer in writers:
                    writer.result()
            finally:
                log.stopping.set()
            for reader in readers:
                reader.result()
        for key in range(KEYS):
            log.read(server, key)
        self.counts["entries acknowledged"] = log.written
        self.counts["lists read"] = log.reads
        self.assertEqual(log.problems, [])
        self.assertEqual(log.written, WRITERS * per_writer)
        self.assertGreater(log.reads, 3 * KEYS)

    def test_an_entry_that_is_there_twice_is_noticed(self):
        """A negative control that no server can be made for: it lists each entry once by the way in
        which it makes the list. So the list is doctored."""
        log = SetLog(keys=1)
        log.judge(0, {"one"}, [], ["one", "two"])
        self.assertEqual(log.problems, [])
        log.judge(0, {"one"}, ["one", "two"], ["one", "two", "one"])
        self.assertRegex(log.problems[0], "there twice")
