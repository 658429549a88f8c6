"""A mixed load in which every request is named, so that each 201 is found again in a trace of the
server's system calls: lone and grouped uploads, small and spooled, blobs and entries, some of them
twice."""

import fnmatch
import hashlib
import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from faults.acknowledged import entry_body, metadata
from faults.trace import Trace
from interop.http_client import request

# What the server is traced for: all that decides what is on disk, and what carries an answer.
CALLS = [
    "openat", "write", "writev", "sendto", "sendmsg", "fsync", "fdatasync", "syncfs",
    "rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat",
]
ANSWERS = {"write", "writev", "sendto", "sendmsg"}
CREATED = re.compile(r"HTTP/1\.1 201 .*?\\r\\nrequest-id: ([\w-]+)\\r\\n", re.IGNORECASE)
# A sync takes this long at least, so that small uploads wait for each other and form groups.
SLOW_SYNC_US = 2_000


@dataclass
class Upload:
    """One request and what it promises once answered 201."""

    name: str
    method: str
    path: str
    body: bytes
    # The path of its file below the archive, as a shell would match it.
    file: str

    def matches(self, path):
        """Whether it is the file's own path, or where it lies unclaimed."""
        name = self.file.rpartition("/")[2]
        places = (f"*/archive/{self.file}", f"*/unclaimed/{name}")
        return any(fnmatch.fnmatchcase(path, place) for place in places)

    @classmethod
    def blob(cls, name, data):
        digest = hashlib.sha512(data).hexdigest()
        file = f"blobs/{digest[:2]}/{digest[2:4]}/{digest}"
        return cls(name, "POST", "/shacache/", data, file)

    @classmethod
    def entry(cls, name, key, body):
        return cls(name, "PUT", f"/shadir/{key}", body, f"entries/??/{key}/*.json")

    def send(self, server):
        media_type = "application/json" if self.method == "PUT" else "application/octet-stream"
        headers = {"Content-Type": media_type, "Request-Id": self.name}
        return request(server, self.method, self.path, self.body, headers).status


def traced(server, file):
    """Records the calls that matter, of a server whose disk is not faster than real ones."""
    return Trace(server, file, CALLS, inject=f"fsync:delay_enter={SLOW_SYNC_US}")


def publish(server, uploads_count):
    """Sends so many uploads, a part of them alone and a part all at once; gives those answered 201.

    A fifth of the blobs is large enough to be spooled. One in ten is sent a second time.
    """
    chance = random.Random(4)
    uploads = []
    for number in range(uploads_count):
        if number % 10 == 9:
            again = uploads[chance.randrange(len(uploads))]
            uploads.append(Upload(f"n{number}", again.method, again.path, again.body, again.file))
        elif number % 3 == 2:
            text = metadata(hashlib.sha512(b"elsewhere").hexdigest(), number=number)
            uploads.append(Upload.entry(f"n{number}", f"key-{number}", entry_body(text).encode()))
        else:
            sizes_bytes = (0, 1, 700, 5_000) if number % 5 else (70_000, 150_000)
            data = chance.randbytes(chance.choice(sizes_bytes))
            uploads.append(Upload.blob(f"n{number}", data))
    alone, together = uploads[: len(uploads) // 3], uploads[len(uploads) // 3 :]
    statuses = [upload.send(server) for upload in alone]
    with ThreadPoolExecutor(16) as pool:
        statuses += pool.map(lambda upload: upload.send(server), together)
    return [upload for upload, status in zip(uploads, statuses, strict=True) if status == 201]


def publish_signed(server, signer, blobs_count):
    """Sends so many blobs without credentials, each followed by the entry that claims it, but for one
    in four; gives the pairs, of whatever was answered 201, with `None` for an entry."""
    chance = random.Random(6)
    pairs = []
    for number in range(blobs_count):
        blob = Upload.blob(f"b{number}", chance.randbytes(chance.choice((700, 5_000, 70_000))))
        text = metadata(hashlib.sha512(blob.body).hexdigest(), number=number)
        body = signer.entry_body(text).encode()
        pairs.append((blob, Upload.entry(f"e{number}", f"key-{number}", body)))

    def send(pair):
        blob, entry = pair
        is_claimed = not blob.name.endswith(("3", "7"))
        if blob.send(server) != 201 or is_claimed and entry.send(server) != 201:
            return None
        return blob, entry if is_claimed else None

    alone, together = pairs[: blobs_count // 3], pairs[blobs_count // 3 :]
    sent = [send(pair) for pair in alone]
    with ThreadPoolExecutor(16) as pool:
        sent += pool.map(send, together)
    return [pair for pair in sent if pair is not None]


def answers(calls):
    """Name of the request → the call that begins to send its 201."""
    found = {}
    for call in calls:
        if call.name in ANSWERS and (created := CREATED.search(call.arguments)):
            found.setdefault(created[1], call)
    return found
