"""`python -m interop [--long] [NAME …]`: runs the tests whose name contains a NAME, or all.

Prints one line per test with its duration; the last line is `N passed, N failed`. A skipped test
counts as failed: nothing here may be left out in silence.
"""

import argparse
import signal
import sys
import time
import unittest
from pathlib import Path

from interop import tier


def main():
    parser = argparse.ArgumentParser(prog="python -m interop")
    parser.add_argument("--long", action="store_true", help="run the long tier as well")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only tests whose name contains it")
    arguments = parser.parse_args()
    tier.LONG = arguments.long

    tests = list(chosen_tests(arguments.names, Path(__file__).parent))
    if not tests:
        sys.exit("no such test")
    result = Report()
    signal.signal(signal.SIGTERM, result.terminate)
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

    def __init__(self):
        super().__init__()
        self.started_at = 0.0
        self.passed_count = 0
        self.failed_count = 0

    def terminate(self, *_):
        """For SIGTERM: fails the test that runs, so that its servers and folders are cleaned up, and
        starts no other. An exit alone would be taken for a failure like any other."""
        self.failfast = True
        self.stop()
        sys.exit("terminated")

    def startTest(self, test):
        super().startTest(test)
        self.started_at = time.monotonic()

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


if __name__ == "__main__":
    sys.exit(main())
