"""Clients that upload all the time, and remember what they were promised."""

import hashlib
import json
import random
import threading
from dataclasses import dataclass

from interop.http_client import post_blob, put_entry

THREADS = 4
MAX_BYTES = 200_000


@dataclass(frozen=True)
class Promise:
    """A blob and an entry that were both answered 201."""

    key: str
    digest: str
    text: str


class Writers:
    """Uploads from several threads while it is used as a context manager."""

    def __init__(self, server):
        self.server = server
        self.kept = []
        self.errors = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(THREADS)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def promises(self):
        """Everything that was promised up to now."""
        with self.lock:
            return list(self.kept)

    def _write(self, number):
        source = random.Random(number)
        try:
            while not self.stopping.is_set():
                data = source.randbytes(source.randrange(MAX_BYTES))
                digest = hashlib.sha512(data).hexdigest()
                # Few keys: several threads put entries under the same one.
                key = f"key-{source.randrange(20)}"
                text = json.dumps({"sha512": digest, "nonce": source.random()})
                answers = [
                    post_blob(self.server, data),
                    put_entry(self.server, key, json.dumps([text, ""])),
                ]
                if [answer.status for answer in answers] != [201, 201]:
                    raise AssertionError(answers)
                with self.lock:
                    self.kept.append(Promise(key, digest, text))
        except Exception as error:  # noqa: BLE001 - it is raised again where the test sees it
            self.errors.append(error)
