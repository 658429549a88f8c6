"""A test case with a server to attack, and the two ways to show that an attack would be noticed."""

import sys
from contextlib import contextmanager

from faults.fault_test import FaultTest
from interop.server import CHECKOUT, Shacached

NAIVE = CHECKOUT / "hostile/naive.py"


class NaiveServer(Shacached):
    """The server without defences, handled as ours is."""

    def __init__(self, data):
        super().__init__(data)
        self.command = [sys.executable, NAIVE, data]


class HostileTest(FaultTest):
    """What the test counts is printed with its outcome."""

    def configured(self, text="", *, name="server", arguments=()):
        """A server of ours with that configuration, on a data folder called `name`."""
        config = self.folder / f"{name}.toml"
        config.write_text(text)
        return self.start(Shacached(self.folder / name, arguments=["--config", config, *arguments]))

    def naive(self):
        """The server without defences."""
        return self.start(NaiveServer(self.folder / "naive"))

    @contextmanager
    def is_noticed(self, reason):
        """What happens within has to fail, and to say why in words that `reason` matches."""
        with self.assertRaisesRegex(AssertionError, reason):
            yield
