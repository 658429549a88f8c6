"""Looks at an archive's files as they lie on disk, without the server."""

import base64
import hashlib
import json


def unfit_blobs(data):
    """One line for each file whose bytes are not those that its name promises."""
    for file in blob_files(data):
        content = file.read_bytes()
        if hashlib.sha512(content).hexdigest() != file.name:
            yield f"blob {file.name[:16]}…: {len(content)} other bytes under its name"


def blob_files(data):
    return (data / "archive/blobs").glob("*/*/*")


def blob_file(data, digest):
    return data / "archive/blobs" / digest[:2] / digest[2:4] / digest


def unfit_entries(data):
    """One line for each file that is not the entry that its name promises."""
    for file in entry_files(data):
        try:
            text, signature = json.loads(file.read_bytes())
        except ValueError:
            yield f"entry {file.name[:40]}…: not an entry"
            continue
        signature = base64.b64decode(signature)
        entry_id = hashlib.sha512(text.encode() + b"\0" + signature).hexdigest()
        if file.stem.partition("-")[2] != entry_id:
            yield f"entry {file.name[:40]}…: another entry's name"


def entry_files(data):
    return (data / "archive/entries").glob("*/*/*.json")


def without_blob(data):
    """One line for each entry whose blob is not there; files that are no entries are found above."""
    for file in entry_files(data):
        try:
            text, _ = json.loads(file.read_bytes())
        except ValueError:
            continue
        digest = json.loads(text)["sha512"]
        if not blob_file(data, digest).exists():
            yield f"entry {file.name[:40]}…: published, and its blob {digest[:16]}… is not there"


def temporary_files(data):
    return set((data / "tmp").iterdir())


def unfit(data):
    return [*unfit_blobs(data), *unfit_entries(data)]
