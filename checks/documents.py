"""Fails when a document names a file that is not there, or ARCHITECTURE.md misses a source file.

Checked are the relative links of every Markdown file, and in ARCHITECTURE.md also whatever stands
in backticks and looks like a path of this repository. Every module at the top of a crate has to
appear there.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "ARCHITECTURE.md"


def main():
    documents = [ROOT / name for name in tracked("*.md")]
    return [
        *(problem for document in documents for problem in broken_links(document)),
        *missing_paths(),
        *unnamed_modules(),
    ]


def tracked(pattern):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ).stdout.splitlines()


def broken_links(document):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if "://" not in target and not (document.parent / target).exists():
            yield f"{document.relative_to(ROOT)}: no such file: {target}"


def named_paths():
    """What stands in backticks in the map and looks like a path: it has a slash or an ending."""
    for code in re.findall(r"`([^`\s]+)`", MAP.read_text()):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*(/|\.(rs|toml|md|py|sh))", code):
            yield code


def missing_paths():
    for path in named_paths():
        candidates = [ROOT / path, *(crate / "src" / path for crate in crates())]
        if not any(candidate.exists() for candidate in candidates):
            yield f"ARCHITECTURE.md: no such file: {path}"


def unnamed_modules():
    named = set(named_paths())
    for crate in crates():
        for module in sorted((crate / "src").glob("*.rs")):
            if not named & {module.name, str(module.relative_to(ROOT))}:
                yield f"ARCHITECTURE.md: does not name {module.relative_to(ROOT)}"


def crates():
    return sorted((ROOT / "crates").iterdir())


if __name__ == "__main__":
    if problems := main():
        sys.exit("\n".join(problems))
    print("the documents name what is there")
