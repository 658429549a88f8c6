"""A real `shacached` process on a free port: start, look at from outside, stop, kill."""

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PROGRAM = Path(os.environ.get("SHACACHED", CHECKOUT / "target/debug/shacached"))
START_LIMIT_S = 20
STOP_LIMIT_S = 30


class Shacached:
    """One server on `data`. Use it as a context manager: leaving stops the process.

    `prefix` is put before the command, for example to run it in a namespace of its own.
    """

    program = PROGRAM
    listen = "127.0.0.1:0"
    start_limit_s = START_LIMIT_S

    def __init__(self, data, *, arguments=(), prefix=()):
        self.data = Path(data)
        self.command = [
            *prefix, self.program, "serve", "--listen", self.listen, "--data", data, *arguments,
        ]
        self.process = None
        self.log = []
        self.base_url = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.kill()

    @property
    def cache_url(self):
        return self.base_url + "/shacache"

    @property
    def directory_url(self):
        return self.base_url + "/shadir"

    @property
    def address(self):
        host, port = self.base_url.partition("://")[2].split(":")
        return host, int(port)

    def start(self):
        """Starts the process and waits until it says that it listens."""
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        )
        self.log = []
        listening = threading.Event()
        threading.Thread(
            target=self._read_log, args=(self.process.stdout, listening), daemon=True
        ).start()
        if not listening.wait(self.start_limit_s) or self.base_url is None:
            self.kill()
            raise AssertionError("the server did not start:\n" + "".join(self.log))

    def _read_log(self, stream, listening):
        # Read to the end, or the server would block on a full pipe.
        with stream:
            for line in stream:
                self.log.append(line)
                found = re.search(r"listening on (https?://[\w.]+:\d+)", line)
                if found and not listening.is_set():
                    self.base_url = found[1]
                    listening.set()
        if not listening.is_set():
            self.base_url = None
            listening.set()

    def stop(self):
        """Orderly: SIGTERM, and exit code 0 within the limit."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {STOP_LIMIT_S} s after SIGTERM") from None
        self.process = None
        if code != 0:
            raise AssertionError(f"exit code {code} after SIGTERM:\n" + "".join(self.log))

    def kill(self):
        """SIGKILL: nothing in the server gets to run any more."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def peak_memory_bytes(self):
        """The most physical memory that the process ever held at once (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def run_shacached(*arguments):
    """Runs another command of the program to its end; fails on a non-zero exit code."""
    done = subprocess.run(
        [PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise AssertionError(f"shacached {arguments}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def wait_until(condition, what, limit_s=30):
    """Waits for `condition()` to hold; fails when it does not within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.02)
