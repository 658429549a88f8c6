"""The entries of a few keys as a set: what writers were told and readers saw. A key's list only ever
grows, at its end, and by what was put. Must not know what happens to the server meanwhile."""

import hashlib
import json
import random
import threading
from http.client import HTTPException

from faults.acknowledged import entry_body, metadata
from interop.http_client import get_entries, put_entry
from interop.server import wait_until


class SetLog:
    """Grows from several threads. Written and read is one key after the other, of so many."""

    def __init__(self, keys):
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        # Set while the disk is gone: reads may fail then, and nothing else.
        self.no_disk = threading.Event()
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
        may_fail = self.no_disk.is_set()
        answer = unless_gone(lambda: get_entries(server, f"set:{key}"))
        if answer is None or (answer.status >= 500 and (may_fail or self.no_disk.is_set())):
            return
        if answer.status not in (200, 404):
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
