"""Blobs are collected while clients find them, skip the upload and put entries that name them: no
acknowledged entry names a blob that is gone."""

import hashlib
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from faults.fault_test import FaultTest, by_tier
from interop.http_client import get_blob, get_entries, post_blob, put_entry, request
from interop.server import Shacached, run_shacached

CLIENTS = 16
LONGEST_PAUSE_S = 0.1


class CollectionRace(FaultTest):
    def test_what_is_named_is_there(self):
        rounds = by_tier(500, 10_000)
        server = self.start(Shacached(self.folder / "data"))
        collector = Collector(server)
        with collector, ThreadPoolExecutor(CLIENTS) as clients:
            digests = list(clients.map(lambda number: self.put(server, number), range(rounds)))
        self.counts["rounds"] = rounds
        self.counts["collections"] = collector.runs
        self.counts["blobs collected"] = collector.blobs
        # Those that came back were gone when the entry arrived.
        restored = [line for line in server.log if "brought back from quarantine" in line]
        self.counts["brought back"] = len(restored)
        gone = [
            digest for number, digest in enumerate(digests)
            if hashlib.sha512(get_blob(server, digest).body).hexdigest() != digest
            or digest not in get_entries(server, f"race/{number}").body.decode()
        ]
        self.assertEqual(gone, [], "an entry names a blob that was collected")
        self.assertGreater(len(restored), 10, "the collector was hardly ever in time")

    def put(self, server, number):
        chance = random.Random(number)
        data = chance.randbytes(chance.choice([1, 1_000, 70_000])) + number.to_bytes(4, "big")
        digest = hashlib.sha512(data).hexdigest()
        self.assertEqual(post_blob(server, data).status, 201)
        if get_blob(server, digest).status == 200:
            self.counts["found"] += 1
        else:
            self.assertEqual(post_blob(server, data).status, 201)
        # The collector may come at any moment in between.
        time.sleep(chance.uniform(0, LONGEST_PAUSE_S))
        body = json.dumps([json.dumps({"sha512": digest}), ""])
        self.assertEqual(put_entry(server, f"race/{number}", body).status, 201)
        return digest


class Collector:
    """Collects in a loop whatever nothing names, however young it is, as long as it is entered."""

    def __init__(self, server):
        self.server = server
        self.runs = self.blobs = 0
        self.stopped = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self.work)
        self.token = run_shacached(
            "token", "new", "operator", "--role", "admin", "--data", server.data
        ).strip()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        if self.failure:
            raise AssertionError("the collector failed") from self.failure

    def work(self):
        try:
            while not self.stopped.is_set():
                self.collect()
        except Exception as failure:
            self.failure = failure

    def collect(self):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = json.dumps({"unused-days": 0})
        answer = request(self.server, "POST", "/admin/collect", body, headers)
        if answer.status != 200:
            raise AssertionError(f"status {answer.status}: {answer.body}")
        self.blobs += json.loads(answer.body)["blobs"]
        self.runs += 1
