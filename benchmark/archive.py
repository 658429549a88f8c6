"""A large archive, written as its format says and not by the server: that would take hours."""

import base64
import hashlib
import json
import os
import random
from pathlib import Path

SIGNATURE = "c2lnbmF0dXJl" * 28
BLOBS, ENTRIES, KEYS = 100_000, 1_000_000, 300_000


def write_blobs(data):
    blobs = data / "archive/blobs"
    for number in range(BLOBS):
        content = number.to_bytes(8, "big")
        digest = hashlib.sha512(content).hexdigest()
        write(blobs / digest[:2] / digest[2:4], digest, content)


def write_entries(data):
    """Each names a blob of its own, which is not there. The first keys have one more than the
    others."""
    decoded = base64.b64decode(SIGNATURE)
    for number in range(ENTRIES):
        key = key_name(number % KEYS)
        digest = hashlib.sha512(b"entry %d" % number).hexdigest()
        metadata = json.dumps({"sha512": digest, "file": f"file-{number}.tar.gz"})
        body = json.dumps([metadata, SIGNATURE]).encode()
        name = hashlib.sha512(metadata.encode() + b"\0" + decoded).hexdigest()
        received = f"20260101T{number // KEYS:02}0000.000000Z"
        folder = data / "archive/entries" / hashlib.sha256(key.encode()).hexdigest()[:2] / key
        write(folder, f"{received}-{name}.json", body)


def read_all(data):
    """Gives how many bytes all files in it have."""
    return sum(
        len((Path(folder) / name).read_bytes())
        for folder, _, names in os.walk(data / "archive") for name in names
    )


def some_keys(count):
    """Picked at random, always the same."""
    chance = random.Random(1)
    return [key_name(chance.randrange(KEYS)) for _ in range(count)]


def key_name(number):
    return f"bench-{number}"


def write(folder, name, content):
    try:
        file = open(folder / name, "xb", buffering=0)
    except FileNotFoundError:
        folder.mkdir(parents=True)
        file = open(folder / name, "xb", buffering=0)
    with file:
        file.write(content)
