"""Uploads: a large one beside the bare pipeline and other servers, many small ones beside a loop that
publishes one after the other. All are durable before they are answered, but for the other servers'."""

import http.client
import itertools
import os
import subprocess
import time

from benchmark import wrk
from benchmark.case import Case, Contest, Contestant, Target
from benchmark.place import BARE_SERVER, clean
from benchmark.seaweedfs import BUCKET, SeaweedFS
from benchmark.servers import Ours, bare_server
from benchmark.wrk import REQUESTS, SPEED
from interop.payload import Payload
from interop.slapproxy import Slapproxy

OURS, BARE, SLAPPROXY, SEAWEEDFS = "shacached", "bare pipeline", "slapproxy", "SeaweedFS, S3"
LOOP, FLAT = "serial loop", "serial loop, one folder"
SMALL_BYTES, ENTRY_BYTES, KEYS = 1 << 10, 700, 10_000
# No two requests of one benchmark have the same body: {first} is another number in each run.
POST_BLOBS = """\
local number, rest = {first}, string.rep("x", {size} - 16)
local headers = {{["Content-Type"] = "application/octet-stream"}}
request = function()
  number = number + 1
  return wrk.format("POST", "/shacache/", headers, string.format("%016d", number) .. rest)
end
"""
PUT_ENTRIES = """\
local number = {first}
local headers = {{["Content-Type"] = "application/json"}}
local most, signature = string.rep("0", 112), string.rep("c2lnbmF0dXJl", 28)
request = function()
  number = number + 1
  local body = string.format(
    '["{{\\\\"sha512\\\\": \\\\"%s%016d\\\\", \\\\"file\\\\": \\\\"file-%016d.tar.gz\\\\"}}", "%s"]',
    most, number, number, signature)
  return wrk.format("PUT", "/shadir/bench-" .. number % {keys}, headers, body)
end
"""
RUN_APART = 10**9


class WriteCase(Case):
    name = "write"

    def __init__(self, place):
        super().__init__(place)
        self.numbers = itertools.count(1)

    def contests(self):
        yield f"POST of {self.large_mib} MiB, both cores", self.large
        yield "POST of 1 KiB, 32 connections", self.small_blobs
        yield "PUT of an entry, 32 connections", self.small_entries

    # --- a large one -----------------------------------------------------------------------------

    @property
    def large_mib(self):
        return self.place.size_mib // 4

    def large(self, title):
        start = self.opened.enter_context
        bare_folder = self.folder / "bare"
        bare_folder.mkdir()
        ours = start(Ours(self.folder / "ours-large"))
        bare = start(bare_server(bare_folder))
        slapproxy = start(Slapproxy(self.folder / "slapproxy"))
        seaweedfs = start(SeaweedFS(self.folder / "seaweedfs"))
        return Contest(
            title, [SPEED],
            [
                Contestant(OURS, lambda: self.send("POST", ours, "/shacache/")),
                Contestant(BARE, lambda: self.send("POST", bare, "/")),
                Contestant(SLAPPROXY, lambda: self.send("POST", slapproxy, "/shacache/cache/")),
                Contestant(SEAWEEDFS, lambda: self.send("PUT", seaweedfs, f"/{BUCKET}/{{}}")),
            ],
            BARE,
            [
                Target(OURS, SPEED.name, peer=BARE, ratio=0.9),
                Target(OURS, SPEED.name, peer=SLAPPROXY, ratio=1.3),
                Target(OURS, SPEED.name, peer=SEAWEEDFS, ratio=1.0),
            ],
        )

    def send(self, method, server, path):
        """Bytes that none of them has, ready before the clock starts, as is the disk."""
        payload = Payload(self.large_mib << 20, seed=next(self.numbers))
        digest = payload.sha512()
        file = payload.write_to(self.folder / "payload")
        os.sync()
        started = time.perf_counter()
        status, body = upload(server.address, method, path.format(digest), file)
        seconds = time.perf_counter() - started
        # S3 tells no SHA-512.
        if status not in (200, 201) or (method == "POST" and body.decode().strip() != digest):
            raise RuntimeError(f"{method} {path}: {status}: {body[:200]}")
        return {SPEED.name: payload.size / seconds / 1e6}

    # --- many small ones -------------------------------------------------------------------------

    def small_blobs(self, title):
        return self.beside_loop(title, "blobs", POST_BLOBS, size=SMALL_BYTES)

    def small_entries(self, title):
        return self.beside_loop(title, "entries", PUT_ENTRIES, size=ENTRY_BYTES, keys=KEYS)

    def beside_loop(self, title, what, script, size, **values):
        ours = self.opened.enter_context(
            Ours(self.folder / f"ours-{what}", prefix=self.place.on_server_core)
        )
        return Contest(
            title, [REQUESTS],
            [
                Contestant(OURS, lambda: self.ask(ours, script, size=size, **values)),
                Contestant(LOOP, lambda: self.loop(what, size)),
                Contestant(FLAT, lambda: self.loop("flat", size)),
            ],
            LOOP, [Target(OURS, REQUESTS.name, peer=LOOP, ratio=1.5)],
        )

    def ask(self, server, script, **values):
        file = self.folder / "requests.lua"
        file.write_text(script.format(first=next(self.numbers) * RUN_APART, **values))
        os.sync()
        return wrk.only(
            wrk.load(self.place, server.base_url, connections=32, script=file), REQUESTS
        )

    def loop(self, what, size):
        """The system calls that publish a file, without anybody to ask for it."""
        folder = self.folder / f"loop-{next(self.numbers)}"
        folder.mkdir()
        os.sync()
        command = [
            *self.place.on_server_core, BARE_SERVER, "publish", what, folder,
            str(self.place.seconds), str(size),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean())
        return {REQUESTS.name: float(done.stdout)}


def upload(address, method, path, file):
    """Gives the status and the body of the answer. The kernel copies the file: this side costs
    little."""
    connection = http.client.HTTPConnection(*address, timeout=300)
    try:
        with open(file, "rb") as body:
            connection.putrequest(method, path)
            connection.putheader("Content-Type", "application/octet-stream")
            connection.putheader("Content-Length", str(os.fstat(body.fileno()).st_size))
            connection.endheaders()
            connection.sock.sendfile(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


CASE = WriteCase
