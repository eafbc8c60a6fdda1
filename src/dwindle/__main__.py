"""The command line as ``python -m dwindle``."""

import sys

from dwindle.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
