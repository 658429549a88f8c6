"""A test case that counts what it did and says so, whether it passes or not."""

from collections import Counter

from interop import tier
from interop.folder_test import FolderTest


class FaultTest(FolderTest):
    """`self.counts` is printed with the test's outcome."""

    # Whether this one is run by another that prints its counts.
    is_control = False

    def setUp(self):
        super().setUp()
        self.counts = Counter()
        self.addCleanup(self.print_counts)

    def without_background_check(self, settings=""):
        """Arguments for a server in which nothing is checked unless asked for."""
        config = self.folder / "no-scrub.toml"
        config.write_text(f"[scrub]\nenabled = false\n{settings}")
        return ["--config", config]

    def print_counts(self):
        if self.is_control:
            return
        counted = ", ".join(f"{name} {number}" for name, number in self.counts.items())
        print(f"       counted: {counted or 'nothing'}", flush=True)


def by_tier(short, long):
    return long if tier.LONG else short
