"""`python -m faults [--long] [NAME …]`: runs the tests whose name contains a NAME, or all.

Prints below each test what it counted; the last line is `N passed, N failed`.
"""

import argparse
import os
import signal
import sys
import tempfile
import unittest
from pathlib import Path

from interop import tier
from interop.__main__ import Report, chosen_tests

MEMORY = Path("/dev/shm")


def main():
    parser = argparse.ArgumentParser(prog="python -m faults")
    parser.add_argument("--long", action="store_true", help="run the full numbers")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only tests whose name contains it")
    arguments = parser.parse_args()
    tier.LONG = arguments.long
    if os.geteuid() != 0:
        sys.exit("root rights are needed: the tests mount file systems and trace system calls")
    # A power cut is simulated on disks whose images lie in memory: nothing here needs a real disk.
    if MEMORY.is_dir():
        tempfile.tempdir = str(MEMORY)

    tests = list(chosen_tests(arguments.names, Path(__file__).parent))
    if not tests:
        sys.exit("no such test")
    result = Report()
    # Mounts and processes are cleaned up then, too.
    signal.signal(signal.SIGTERM, result.terminate)
    unittest.TestSuite(tests).run(result)
    return result.finish()


if __name__ == "__main__":
    sys.exit(main())
