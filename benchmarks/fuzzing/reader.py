"""What a reader is to the fuzzer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


class BrokenPromiseError(AssertionError):
    """A reader took what it was given, and did something else than it says."""


@dataclass(frozen=True)
class Reader:
    """Something that reads what others have written.

    Attributes
    ----------
    name : str
        What it is called.
    seeds : callable
        Returns valid inputs by the name of their variant.
    read : callable
        Takes a variant, the input's bytes and an empty folder, and reads.
    allowed : tuple of types
        The errors that it may raise.
    """

    name: str
    seeds: Callable[[], Mapping[str, bytes]]
    read: Callable[[str, bytes, Path], object]
    allowed: tuple[type[Exception], ...] = (ValueError, OSError)
