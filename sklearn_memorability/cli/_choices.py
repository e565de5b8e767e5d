"""What options can be chosen among; nothing heavy, as ``--help`` needs it."""

from enum import StrEnum


class Kind(StrEnum):
    """The models that ``fit`` fits."""

    RECOMMENDED = "recommended"
    PAPER = "paper"
    SVR = "svr"
    TWO_BRANCH = "two-branch"
