"""`shacache` beside the Python client and beside a pipeline that does nothing but the work itself."""

import shutil
from pathlib import Path

from benchmark.case import Case, Contest, Contestant, Measure, Target
from benchmark.place import BARE_PIPELINE, PYTHON_COMMANDS, SHACACHE, SHACACHED, timed
from interop.payload import Payload
from interop.server import Shacached

OURS, BARE, PYTHON = "shacache", "bare pipeline", "slapos.libnetworkcache 0.30"
KEY = "benchmark"
SPEED = Measure("speed", "MB/s")
MEMORY = Measure("peak memory", "MiB", higher_is_better=False, decimals=1)
TARGETS = [
    Target(OURS, SPEED.name, peer=BARE, ratio=0.9),
    Target(OURS, MEMORY.name, at_most=50),
]


class Released(Shacached):
    """The server as it is released."""

    program = SHACACHED


class ClientCase(Case):
    name = "client"

    def __init__(self, place):
        super().__init__(place)
        self.size = place.size_mib << 20
        self.server = None

    def __enter__(self):
        super().__enter__()
        self.payload = Payload(self.size).write_to(self.folder / "payload")
        self.digest = Payload(self.size).sha512()
        self.start_server()
        return self

    def __exit__(self, *_):
        self.stop_server()
        super().__exit__()

    def contests(self):
        size = f"{self.place.size_mib} MiB"
        yield f"download of {size} to a file, verified", self.downloads
        yield f"upload of a file of {size} that the server has not", self.uploads

    def downloads(self, title):
        self.upload_with_python()
        return self.contest(
            title,
            lambda: self.download(self.our_download),
            lambda: self.download(self.bare_download),
            lambda: self.download(self.python_download),
        )

    def uploads(self, title):
        return self.contest(
            title,
            lambda: self.upload(self.our_upload),
            lambda: self.upload(self.bare_upload),
            lambda: self.upload(self.python_upload),
        )

    @staticmethod
    def contest(title, ours, bare, python):
        return Contest(
            title, [SPEED, MEMORY],
            [Contestant(OURS, ours), Contestant(BARE, bare), Contestant(PYTHON, python)],
            BARE, TARGETS,
        )

    # --- downloads -----------------------------------------------------------------------------

    def download(self, by):
        """Into a new file each time, whose bytes have to be those that were uploaded."""
        target = self.folder / "downloaded"
        run = by(target)
        if target.stat().st_size != self.size:
            raise RuntimeError(f"{by.__name__}: {target.stat().st_size} bytes")
        target.unlink()
        return self.measured(run)

    def our_download(self, target):
        return self.timed(
            SHACACHE, "download", "--quiet", "--server", self.server.base_url, self.digest,
            "--output", target,
        )

    def bare_download(self, target):
        return self.timed(
            BARE_PIPELINE, "download", self.address, f"/shacache/{self.digest}", target
        )

    def python_download(self, target):
        command = PYTHON_COMMANDS / "networkcache-download"
        return self.timed(command, "-c", self.config, "-k", KEY, output=target)

    # --- uploads -------------------------------------------------------------------------------

    def upload(self, by):
        """To a server that starts with nothing, so that everything has to be sent and kept."""
        self.stop_server()
        self.start_server()
        run = by()
        kept = self.data / "archive/blobs" / self.digest[:2] / self.digest[2:4] / self.digest
        if kept.stat().st_size != self.size:
            raise RuntimeError(f"{by.__name__}: {kept.stat().st_size} bytes were kept")
        return self.measured(run)

    def our_upload(self):
        return self.timed(
            SHACACHE, "upload", "--quiet", "--server", self.server.base_url, self.payload
        )

    def bare_upload(self):
        return self.timed(BARE_PIPELINE, "upload", self.address, "/shacache/", self.payload)

    def python_upload(self):
        return self.upload_with_python()

    def upload_with_python(self):
        command = PYTHON_COMMANDS / "networkcache-upload"
        return self.timed(command, "-c", self.config, "-f", self.payload, "-k", KEY, "of=1")

    # --- the server and the clock --------------------------------------------------------------

    @property
    def address(self):
        return self.server.base_url.removeprefix("http://")

    @property
    def data(self):
        return self.folder / "data"

    @property
    def config(self) -> Path:
        file = self.folder / "slapos.cfg"
        file.write_text(
            "[networkcache]\n"
            f"download-cache-url = {self.server.cache_url}\n"
            f"upload-cache-url = {self.server.cache_url}\n"
            f"download-dir-url = {self.server.directory_url}\n"
            f"upload-dir-url = {self.server.directory_url}\n"
        )
        return file

    def start_server(self):
        self.server = Released(self.data, prefix=self.place.on_server_core)
        self.server.start()

    def stop_server(self):
        self.server.stop()
        shutil.rmtree(self.data)

    def timed(self, *command, output=None):
        return timed([*self.place.on_client_core, *command], output=output)

    def measured(self, run):
        return {SPEED.name: self.size / run.seconds / 1e6, MEMORY.name: run.peak_mib}


CASE = ClientCase
