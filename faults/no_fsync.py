"""The server built without any sync: every test of durability has to fail with it."""

import functools
import shutil
import subprocess

from interop.server import CHECKOUT

PROGRAM = CHECKOUT / "target/no-fsync/shacached"
BUILD = ["cargo", "build", "--quiet", "--locked", "--workspace", "--bins"]


@functools.cache
def build():
    """Builds it, once per run, and puts it beside the usual program.

    All is built as for that one but the crates that have the feature: a target folder of its own
    would build every dependency again.
    """
    usual = CHECKOUT / "target/debug/shacached"
    subprocess.run([*BUILD, "--features", "shacache-server/no-fsync"], check=True, cwd=CHECKOUT)
    PROGRAM.parent.mkdir(exist_ok=True)
    shutil.copy(usual, PROGRAM)
    subprocess.run(BUILD, check=True, cwd=CHECKOUT)
    return PROGRAM


def is_unsafe(server):
    """Whether it says that it is such a build."""
    return any("built without fsync: for tests only" in line for line in server.log)
