"""Runs inside a virtual environment of the Python client: its own suite against a server.

`run_suite.py CACHE_URL DIRECTORY_URL` prints one JSON object: every test of `OnlineTest` that does
not reach into the reference server's folder (`self.tree`) with its outcome, and the names of those
that do. This file also runs under the old release, for which `old_release` mends Python.
"""

import inspect
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import old_release  # noqa: E402,F401  (before the client is imported)


def main():
    os.environ["TEST_SHA_CACHE"], os.environ["TEST_SHA_DIR"] = sys.argv[1:]
    from slapos.libnetworkcachetests import OnlineTest

    outcomes, needing_files = {}, []
    for name in unittest.TestLoader().getTestCaseNames(OnlineTest):
        if "self.tree" in inspect.getsource(getattr(OnlineTest, name)):
            needing_files.append(name)
            continue
        result = unittest.TestResult()
        OnlineTest(name).run(result)
        troubles = [text for _, text in result.errors + result.failures + result.skipped]
        outcomes[name] = "\n".join(troubles) or "passed"
    json.dump({"outcomes": outcomes, "needing_files": needing_files}, sys.stdout)


if __name__ == "__main__":
    main()
