"""Fails when a document names a file that is not there, the map misses a source file, or the book a
page.

Checked are the relative links of every Markdown file, and in ARCHITECTURE.md also whatever stands
in backticks and looks like a path. A chapter of it whose heading names a crate's folder is that
crate's map: short paths in it are relative to the crate's sources, and every module at the top of
the crate has to be there. Elsewhere `store/blob.rs` means `crates/shacache-store/src/blob.rs`.
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
        *unbound_pages(),
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


def chapters():
    """The chapters of the map, each with the crate that its heading names, or None."""
    for chapter in re.split(r"^(?=## )", MAP.read_text(), flags=re.MULTILINE):
        crate = re.match(r"## .*`(crates/[\w-]+)`", chapter)
        yield (ROOT / crate[1] if crate else None), set(named_paths(chapter))


def named_paths(text):
    """What stands in backticks and looks like a path: it has a slash at its end or a file ending."""
    for code in re.findall(r"`([^`\s]+)`", text):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*(/|\.(rs|toml|md|py|sh))", code):
            yield code


def missing_paths():
    for crate, paths in chapters():
        for path in sorted(paths):
            candidates = [ROOT / path]
            if crate:
                candidates.append(crate / "src" / path)
            layer, _, rest = path.partition("/")
            candidates.append(ROOT / f"crates/shacache-{layer}/src" / rest)
            if not any(candidate.exists() for candidate in candidates):
                yield f"ARCHITECTURE.md: no such file: {path}"


def unnamed_modules():
    mapped = {crate: paths for crate, paths in chapters() if crate}
    for crate in sorted((ROOT / "crates").iterdir()):
        if crate not in mapped:
            yield f"ARCHITECTURE.md: no chapter for {crate.relative_to(ROOT)}"
            continue
        for module in sorted((crate / "src").glob("*.rs")):
            if module.name not in mapped[crate]:
                yield f"ARCHITECTURE.md: does not name {module.relative_to(ROOT)}"


def unbound_pages():
    """Pages of the book that its table of contents does not name."""
    named = set(re.findall(r"\]\(([^)#]+)", (ROOT / "docs/SUMMARY.md").read_text()))
    for page in sorted((ROOT / "docs").glob("*.md")):
        if page.name != "SUMMARY.md" and page.name not in named:
            yield f"docs/SUMMARY.md: does not name {page.name}"


if __name__ == "__main__":
    if problems := main():
        sys.exit("\n".join(problems))
    print("the documents name what is there")
