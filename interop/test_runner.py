"""What runs all these tests ends one that hangs, and whatever that one waits for."""

import re
import subprocess
import sys
from pathlib import Path

from interop.folder_test import FolderTest
from interop.server import CHECKOUT

# Both the test and what cleans up after it wait for a process that never ends.
HANGING = """
import subprocess, unittest

class Hanging(unittest.TestCase):
    def test_that_hangs(self):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        print(f"child {child.pid}", flush=True)
        self.addCleanup(child.stdin.close)
        self.addCleanup(child.wait)
        child.stdout.read()

    def test_the_next(self):
        pass
"""
RUN = """
import sys
from pathlib import Path
from interop import runner
runner.LIMIT_S = runner.CLEANUP_LIMIT_S = 1
sys.exit(runner.run(Path(sys.argv.pop(1))))
"""


class Runner(FolderTest):
    def test_a_test_that_hangs_fails(self):
        tests = self.folder / "hanging"
        tests.mkdir()
        (tests / "__init__.py").touch()
        (tests / "test_hanging.py").write_text(HANGING)
        done = subprocess.run(
            [sys.executable, "-c", RUN, tests], cwd=CHECKOUT, capture_output=True, text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("FAILED", done.stdout)
        self.assertIn("AssertionError: still running after 1 s", done.stdout)
        self.assertIn("in test_that_hangs", done.stdout)
        self.assertTrue(done.stdout.endswith("\n0 passed, 1 failed\n"), done.stdout)
        child = re.search(r"child (\d+)", done.stdout)[1]
        self.assertFalse(Path("/proc", child).exists())
