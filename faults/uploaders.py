"""Clients that upload blobs and entries as fast as they are answered, until the server is gone; with
or without a signer."""

import contextlib
import itertools
import random
import threading
from http.client import HTTPException

from faults.acknowledged import entry_body, metadata
from interop.http_client import post_blob, put_entry


class Uploaders:
    """A context manager: so many clients run within it, and have ended after it.

    Every other upload is followed by an entry for it. `sizes_bytes` are drawn at random.
    """

    def __init__(self, server, acknowledged, name, *, clients, sizes_bytes):
        self.server = server
        self.acknowledged = acknowledged
        self.sizes_bytes = sizes_bytes
        self.stopping = threading.Event()
        self.refusals = []
        self.threads = [
            threading.Thread(target=self._upload, args=(f"{name}/{number}",))
            for number in range(clients)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _upload(self, name):
        chance = random.Random(name)
        # A server that dies answers nothing, or half an answer.
        with contextlib.suppress(OSError, HTTPException):
            for number in itertools.count():
                if self.stopping.is_set() or not self._upload_one(chance, name, number):
                    return

    def _upload_one(self, chance, name, number):
        answer = post_blob(self.server, chance.randbytes(chance.choice(self.sizes_bytes)))
        if answer.status != 201:
            self.refusals.append(answer.status)
            return False
        digest = answer.body.decode()
        self.acknowledged.add_blob(digest)
        if number % 2:
            return True
        text = metadata(digest, by=name, number=number)
        # Every other key is new, so that its folder is; the rest share a few.
        key = f"own:{name}/{number}" if number % 4 else f"shared:{chance.randrange(20)}"
        answer = put_entry(self.server, key, entry_body(text))
        if answer.status != 201:
            self.refusals.append(answer.status)
            return False
        self.acknowledged.add_entry(key, text)
        return True


class SignedUploaders(Uploaders):
    """The same without credentials, where entries have to be signed. One blob in three is not claimed
    before the server is gone, though its uploader could."""

    def __init__(self, server, acknowledged, name, *, signer, **more):
        super().__init__(server, acknowledged, name, **more)
        self.signer = signer

    def _upload_one(self, chance, name, number):
        answer = post_blob(self.server, chance.randbytes(chance.choice(self.sizes_bytes)))
        if answer.status != 201:
            self.refusals.append(answer.status)
            return False
        digest = answer.body.decode()
        text = metadata(digest, by=name, number=number)
        key = f"own:{name}/{number}" if number % 4 else f"shared:{chance.randrange(20)}"
        body = self.signer.entry_body(text)
        if number % 3 == 2:
            self.acknowledged.add_waiting(digest, key, text, body)
            return True
        answer = put_entry(self.server, key, body)
        if answer.status != 201:
            self.refusals.append(answer.status)
            return False
        self.acknowledged.add_blob(digest)
        self.acknowledged.add_entry(key, text)
        return True
