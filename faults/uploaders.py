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
        """Whether to go on."""
        digest = self._post(chance)
        if digest is None:
            return False
        self.acknowledged.add_blob(digest)
        if number % 2:
            return True
        text = metadata(digest, by=name, number=number)
        key = key_of(chance, name, number)
        if not self._put(key, entry_body(text)):
            return False
        self.acknowledged.add_entry(key, text)
        return True

    def _post(self, chance):
        """The digest of a new blob that was acknowledged."""
        answer = post_blob(self.server, chance.randbytes(chance.choice(self.sizes_bytes)))
        return answer.body.decode() if self._is_acknowledged(answer) else None

    def _put(self, key, body):
        return self._is_acknowledged(put_entry(self.server, key, body))

    def _is_acknowledged(self, answer):
        if answer.status != 201:
            self.refusals.append(answer.status)
        return answer.status == 201


class SignedUploaders(Uploaders):
    """The same without credentials, where entries have to be signed. One blob in three is not claimed
    before the server is gone, though its uploader could."""

    def __init__(self, server, acknowledged, name, *, signer, **more):
        super().__init__(server, acknowledged, name, **more)
        self.signer = signer

    def _upload_one(self, chance, name, number):
        digest = self._post(chance)
        if digest is None:
            return False
        text = metadata(digest, by=name, number=number)
        key, body = key_of(chance, name, number), self.signer.entry_body(text)
        if number % 3 == 2:
            self.acknowledged.add_waiting(digest, key, text, body)
            return True
        if not self._put(key, body):
            return False
        self.acknowledged.add_blob(digest)
        self.acknowledged.add_entry(key, text)
        return True


def key_of(chance, name, number):
    """Most keys are new, so that their folders are; the rest share a few."""
    return f"own:{name}/{number}" if number % 4 else f"shared:{chance.randrange(20)}"
