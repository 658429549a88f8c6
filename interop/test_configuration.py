"""docs/configuration.md shows exactly what `shacached print-config` prints, and the program reads it."""

import os
import re
import subprocess

from interop.folder_test import FolderTest
from interop.server import CHECKOUT, PROGRAM

DOCUMENT = CHECKOUT / "docs/configuration.md"


class Configuration(FolderTest):
    def shacached(self, *arguments):
        """Runs with nothing in the environment that configures it."""
        environment = {"HOME": "/home/you", "PATH": os.environ["PATH"]}
        return subprocess.run(
            [PROGRAM, *arguments], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )

    def documented(self):
        """The first block is the whole configuration; those after it are examples of parts."""
        return re.search(r"^```toml\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)[1]

    def test_the_document_shows_every_key_and_default(self):
        printed = self.shacached("print-config")
        self.assertEqual((printed.returncode, printed.stdout), (0, self.documented()))

    def test_what_is_documented_is_accepted(self):
        file = self.folder / "server.toml"
        file.write_text(self.documented())
        checked = self.shacached("check-config", "--config", file)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        again = self.shacached("print-config", "--config", file)
        self.assertEqual(again.stdout, self.documented())

    def test_an_unknown_key_is_named(self):
        file = self.folder / "server.toml"
        file.write_text("[limit]\nconections = 1\n")
        checked = self.shacached("check-config", "--config", file)
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("conections", checked.stderr)
