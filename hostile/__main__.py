"""`python -m hostile [--long] [NAME …]`: runs the tests whose name contains a NAME, or all.

Prints below each test what it counted; the last line is `N passed, N failed`.
"""

import argparse
import resource
import signal
import sys
import tempfile
import unittest
from pathlib import Path

from interop import tier
from interop.__main__ import Report, chosen_tests

MEMORY = Path("/dev/shm")
HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(prog="python -m hostile")
    parser.add_argument("--long", action="store_true", help="run the full numbers")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only tests with it in their name")
    arguments = parser.parse_args()
    tier.LONG = arguments.long
    # Nothing here is about disks.
    if MEMORY.is_dir():
        tempfile.tempdir = str(MEMORY)
    # Thousands of connections, each with an end here and one in a server that inherits the limit.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))

    tests = list(chosen_tests(arguments.names, HERE))
    if not tests:
        sys.exit("no such test")
    result = Report()
    signal.signal(signal.SIGTERM, result.terminate)
    unittest.TestSuite(tests).run(result)
    return result.finish()


if __name__ == "__main__":
    sys.exit(main())
