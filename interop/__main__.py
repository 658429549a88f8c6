"""`python -m interop [--long] [NAME …]`: runs the tests whose name contains a NAME, or all."""

import sys
from pathlib import Path

from interop import runner

if __name__ == "__main__":
    sys.exit(runner.run(Path(__file__).parent))
