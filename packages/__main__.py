"""`python -m packages [NAME …]`: runs the tests whose name contains a NAME, or all.

Needs root rights, `.test/debian.tar` as `./test --long` makes it, and the programs built.
"""

import argparse
import os
import signal
import sys
import unittest
from pathlib import Path

from interop.__main__ import Report, chosen_tests


def main():
    parser = argparse.ArgumentParser(prog="python -m packages")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only tests whose name contains it")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("root rights are needed: the tests boot a Debian of their own")

    tests = list(chosen_tests(arguments.names, Path(__file__).parent))
    if not tests:
        sys.exit("no such test")
    result = Report()
    signal.signal(signal.SIGTERM, result.terminate)
    unittest.TestSuite(tests).run(result)
    return result.finish()


if __name__ == "__main__":
    sys.exit(main())
