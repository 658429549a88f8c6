"""Downloads of all sizes and lists of entries, beside nginx with the same bytes as files, and large
ones beside a loop that reads, sums and sends."""

import json

from benchmark import wrk
from benchmark.case import Case, Contest, Contestant, Target
from benchmark.servers import Nginx, Ours, bare_server, hot_mib
from benchmark.wrk import REQUESTS, SLOWEST, SPEED
from interop.http_client import get_entries, post_blob, put_entry
from interop.payload import Payload

OURS, NGINX, COPYING, BARE = "shacached", "nginx", "nginx, sendfile off", "bare loop"
KIB, MIB = 1 << 10, 1 << 20
NEXT_FILE = """\
local paths, next = {{{paths}}}, 0
request = function()
  next = next % #paths + 1
  return wrk.format("GET", paths[next])
end
"""


class ReadCase(Case):
    name = "read"

    def __init__(self, place):
        super().__init__(place)
        self.files = self.folder / "files"
        # Four times what may be kept in memory of smaller ones.
        self.rotated = 4 * hot_mib() // 10 + 1

    def __enter__(self):
        super().__enter__()
        self.files.mkdir()
        start = self.opened.enter_context
        pinned = {"prefix": self.place.on_server_core}
        self.ours = start(Ours(self.folder / "ours", **pinned))
        self.nginx = start(Nginx(self.folder / "nginx", self.files, **pinned))
        self.copying = start(
            Nginx(self.folder / "copying", self.files, sendfile=False, **pinned)
        )
        self.bare = start(bare_server(self.files, **pinned))
        return self

    def contests(self):
        yield "GET of 1 KiB, 16 connections kept open", self.kept_open
        yield "GET of 1 KiB, 16 at a time, each on a connection of its own", self.closed
        yield "GET of 100 KiB, one file over and over, 16 connections", self.hundred_kib
        yield "GET of 10 MiB, one file over and over, 16 connections", self.ten_mib
        yield f"GET of 10 MiB, {self.rotated} files in turn, 16 connections", self.many_in_turn
        yield f"GET of {self.place.size_mib} MiB, 2 connections", self.largest
        yield "GET of the list of a key with 3 entries, 16 connections", self.list_of_entries

    def kept_open(self, title):
        return self.beside_nginx(title, self.store(KIB), 1.0)

    def closed(self, title):
        return self.beside_nginx(title, self.store(KIB), 0.9, ["Connection: close"])

    def hundred_kib(self, title):
        return self.beside_nginx(title, self.store(100 * KIB), 1.0)

    def ten_mib(self, title):
        return self.beside_nginx(title, self.store(10 * MIB), 1.0)

    def beside_nginx(self, title, digest, ratio, headers=()):
        return Contest(
            title, [REQUESTS, SLOWEST],
            [
                self.contestant(OURS, self.ours, "/shacache/" + digest, headers),
                self.contestant(NGINX, self.nginx, "/" + digest, headers),
            ],
            NGINX, [Target(OURS, REQUESTS.name, peer=NGINX, ratio=ratio)],
        )

    def many_in_turn(self, title):
        digests = [self.store(10 * MIB, seed=seed) for seed in range(1, self.rotated + 1)]
        return self.beside_bare(title, digests)

    def largest(self, title):
        return self.beside_bare(
            title, [self.store(self.place.size_mib * MIB)], connections=2,
            seconds=2 * self.place.seconds,
        )

    def beside_bare(self, title, digests, **load):
        return Contest(
            title, [SPEED],
            [
                self.in_turn(name, server, prefix, digests, load)
                for name, server, prefix in (
                    (OURS, self.ours, "/shacache/"), (BARE, self.bare, "/"),
                    (COPYING, self.copying, "/"), (NGINX, self.nginx, "/"),
                )
            ],
            BARE,
            [
                Target(OURS, SPEED.name, peer=BARE, ratio=0.9),
                Target(OURS, SPEED.name, peer=COPYING, ratio=0.8),
            ],
        )

    def list_of_entries(self, title):
        key = "bench-three"
        for number in range(3):
            metadata = json.dumps({"sha512": "0" * 128, "file": f"file-{number}.tar.gz"})
            body = json.dumps([metadata, "c2lnbmF0dXJl" * 28])
            self.expect(put_entry(self.ours, key, body))
        (self.files / key).write_bytes(get_entries(self.ours, key).body)
        return Contest(
            title, [REQUESTS, SLOWEST],
            [
                self.contestant(OURS, self.ours, "/shadir/" + key),
                self.contestant(NGINX, self.nginx, "/" + key),
            ],
            NGINX, [Target(OURS, REQUESTS.name, peer=NGINX, ratio=1.0)],
        )

    def contestant(self, name, server, path, headers=()):
        url = server.base_url + path
        return Contestant(
            name,
            lambda: wrk.only(wrk.load(self.place, url, headers=headers), REQUESTS, SLOWEST),
        )

    def in_turn(self, name, server, prefix, digests, load):
        script = self.folder / f"{name.replace(' ', '-')}-{len(digests)}.lua"
        paths = ", ".join(f'"{prefix}{digest}"' for digest in digests)
        script.write_text(NEXT_FILE.format(paths=paths))
        return Contestant(
            name,
            lambda: wrk.only(
                wrk.load(self.place, server.base_url, script=script, **load), SPEED
            ),
        )

    def store(self, size, seed=0):
        """The same bytes for all of them; gives their digest."""
        payload = Payload(size, seed=seed)
        digest = payload.sha512()
        file = payload.write_to(self.files / digest)
        with open(file, "rb") as body:
            self.expect(post_blob(self.ours, body))
        return digest

    @staticmethod
    def expect(answer):
        if answer.status != 201:
            raise RuntimeError(f"{answer.status}: {answer.body!r}")


CASE = ReadCase
