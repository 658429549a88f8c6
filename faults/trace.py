"""The system calls and descriptors of a running server; the calls are seen by strace, with or
without some made to fail.

Must not know what the calls are for.
"""

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOREVER = float("inf")
LET_GO_LIMIT_S = 30
LINE = re.compile(r"^(\d+) +[\d.]+ (.*)$")
UNFINISHED = " <unfinished ...>"
# Under way when strace let go of the process.
DETACHED = " <detached ...>"
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
WHOLE = re.compile(r"^(\w+)\((.*)\) += (-?\d+|\?)(.*)$")
DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
# A text, and the open folder before it that it starts from where it is a path.
QUOTED = re.compile(r'(?:\b(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')


@dataclass
class Call:
    """One system call. `begin` and `end` order the calls of all threads: what one thread did after
    it heard of another's call begins after that call's end."""

    name: str
    arguments: str
    result: int | None
    note: str
    begin: int
    end: float

    @property
    def done(self):
        """Whether it ended, and well."""
        return self.result is not None and self.result >= 0

    @property
    def injected(self):
        return "(INJECTED)" in self.note

    @property
    def descriptor_path(self):
        """What the first argument, a descriptor, was opened from."""
        found = DESCRIPTOR.match(self.arguments)
        return found[1] if found else None

    @property
    def paths(self):
        """The arguments that are texts, as paths where they are relative to an open folder."""
        return [os.path.join(*found) for found in QUOTED.findall(self.arguments)]


class Trace:
    """A context manager: calls that `server` makes within it are recorded.

    `names` are the calls of interest; each of `inject`, or it alone, makes some of them fail, as
    strace's option; with `only`, calls on other paths are left alone.
    """

    def __init__(self, server, file, names, *, inject=None, only=None):
        self.file = file
        injections = [inject] if isinstance(inject, str) else inject or []
        self.command = [
            "strace", "-f", "-p", str(server.process.pid), "-o", file, "-yy", "-ttt", "-s", "1024",
            "-e", "trace=" + ",".join(names),
            *(word for injection in injections for word in ("-e", f"inject={injection}")),
            *(["-P", only] if only else []),
        ]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            if " attached" in line:
                return self
        raise AssertionError(f"strace ended with {self.process.wait()}")

    def __exit__(self, *_):
        # It lets go of the server and leaves it running.
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=LET_GO_LIMIT_S)
        except subprocess.TimeoutExpired:
            # As when the server was killed by a signal: strace waits for an end that it has seen.
            self.process.kill()
            self.process.communicate()
            raise AssertionError("strace did not let go of the server; has it ended?") from None

    def calls(self):
        """All calls in the order in which they began. To be asked after the end."""
        return parse(self.file.read_text(errors="replace").splitlines())


def open_paths(server):
    """What the server's descriptors were opened from."""
    descriptors = Path(f"/proc/{server.process.pid}/fd").iterdir()
    return {os.readlink(descriptor) for descriptor in descriptors if descriptor.is_symlink()}


def parse(lines):
    calls, open_calls = [], {}
    for number, line in enumerate(lines):
        found = LINE.match(line)
        if found is None:
            continue
        thread, text = found.groups()
        if text.endswith((UNFINISHED, DETACHED)):
            begun = text.removesuffix(UNFINISHED).removesuffix(DETACHED)
            name, _, arguments = begun.partition("(")
            call = Call(name, arguments, None, "", number, FOREVER)
            open_calls[thread] = call
            calls.append(call)
        elif resumed := RESUMED.match(text):
            call = open_calls.pop(thread, None)
            if call is None:
                continue
            whole = WHOLE.match(f"{call.name}({call.arguments}{resumed[2]}")
            if whole:
                complete(call, whole, number)
        elif whole := WHOLE.match(text):
            call = Call(whole[1], "", None, "", number, FOREVER)
            complete(call, whole, number)
            calls.append(call)
    return calls


def complete(call, whole, number):
    _, call.arguments, result, call.note = whole.groups()
    call.result = None if result == "?" else int(result)
    call.end = number
