"""SIGKILL at any moment, under load: what was acknowledged is there after the next start."""

import hashlib
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from faults.acknowledged import Acknowledged, entry_body, metadata
from faults.archive import temporary_files
from faults.fault_test import FaultTest, by_tier
from faults.uploaders import Uploaders
from interop.http_client import get_entries, put_entry
from interop.server import Shacached, wait_until

CLIENTS = 8
START_LIMIT_S = 2


class Kill(FaultTest):
    def test_acknowledged_uploads_survive(self):
        kills = by_tier(20, 200)
        # Mostly small, as in the field; the largest is met a few times in each run.
        sizes_bytes = [0, 1, 100, 4_000, 65_536, 65_537, 1_000_000] * 4 + [by_tier(8, 64) << 20]
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
        self.assertEqual(list((server.data / "quarantine").rglob("*")), [])
        self.counts["acknowledged"] = acknowledged.count()
        self.assertGreater(acknowledged.count(), 10 * kills)

    def test_entries_of_a_key_keep_their_order(self):
        """A set that many write to and read from while the server is killed again and again."""
        kills, keys, per_writer = by_tier(4, 40), 20, by_tier(125, 500)
        server = self.start(Shacached(self.folder / "data"))
        log = SetLog(keys)
        with ThreadPoolExecutor(CLIENTS + 2) as pool:
            writers = [
                pool.submit(log.write, server, writer, per_writer) for writer in range(CLIENTS)
            ]
            readers = [pool.submit(log.read_until_stopped, server, seed) for seed in range(2)]
            try:
                for kill in range(kills):
                    goal = CLIENTS * per_writer * (kill + 1) // (kills + 1)
                    wait_until(lambda g=goal: log.written >= g, f"{goal} entries", limit_s=120)
                    server.kill()
                    server.start()
                    self.counts["kills"] += 1
                for writer in writers:
                    writer.result()
            finally:
                log.stopping.set()
            for reader in readers:
                reader.result()
        for key in range(keys):
            log.read(server, key)
        self.assertEqual(log.problems, [])
        self.counts["entries acknowledged"] = log.written
        self.counts["lists read"] = log.reads
        self.assertEqual(log.written, CLIENTS * per_writer)
        self.assertGreater(log.reads, 3 * keys)

    def test_an_entry_that_is_there_twice_is_noticed(self):
        """A negative control that no server can be made for: it lists each entry once by the way in
        which it makes the list. So the list is doctored."""
        log = SetLog(keys=1)
        log.judge(0, {"one"}, [], ["one", "two"])
        self.assertEqual(log.problems, [])
        log.judge(0, {"one"}, ["one", "two"], ["one", "two", "one"])
        self.assertRegex(log.problems[0], "there twice")

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


class SetLog:
    """What writers were told and readers saw: the entries of a key only ever grow at the end."""

    def __init__(self, keys):
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.acknowledged = [set() for _ in range(keys)]
        self.seen = [[] for _ in range(keys)]
        self.problems = []
        self.written = 0
        self.reads = 0

    def write(self, server, writer, count):
        digest = hashlib.sha512(b"elsewhere").hexdigest()
        for number in range(count):
            key = (writer + number) % len(self.seen)
            text = metadata(digest, by=writer, number=number)

            def put(key=key, text=text):
                answer = unless_gone(lambda: put_entry(server, f"set:{key}", entry_body(text)))
                return answer is not None and answer.status == 201

            # Sent again after a kill: the same entry twice is one entry.
            wait_until(put, f"201 for {text}", limit_s=60)
            with self.lock:
                self.acknowledged[key].add(text)
                self.written += 1

    def read_until_stopped(self, server, seed):
        chance = random.Random(seed)
        while not self.stopping.is_set():
            self.read(server, chance.randrange(len(self.seen)))

    def read(self, server, key):
        with self.lock:
            expected = set(self.acknowledged[key])
            earlier = list(self.seen[key])
        answer = unless_gone(lambda: get_entries(server, f"set:{key}"))
        if answer is None or answer.status not in (200, 404):
            if answer is not None:
                self.problems.append(f"key {key}: status {answer.status}")
            return
        texts = [text for text, _ in json.loads(answer.body)] if answer.status == 200 else []
        self.judge(key, expected, earlier, texts)

    def judge(self, key, expected, earlier, texts):
        """`expected` were acknowledged, and `earlier` was the list, before `texts` was asked for."""
        with self.lock:
            self.reads += 1
            if len(texts) != len(set(texts)):
                self.problems.append(f"key {key}: an entry is there twice")
            if missing := expected - set(texts):
                self.problems.append(f"key {key}: {len(missing)} acknowledged are missing")
            if texts[: len(earlier)] != earlier:
                self.problems.append(f"key {key}: the order changed")
            if len(texts) > len(self.seen[key]):
                self.seen[key] = texts


def unless_gone(send):
    """The answer, or `None` when the server was killed before it was complete."""
    try:
        return send()
    except (OSError, HTTPException):
        return None
