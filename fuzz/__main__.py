"""`python -m fuzz [--seconds N] [--minimise] [NAME …]`: fuzzes the targets whose name contains a
NAME, or all, with libFuzzer, two at once. `fuzz/README.md` tells what a target is.

What is found on the way stays in `.test/fuzz/`, so that the next run goes on from there; nothing in
the repository changes. With `--minimise` the stored corpora are made anew instead: of everything
found, the fewest inputs that reach as much of the code. Prints one line per target; the last line
is `N passed, N failed`.
"""

import argparse
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
# Built without a sanitizer, the targets need no other compiler than the rest.
BUILD = ["--sanitizer", "NONE", "--target-dir", str(ROOT / "target/fuzz")]


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

    def work(target):
        problem = target.minimise() if arguments.minimise else target.fuzz(arguments.seconds)
        print(f"{'FAILED' if problem else 'ok    '} {target.name}\n{problem}".rstrip(), flush=True)
        return not problem

    with ThreadPoolExecutor(AT_ONCE) as pool:
        passed = list(pool.map(work, targets))
    print(f"{passed.count(True)} passed, {passed.count(False)} failed", flush=True)
    return 0 if all(passed) else 1


def declared_targets():
    """Every `target!(name, …)`, with the path of its test."""
    for source in sorted(ROOT.glob("crates/*/**/*.rs")):
        for name in re.findall(r"^ *target!\(\s*(\w+),", source.read_text(), re.MULTILINE):
            yield Target(source, name)


class Target:
    def __init__(self, source, name):
        self.name = name
        self.package = source.relative_to(ROOT / "crates").parts[0]
        crate = ROOT / "crates" / self.package
        self.stored = source.parent / "__fuzz__" / name / "corpus"
        self.found = FOUND / name / "corpus"
        self.crashes = FOUND / name / "crashes"
        tests = crate / "tests/it"
        inside = source.relative_to(tests if source.is_relative_to(tests) else crate / "src")
        # Tests of a source file are in a module of that name, in it or beside it.
        modules = [*inside.parent.parts, inside.stem]
        if not source.is_relative_to(tests) and modules[-1] != "tests":
            modules.append("tests")
        self.test = "::".join([*modules, name, "fuzz"])

    def fuzz(self, seconds):
        """Returns what libFuzzer said last, if it found something."""
        return self.run(["-T", f"{seconds}s"], [self.stored], self.found)

    def minimise(self):
        """Merges what is stored and what was found into what is stored."""
        merged = FOUND / self.name / "merged"
        merged.mkdir(parents=True, exist_ok=True)
        for file in merged.iterdir():
            file.unlink()
        merge = ["-set_cover_merge=1", f"-max_len={LONGEST_STORED_BYTES}", self.stored, self.found]
        problem = self.run([], merge, merged)
        if not problem:
            self.replace_stored(merged)
        return problem

    def replace_stored(self, merged):
        """Inputs that a person named keep their names."""
        names = {file.read_bytes(): file.name for file in self.stored.iterdir()}
        chosen = {file.read_bytes(): file.name for file in merged.iterdir()}
        for content, name in names.items():
            if re.fullmatch("[0-9a-f]{40}", name) and content not in chosen:
                (self.stored / name).unlink()
        for content, name in chosen.items():
            if content not in names:
                (self.stored / name).write_bytes(content)

    def run(self, arguments, for_libfuzzer, corpus):
        for folder in (self.found, self.crashes):
            folder.mkdir(parents=True, exist_ok=True)
        command = [
            "cargo", "bolero", "test", self.test, "--package", self.package, *BUILD,
            "--corpus-dir", corpus, "--crashes-dir", self.crashes, *arguments,
            *(f"--engine-args={argument}" for argument in for_libfuzzer),
        ]
        log = FOUND / self.name / "log"
        with log.open("wb") as file:
            done = subprocess.run(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        if done.returncode == 0:
            return ""
        return f"{log}:\n" + "".join(log.read_text(errors="replace").splitlines(keepends=True)[-40:])


if __name__ == "__main__":
    sys.exit(main())
