"""A real slapproxy of slapos.core on a free port, with folders of its own."""

import re
import subprocess
import threading
from pathlib import Path

from interop.python_client import SLAPOS_ENVIRONMENT

START_LIMIT_S = 60


class Slapproxy:
    """`slapos proxy start` with a cache in `folder`. Use it as a context manager: leaving ends it.

    `prefix` is put before the command.
    """

    def __init__(self, folder, *, prefix=()):
        self.content, self.metadata = Path(folder, "content"), Path(folder, "metadata")
        self.content.mkdir(parents=True)
        self.metadata.mkdir()
        self.config_file = Path(folder, "slapproxy.cfg")
        self.config_file.write_text(
            "[slapos]\ncomputer_id = computer\n"
            f"[slapproxy]\nhost = 127.0.0.1\nport = 0\ndatabase_uri = {folder}/proxy.db\n"
            f"shacache_content_directory = {self.content}\n"
            f"shacache_metadata_directory = {self.metadata}\n"
        )
        self.command = [
            *prefix, SLAPOS_ENVIRONMENT / "bin/slapos", "proxy", "start", "--cfg", self.config_file,
        ]
        self.process = None
        self.log = []
        self.base_url = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        listening = threading.Event()
        threading.Thread(target=self._read_log, args=(listening,), daemon=True).start()
        if not listening.wait(START_LIMIT_S) or self.base_url is None:
            self.__exit__()
            raise AssertionError("slapproxy did not start:\n" + "".join(self.log))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def address(self):
        host, port = self.base_url.removeprefix("http://").split(":")
        return host, int(port)

    @property
    def cache_url(self):
        return self.base_url + "/shacache/cache"

    @property
    def directory_url(self):
        return self.base_url + "/shacache/dir"

    def _read_log(self, listening):
        with self.process.stdout as stream:
            for line in stream:
                self.log.append(line)
                found = re.search(r"Running on (http://[\d.]+:\d+)", line)
                if found:
                    self.base_url = found[1]
                    listening.set()
        listening.set()
