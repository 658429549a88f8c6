"""Runs the tests of a folder, as every harness here does: chosen by name, one line for each, none
for longer than it may take.

Prints one line per test with its duration; the last line is `N passed, N failed`. A skipped test
counts as failed: nothing here may be left out in silence.
"""

import argparse
import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from contextlib import suppress
from pathlib import Path

from interop import tier

MEMORY = Path("/dev/shm")
# None comes near it, so that one which hangs says where, and does not hold up everything after it.
LIMIT_S = 300
LONG_LIMIT_S = 5400
# What is cleaned up after such a test gets as long again.
CLEANUP_LIMIT_S = 60


def run(folder, *, tiers=True, in_memory=False, root_because=None, prepare=None):
    """Reads the command line, runs what it chooses of the tests in `folder`, gives the exit code.

    `in_memory`: whether the tests' folders lie there; `root_because`: why root rights are needed, if
    they are; `prepare` is called once before the first test.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {folder.name}")
    if tiers:
        parser.add_argument("--long", action="store_true", help="run the full numbers")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only tests whose name contains it")
    arguments = parser.parse_args()
    tier.LONG = tiers and arguments.long
    if root_because and os.geteuid() != 0:
        sys.exit(f"root rights are needed: {root_because}")
    if in_memory and MEMORY.is_dir():
        tempfile.tempdir = str(MEMORY)
    if prepare:
        prepare()

    tests = list(chosen_tests(arguments.names, folder))
    if not tests:
        sys.exit("no such test")
    result = Report(LONG_LIMIT_S if tier.LONG else LIMIT_S)
    # Servers, mounts and folders are cleaned up then, too.
    signal.signal(signal.SIGTERM, result.terminate)
    signal.signal(signal.SIGALRM, result.overdue)
    unittest.TestSuite(tests).run(result)
    return result.finish()


def chosen_tests(names, folder):
    """All tests of a harness's folder in the order of their files, or those that a name picks."""
    found = unittest.TestLoader().discover(str(folder), top_level_dir=str(folder.parent))
    for test in flatten(found):
        if not names or any(name in test.id() for name in names):
            yield test


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


class Report(unittest.TestResult):
    """Prints each outcome at once and its reason below it."""

    def __init__(self, limit_s):
        super().__init__()
        self.limit_s = limit_s
        self.started_at = 0.0
        self.passed_count = 0
        self.failed_count = 0

    def terminate(self, *_):
        """For SIGTERM: fails the test that runs, so that its servers and folders are cleaned up, and
        starts no other. An exit alone would be taken for a failure like any other."""
        self.failfast = True
        self.stop()
        sys.exit("terminated")

    def overdue(self, *_):
        """For SIGALRM: says what the test waits for and ends the run as SIGTERM does."""
        first_time = not self.shouldStop
        print("overdue; its threads and all processes:", flush=True)
        faulthandler.dump_traceback(file=sys.stdout)
        subprocess.run(["ps", "-e", "-o", "pid,ppid,stat,wchan:20,args", "--forest"], check=False)
        signal.alarm(CLEANUP_LIMIT_S)
        if first_time:
            self.failfast = True
            self.stop()
            raise AssertionError(f"still running after {self.limit_s} s")
        # What keeps the cleaning up from its end is a process that does not end.
        for process in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def startTest(self, test):
        super().startTest(test)
        self.started_at = time.monotonic()
        signal.alarm(self.limit_s)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed_count += 1
        self.line("ok    ", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.failure(test, self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.failure(test, self._exc_info_to_string(err, test))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.failure(subtest, self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.failure(test, f"skipped: {reason}")

    def failure(self, test, reason):
        self.failed_count += 1
        self.line("FAILED", test)
        print(reason, flush=True)

    def line(self, outcome, test):
        duration_s = time.monotonic() - self.started_at
        print(f"{outcome} {duration_s:6.1f} s  {test.id().removeprefix('interop.')}", flush=True)

    def finish(self):
        """Prints the totals and gives the exit code."""
        print(f"{self.passed_count} passed, {self.failed_count} failed", flush=True)
        return 1 if self.failed_count or not self.passed_count else 0


def descendants(process):
    """The processes that this one started, and those that they started, and so on."""
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found = [int(child) for child in children.read_text().split()]
        except OSError:
            # It has ended meanwhile.
            continue
        for child in found:
            yield from descendants(child)
            yield child
