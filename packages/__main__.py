"""`python -m packages [NAME …]`: runs the tests whose name contains a NAME, or all.

Needs root rights, `.test/debian.tar` as `./test --long` makes it, and the programs built.
"""

import sys
from pathlib import Path

from interop import runner

if __name__ == "__main__":
    sys.exit(runner.run(
        Path(__file__).parent, tiers=False,
        root_because="the tests boot a Debian of their own",
    ))
