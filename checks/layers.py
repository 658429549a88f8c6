"""Fails when a crate of the workspace depends on what its layer must not know.

Reads `cargo metadata`. deny.toml bans a crate from all but a few dependents; here are the rules it
cannot express: the arrows between our own crates, what differs between a crate and its tests, and
what must not come in through somebody else either.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

# crate → what of ours it may use; (in the crate itself, in its tests beyond that)
ARROWS = {
    "shacache-core": (set(), {"shacache-fuzz"}),
    "shacache-store": ({"shacache-core"}, set()),
    "shacache-server": (
        {"shacache-core", "shacache-store", "shacache-client"}, {"shacache-fuzz"},
    ),
    "shacache-client": ({"shacache-core"}, {"shacache-fuzz"}),
    "shacache-cli": ({"shacache-core", "shacache-client"}, {"shacache-server"}),
    "shacache-fuzz": (set(), set()),
}

# crate → what it must not use directly, its tests included
REFUSED = {
    "shacache-core": {"tokio", "futures-util", "http", "hyper", "axum", "jiff", "rustix"},
    "shacache-store": {"axum", "hyper", "hyper-util", "http", "reqwest", "clap", "anyhow"},
    "shacache-server": {"rusqlite", "tokio-postgres", "object_store", "rsa", "reqwest", "anyhow"},
    "shacache-client": {"axum", "hyper", "http", "clap", "anyhow", "rusqlite"},
    "shacache-cli": {"axum", "hyper", "http", "reqwest", "rusqlite"},
}

# crate → what must not be anywhere below it, tests aside
REFUSED_BELOW = {
    "shacache-core": {"tokio", "http", "hyper", "mio", "socket2", "rustix", "tempfile"},
    "shacache-store": {"axum", "hyper"},
    "shacache-server": {"rsa"},
    "shacache-client": {"axum", "clap", "rusqlite"},
}

# crate → what only one of its files may use
ONE_FILE = {"shacache-server": ("shacache_client", "src/upstream.rs")}


def main():
    metadata = read_metadata()
    crates = {p["name"]: p for p in metadata["packages"] if p["id"] in metadata["workspace_members"]}
    if crates.keys() != ARROWS.keys():
        return [f"the workspace has {sorted(crates)}, the rules know {sorted(ARROWS)}"]
    return [
        *wrong_arrows(crates),
        *refused_dependencies(crates),
        *refused_below(),
        *strangers(crates),
    ]


def read_metadata():
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--all-features"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def wrong_arrows(crates):
    for name, (allowed, allowed_in_tests) in ARROWS.items():
        for dependency in crates[name]["dependencies"]:
            in_tests = dependency["kind"] == "dev"
            ours = dependency["name"] in ARROWS
            if ours and dependency["name"] not in allowed | (allowed_in_tests if in_tests else set()):
                yield f"{name} must not use {dependency['name']}"


def refused_dependencies(crates):
    for name, refused in REFUSED.items():
        for dependency in crates[name]["dependencies"]:
            if dependency["name"] in refused:
                yield f"{name} must not use {dependency['name']} directly"


def refused_below():
    """What each crate brings in when it is built alone, with all features of its own. Built together
    with others it has their features, too: so programs that are shipped are built alone."""
    for name, refused in REFUSED_BELOW.items():
        command = [
            "cargo", "tree", "--locked", "--package", name, "--all-features", "--target", "all",
            "--edges", "normal,build", "--prefix", "none", "--format", "{p}",
        ]
        tree = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        reached = {line.split()[0] for line in tree.splitlines() if line}
        for found in sorted(reached & refused):
            yield f"{name} must not bring in {found}, not even through another crate"


def strangers(crates):
    """Files of a crate, apart from the one, that use what is one file's matter."""
    for name, (used, home) in ONE_FILE.items():
        folder = Path(crates[name]["manifest_path"]).parent
        home = folder / home
        if not re.search(rf"\b{used}\b", home.read_text()):
            yield f"{home} does not use {used}"
        for path in sorted(folder.glob("src/**/*.rs")):
            if path != home and re.search(rf"\b{used}\b", path.read_text()):
                yield f"{path.relative_to(folder)} of {name} must not use {used}: {home.name} does"


if __name__ == "__main__":
    if problems := main():
        sys.exit("\n".join(problems))
    print("every dependency points the right way")
