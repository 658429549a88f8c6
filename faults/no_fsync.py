"""The server built without any sync: every test of durability has to fail with it."""

import functools
import subprocess

from interop.server import CHECKOUT

# A folder of its own: the usual program stays what it is.
TARGET = CHECKOUT / "target/no-fsync"


@functools.cache
def build():
    """Builds it, once per run. The first time takes minutes."""
    subprocess.run(
        [
            "cargo", "build", "--quiet", "--locked", "--bin", "shacached",
            "--features", "no-fsync", "--target-dir", TARGET,
        ],
        check=True, cwd=CHECKOUT,
    )
    return TARGET / "debug/shacached"


def is_unsafe(server):
    """Whether it says that it is such a build."""
    return any("built without fsync: for tests only" in line for line in server.log)
