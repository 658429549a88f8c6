"""`python -m fuzz [--seconds N] [--minimise] [NAME …]`: fuzzes the targets whose name contains a
NAME, or all, with libFuzzer, two at once. `fuzz/README.md` tells what a target is.

What is found on the way stays in `.test/fuzz/`, so that the next run goes on from there; nothing in
the repository changes. With `--minimise` the stored corpora are made anew instead: of everything
found, the fewest inputs that reach as much of the code. Prints one line per target; the last line
is `N passed, N failed`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOUND = ROOT / ".test/fuzz"
AT_ONCE = 2
# The stored corpora are read by people and kept for ever: small inputs, and not many of them.
LONGEST_STORED_BYTES = 700
# Counters for libFuzzer in all code, without a sanitizer: the stable compiler can do that. These are
# the flags of cargo-bolero, which itself builds all test programs of a crate and fails on those
# that have no target in them.
INSTRUMENTED = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "--cfg fuzzing_libfuzzer",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
]


def main():
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--minimise", action="store_true", help="write the stored corpora anew")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only targets whose name contains it")
    arguments = parser.parse_args()
    targets = [
        target for target in declared_targets()
        if not arguments.names or any(name in target.name for name in arguments.names)
    ]
    if not targets:
        sys.exit("no such target")
    programs = build({target.tests for target in targets})

    def work(target):
        program = programs[target.tests]
        if arguments.minimise:
            problem = target.minimise(program)
        else:
            problem = target.fuzz(program, arguments.seconds)
        print(f"{'FAILED' if problem else 'ok    '} {target.name}\n{problem}".rstrip(), flush=True)
        return not problem

    with ThreadPoolExecutor(AT_ONCE) as pool:
        passed = list(pool.map(work, targets))
    print(f"{passed.count(True)} passed, {passed.count(False)} failed", flush=True)
    return 0 if all(passed) else 1


def build(wanted):
    """Builds the test programs of that (crate, choice of cargo), and gives each one's path. The
    crates of one choice are built together: one after another, cargo would take other features of
    the same dependencies and build those anew. A program without a target would not link.
    """
    host = re.search(r"host: (\S+)", run(["rustc", "-vV"]).stdout)[1]
    flags = {"RUSTFLAGS": " ".join(INSTRUMENTED), "BOLERO_FUZZER": "libfuzzer"}
    programs = {}
    for choice in sorted({choice for _, choice in wanted}):
        crates = sorted(crate for crate, its_choice in wanted if its_choice == choice)
        command = [
            "cargo", "test", "--locked", "--no-run", "--message-format=json", "--profile", "fuzz",
            "--target", host, "--target-dir", str(ROOT / "target/fuzz"),
            *(f"--package={crate}" for crate in crates), choice,
        ]
        built = run(command, env={**os.environ, **flags})
        if built.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{built.stderr}")
        for message in map(json.loads, built.stdout.splitlines()):
            if program := message.get("executable"):
                programs[Path(message["manifest_path"]).parent.name, choice] = program
    return programs


def run(command, **more):
    return subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more
    )


def declared_targets():
    """Every `target!(name, …)`, with the test that it becomes."""
    for source in sorted(ROOT.glob("crates/*/**/*.rs")):
        for name in re.findall(r"^ *target!\(\s*(\w+),", source.read_text(), re.MULTILINE):
            yield Target(source, name)


class Target:
    def __init__(self, source, name):
        self.name = name
        crate, *inside = source.relative_to(ROOT / "crates").parts
        self.stored = source.parent / "__fuzz__" / name / "corpus"
        self.own = FOUND / name
        if inside[:2] == ["tests", "it"]:
            self.tests = (crate, "--test=it")
            modules = inside[2:]
        else:
            self.tests = (crate, "--lib")
            modules = inside[1:]
        modules[-1] = modules[-1].removesuffix(".rs")
        # The tests of a source file are in a module `tests`, in that file or beside it.
        if "--lib" in self.tests and modules[-1] != "tests":
            modules.append("tests")
        self.test = "::".join([*modules, name, "fuzz"])

    def fuzz(self, program, seconds):
        """Returns what libFuzzer said last, if it found something."""
        found = self.folder("found")
        crashes = self.folder("crashes")
        return self.drive(
            program, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
            f"-artifact_prefix={crashes}/", found, self.stored,
        )

    def minimise(self, program):
        """Merges what is stored and what was found into what is stored."""
        merged = self.folder("merged")
        for file in merged.iterdir():
            file.unlink()
        problem = self.drive(
            program, "-set_cover_merge=1", "-use_counters=0", f"-max_len={LONGEST_STORED_BYTES}",
            merged, self.stored, self.folder("found"),
        )
        if not problem:
            self.replace_stored(merged)
        return problem

    def replace_stored(self, merged):
        """Inputs that a person named stay."""
        named = {
            file.read_bytes() for file in self.stored.iterdir()
            if not re.fullmatch("[0-9a-f]{40}", file.name)
        }
        for file in self.stored.iterdir():
            if file.read_bytes() not in named:
                file.unlink()
        for file in merged.iterdir():
            if file.read_bytes() not in named:
                (self.stored / file.name).write_bytes(file.read_bytes())

    def drive(self, program, *arguments):
        log = self.folder("") / "log"
        with log.open("wb") as file:
            done = subprocess.run(
                [program, self.test, "--exact", "--nocapture", "--test-threads", "1"],
                cwd=self.folder(""), stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, env={
                    **os.environ, "BOLERO_LIBTEST_HARNESS": "1", "BOLERO_TEST_NAME": self.test,
                    "BOLERO_LIBFUZZER_ARGS": " ".join(str(argument) for argument in arguments),
                },
            )
        said = log.read_text(errors="replace")
        if done.returncode == 0 and re.search(r"^#\d+", said, re.MULTILINE):
            return ""
        return f"exit {done.returncode}, {log}:\n" + "\n".join(said.splitlines()[-40:])

    def folder(self, name):
        folder = self.own / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


if __name__ == "__main__":
    sys.exit(main())
