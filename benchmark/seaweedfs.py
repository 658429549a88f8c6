"""SeaweedFS in one process, with its S3 face and one bucket that anybody may write to."""

import shutil
import subprocess

from benchmark.place import SEAWEEDFS, clean
from interop.http_client import request
from interop.nginx import free_port
from interop.server import wait_until

BUCKET = "bench"


class SeaweedFS:
    """Keeps everything in `folder`. Use it as a context manager: leaving ends it."""

    def __init__(self, folder, prefix=()):
        folder.mkdir(parents=True)
        self.folder = folder
        self.address = ("127.0.0.1", free_port())
        # What no port is named for is not started, or has one of its own that is always the same.
        ports = [
            f"-{part}={free_port()}" for part in (
                "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
                "filer.port.grpc", "s3.port.grpc",
            )
        ]
        self.command = [
            *prefix, SEAWEEDFS, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-dir={folder}", "-filer", "-s3", f"-s3.port={self.address[1]}", *ports,
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
        ]
        self.process = None

    def __enter__(self):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=clean(),
            )
        wait_until(self.has_bucket, "SeaweedFS to make a bucket", 60)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def has_bucket(self):
        """Whether it has one, after it was asked to make it."""
        try:
            return request(self, "PUT", f"/{BUCKET}").status == 200
        except OSError:
            return False
