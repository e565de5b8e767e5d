"""Ctrl-C that is not lost where Python can't raise it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_seen = False


@contextmanager
def interrupts_remembered() -> Iterator[None]:
    """Remember each Ctrl-C, beside raising KeyboardInterrupt as Python does.

    Python raises it wherever it is just then. In a destructor or a callback of the
    garbage collector's it is printed and forgotten, and the work would go on.
    """
    global _seen
    _seen = False
    try:
        is_pythons = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        before = signal.signal(signal.SIGINT, _interrupt) if is_pythons else None
    except ValueError:  # only the main thread may
        before = None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def stop_if_interrupted() -> None:
    """Raise KeyboardInterrupt if there was a Ctrl-C."""
    if _seen:
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _seen
    _seen = True
    raise KeyboardInterrupt
