"""What a disk may hold after a power cut, computed from a trace of system calls.

The model is harsher than any file system in use. Whatever a sync covers is kept; each other write
and each other name is kept or lost by itself, in any order: a file may be missing, empty, cut off,
or full of zeros, a folder may be missing with all that is in it. A call that had not returned by
the time of the cut may have happened, and a sync that had not returned covers nothing.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from faults.trace import FOREVER

# How an image treats what no sync covers: the chance that a name is kept, and that a write is.
MOODS = [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5), (0.9, 0.5), (0.5, 0.9)]


@dataclass
class Event:
    """A write or a new name, from when it may be on disk, and from when it must be."""

    begin: int
    end: float
    durable: float = FOREVER

    def is_kept(self, cut, chance, probability):
        if self.durable < cut:
            return True
        return self.begin < cut and chance.random() < probability


@dataclass
class Write(Event):
    length: int = 0


@dataclass
class File:
    """A file that was written to `tmp/`, its content and the names that it was given."""

    temporary: Path
    content: bytes = b""
    writes: list[Write] = field(default_factory=list)

    def image(self, cut, chance, probability):
        """The bytes that a cut leaves of it."""
        content, offset = bytearray(), 0
        for write in self.writes:
            end = offset + write.length
            if write.is_kept(cut, chance, probability):
                content.extend(bytes(offset - len(content)))
                content.extend(self.content[offset:end])
            elif write.begin < cut and (torn := chance.choice(["gone", "zeros", "half"])) != "gone":
                kept = write.length // 2 if torn == "half" else 0
                content.extend(bytes(offset - len(content)))
                content.extend(self.content[offset : offset + kept])
                content.extend(bytes(write.length - kept))
            offset = end
        return bytes(content)


@dataclass
class Name(Event):
    """A name that appeared in a folder: of a file, or of a new folder."""

    path: str = ""
    file: File | None = None


class Recording:
    """The writes and names of a traced load on the folder `data`."""

    def __init__(self, calls, data):
        self.data = data
        self.files = []
        self.names = []
        self.last = max((call.end for call in calls if call.end < FOREVER), default=0)
        at = {}
        for call in calls:
            if call.result is None or call.result < 0:
                continue
            self.add(call, at)

    def add(self, call, at):
        """`at` tells which file has which path at the moment."""
        if call.name == "openat" and "O_EXCL" in call.arguments and "/tmp/" in call.paths[0]:
            at[call.paths[0]] = File(Path(call.paths[0]))
            self.files.append(at[call.paths[0]])
        elif call.name == "write" and call.descriptor_path in at:
            write = Write(call.begin, call.end, length=call.result)
            at[call.descriptor_path].writes.append(write)
        elif call.name.startswith("mkdir") and self.is_promised(call.paths[0]):
            self.names.append(Name(call.begin, call.end, path=call.paths[0]))
        elif call.name.startswith("rename") and self.is_promised(call.paths[1]):
            old, new = call.paths
            at[new] = at.pop(old)
            self.names.append(Name(call.begin, call.end, path=new, file=at[new]))
        elif call.name == "fsync":
            self.sync(call, call.descriptor_path, at)
        elif call.name == "syncfs":
            self.sync(call, None, at)

    def is_promised(self, path):
        """Only the archive is promised anything about, and what waits to get there. A name that was
        left for another one stays in the image, as if the disk had not heard of that."""
        promised = (self.data / "archive", self.data / "unclaimed")
        return any(Path(path).is_relative_to(folder) for folder in promised)

    def sync(self, call, path, at):
        """Covers the file or folder at `path`, or everything."""
        file = at.get(path)
        for one in self.files if path is None else [file] if file else []:
            cover(one.writes, call)
        cover((n for n in self.names if path is None or os.path.dirname(n.path) == path), call)

    def give_contents(self, uploads):
        """Tells every file what was written to it."""
        for name in self.names:
            if name.file is not None:
                matching = [upload for upload in uploads if upload.matches(name.path)]
                name.file.content = matching[0].body

    def image(self, cut, chance):
        """What may be on disk: path → bytes, or `None` for a folder."""
        names_kept, writes_kept = chance.choice(MOODS)
        found = {}
        lost_folders = set()
        for name in self.names:
            parent = os.path.dirname(name.path)
            if parent in lost_folders or not name.is_kept(cut, chance, names_kept):
                if name.file is None:
                    lost_folders.add(name.path)
                elif name.begin < cut and chance.random() < 0.5:
                    left = str(name.file.temporary)
                    found[left] = name.file.image(cut, chance, writes_kept)
            elif name.file is None:
                found[name.path] = None
            else:
                found[name.path] = name.file.image(cut, chance, writes_kept)
        return found


def cover(events, sync):
    for event in events:
        if event.end < sync.begin:
            event.durable = min(event.durable, sync.end)
