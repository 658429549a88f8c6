"""`python -m faults [--long] [NAME …]`: runs the tests whose name contains a NAME, or all.

Prints below each test what it counted.
"""

import sys
from pathlib import Path

from interop import runner

if __name__ == "__main__":
    # A power cut is simulated on disks whose images lie in memory: nothing here needs a real disk.
    sys.exit(runner.run(
        Path(__file__).parent, in_memory=True,
        root_because="the tests mount file systems and trace system calls",
    ))
