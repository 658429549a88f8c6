"""A test case with a folder of its own that is gone afterwards."""

import tempfile
import unittest
from pathlib import Path


class FolderTest(unittest.TestCase):
    """`self.folder` is an empty folder while a test runs."""

    def setUp(self):
        held = tempfile.TemporaryDirectory(prefix="shacache-interop-")
        self.addCleanup(held.cleanup)
        self.folder = Path(held.name)

    def start(self, server):
        """Starts a server and ends it with the test, whatever happens."""
        server.start()
        self.addCleanup(server.__exit__)
        return server
