"""The commands that README.md shows run as shown and print what is shown.

They run in a network of their own, since the README uses the default port, with a home folder of
their own. A command that starts with `cargo run --release` is given the program that is built
already; the long tier makes the release build first.
"""

import os
import re
import subprocess
import sys

from interop import tier
from interop.folder_test import FolderTest
from interop.server import CHECKOUT, PROGRAM, wait_until

README = CHECKOUT / "README.md"
# Not run here: this test is a part of it.
LEFT_OUT = {"./test", "./test --long"}
DONE = "@done "
# Puts the built programs in place of `cargo run --release --package CRATE --bin NAME -- ARGUMENTS`.
CARGO_SHIM = """#!/bin/sh
[ "$1 $2 $3 $5" = "run --release --package --bin" ] || exit 64
program=$6
shift 7
exec {folder}/"$program" "$@"
"""


class Readme(FolderTest):
    def test_shown_commands_print_what_is_shown(self):
        examples = list(shown_commands(README.read_text()))
        self.assertGreater(len(examples), 5)
        self.assertLessEqual(LEFT_OUT - {"./test --long"}, {command for command, _ in examples})
        with Shell(self.folder) as shell:
            for command, expected in examples:
                if command in LEFT_OUT:
                    continue
                with self.subTest(command):
                    if command.endswith(" serve"):
                        shell.run_in_background(command, expected)
                    else:
                        code, output = shell.run(command)
                        self.assertEqual(code, 0, output)
                        self.assertRegex(output, as_pattern(expected))


def shown_commands(text):
    """Each command of the console blocks with the output shown below it."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = shown.partition("\n")
            yield command.strip(), output


def built_programs():
    if not tier.LONG:
        return PROGRAM.parent
    subprocess.run(["cargo", "build", "--locked", "--release", "--bins"], check=True, cwd=CHECKOUT)
    return CHECKOUT / "target/release"


def as_pattern(shown):
    """A pattern for all that may be printed where this is shown: `…` stands for any text, on a line
    of its own for any lines."""
    lines = shown.strip().splitlines()
    patterns = ["(?s:.*)" if line == "…" else re.escape(line).replace("…", ".*") for line in lines]
    return r"\A" + r"\n".join(patterns) + r"\s*\Z"


class Shell:
    """One shell in which the commands run one after the other, as a context manager."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.background_log = folder / "background.log"
        programs = folder / "programs"
        programs.mkdir()
        shim = programs / "cargo"
        shim.write_text(CARGO_SHIM.format(folder=built_programs()))
        shim.chmod(0o755)
        for name in ("shacache", "shacached"):
            (programs / name).symlink_to(built_programs() / name)
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
        }

    def __enter__(self):
        as_root_of_its_own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self.process = subprocess.Popen(
            [
                "unshare", *as_root_of_its_own, "--net", "--pid", "--fork", "--kill-child", "--",
                sys.executable, CHECKOUT / "interop/own_network.py", "bash",
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            cwd=self.folder, env=self.environment,
        )
        return self

    def __exit__(self, *_):
        # All that runs in the namespace ends with it.
        self.process.kill()
        self.process.communicate()

    def run(self, command):
        """Gives the exit code and both outputs together."""
        self.process.stdin.write(f"{{ {command}\n}} 2>&1 </dev/null; printf '\\n{DONE}%d\\n' $?\n")
        output = []
        for line in self.process.stdout:
            if line.startswith(DONE):
                return int(line.removeprefix(DONE)), self.as_shown("".join(output))
            output.append(line)
        raise AssertionError(f"the shell ended in {command}")

    def run_in_background(self, command, expected):
        """Waits until what is shown was printed. The log, on standard error, is not shown."""
        self.process.stdin.write(f"{command} >{self.background_log} 2>/dev/null </dev/null &\n")

        pattern = as_pattern(expected).removesuffix(r"\s*\Z")

        def printed():
            log = self.background_log
            return self.as_shown(log.read_text()) if log.exists() else ""

        try:
            wait_until(lambda: re.match(pattern, printed()), "the shown output")
        except AssertionError:
            raise AssertionError(f"printed instead: {printed()}") from None

    def as_shown(self, output):
        return output.replace(str(self.home), "/home/you")
