"""What a server promised: the blobs and entries that it answered with 201, and the check that it
keeps the promise. Must not know what happened to the server in between."""

import hashlib
import json
import threading
from http.client import HTTPException

from interop.http_client import get_blob, get_entries, put_entry


class Acknowledged:
    """Grows from several threads while a server takes uploads."""

    def __init__(self):
        self.lock = threading.Lock()
        # Digests; key → metadata texts in the order of their 201.
        self.blobs = []
        self.entries = {}

    def add_blob(self, digest):
        with self.lock:
            self.blobs.append(digest)

    def add_entry(self, key, text):
        with self.lock:
            self.entries.setdefault(key, []).append(text)

    def merge(self, other):
        self.blobs.extend(other.blobs)
        for key, texts in other.entries.items():
            self.entries.setdefault(key, []).extend(texts)

    def count(self):
        return len(self.blobs) + sum(map(len, self.entries.values()))

    def lost(self, server):
        """One line for each promise that `server` does not keep."""
        return [*self.lost_blobs(server), *self.lost_entries(server)]

    def lost_blobs(self, server):
        for digest in dict.fromkeys(self.blobs):
            try:
                answer = get_blob(server, digest)
            except HTTPException as error:
                yield f"blob {digest[:16]}…: {error!r}"
                continue
            if answer.status != 200:
                yield f"blob {digest[:16]}…: status {answer.status}"
            elif hashlib.sha512(answer.body).hexdigest() != digest:
                yield f"blob {digest[:16]}…: {len(answer.body)} wrong bytes"

    def lost_entries(self, server):
        for key, texts in self.entries.items():
            answer = get_entries(server, key)
            if answer.status != 200:
                yield f"key {key}: status {answer.status}"
                continue
            served = [text for text, _ in json.loads(answer.body)]
            for text in texts:
                if served.count(text) != 1:
                    yield f"key {key}: entry {text} is there {served.count(text)} times"


class Claimable(Acknowledged):
    """Of a server that takes what is signed: a blob without credentials is promised some time in
    which it can be claimed, too."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def add_waiting(self, digest, key, text, body):
        with self.lock:
            self.waiting.append((digest, key, text, body))

    def lost(self, server):
        """What waits is claimed first, and has to be there then as everything else."""
        refused = []
        for digest, key, text, body in self.waiting:
            answer = put_entry(server, key, body)
            if answer.status != 201:
                refused.append(f"blob {digest[:16]}…: its entry was answered {answer.status}")
            self.add_blob(digest)
            self.add_entry(key, text)
        self.waiting.clear()
        return [*refused, *super().lost(server)]


def metadata(digest, **more):
    return json.dumps({"sha512": digest, **more})


def entry_body(text):
    return json.dumps([text, ""])
