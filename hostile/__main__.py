"""`python -m hostile [--long] [NAME …]`: runs the tests whose name contains a NAME, or all.

Prints below each test what it counted.
"""

import resource
import sys
from pathlib import Path

from interop import runner


def allow_many_files():
    """Thousands of connections, each with an end here and one in a server that inherits the limit."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))


if __name__ == "__main__":
    # Nothing here is about disks.
    sys.exit(runner.run(Path(__file__).parent, in_memory=True, prepare=allow_many_files))
