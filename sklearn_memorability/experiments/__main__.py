"""Run the command: ``python -m sklearn_memorability.experiments --help``."""

import sys

from sklearn_memorability.experiments._command import main

if __name__ == "__main__":
    sys.exit(main())
