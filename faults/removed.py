"""The server with one defence removed: the test of that defence has to fail with it."""

import contextlib
import functools
import os
import shutil
import subprocess

from interop.server import CHECKOUT, Shacached

PROGRAM = CHECKOUT / "target/removable-defences/shacached"
BUILD = ["cargo", "build", "--quiet", "--locked", "--workspace", "--bin", "shacached"]
# Dependencies are taken as they are; what is ours is built as quickly as can be.
QUICKLY = {"CARGO_PROFILE_DEV_OPT_LEVEL": "0", "CARGO_PROFILE_DEV_DEBUG": "0"}
VARIABLE = "SHACACHE_REMOVED_DEFENCES"


@contextlib.contextmanager
def removed(defence):
    """Every server made within has all defences but this one; `defence.rs` has their names."""
    usual = Shacached.program
    Shacached.program = build()
    os.environ[VARIABLE] = defence
    try:
        yield
    finally:
        Shacached.program = usual
        del os.environ[VARIABLE]


@functools.cache
def build():
    """Builds the program, once per run, and puts it beside the usual one."""
    usual = CHECKOUT / "target/debug/shacached"
    subprocess.run(
        [*BUILD, "--features", "shacache-server/removable-defences"],
        check=True, cwd=CHECKOUT, env={**os.environ, **QUICKLY},
    )
    PROGRAM.parent.mkdir(exist_ok=True)
    shutil.copy(usual, PROGRAM)
    subprocess.run(BUILD, check=True, cwd=CHECKOUT)
    return PROGRAM
