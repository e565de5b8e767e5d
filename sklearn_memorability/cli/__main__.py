"""``python -m sklearn_memorability.cli``."""

import sys

from sklearn_memorability.cli import main

if __name__ == "__main__":
    sys.exit(main())
