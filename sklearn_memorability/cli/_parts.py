"""Pictures worked through in parts, so that a bad one or Ctrl-C costs little."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.progress import Progress

from sklearn_memorability.cli._interrupts import stop_if_interrupted
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.images import ImageContent, ImageReadError

# Parts grow until one takes about this long, whatever the machine.
_FIRST, _LARGEST, _SECONDS = 16, 4096, 2.0


class Part(NamedTuple):
    """What came of some pictures.

    Attributes
    ----------
    names : list of str
        All of them.
    errors : dict of str to str
        What is wrong with those that failed.
    result : object
        What the function returned for the others; None if all failed.
    """

    names: list[str]
    errors: dict[str, str]
    result: Any


def in_parts(
    pictures: Sequence[Found],
    function: Callable[[list[str]], Any],
    bar: Progress,
    what: str,
) -> Iterator[Part]:
    """Apply a function to pictures, some at a time.

    Parameters
    ----------
    pictures : sequence of Found
        The pictures.
    function : callable
        From a list of paths to a result; raises ImageReadError at one that can't be
        read.
    bar : rich.progress.Progress
        Where to show how far it is.
    what : str
        What it does, for the bar.

    Yields
    ------
    Part
    """
    task = bar.add_task(what, total=len(pictures))
    start, size = 0, _FIRST
    while start < len(pictures):
        begun = time.monotonic()
        part = pictures[start : start + size]
        yield _work(part, function)
        stop_if_interrupted()
        bar.advance(task, len(part))
        start += len(part)
        if time.monotonic() - begun < _SECONDS:
            size = min(2 * size, _LARGEST)


def unreadable(names: Sequence[str]) -> dict[str, str]:
    """Return what is wrong with those of some pictures that can't be read."""
    errors = {}
    for name in names:
        try:
            ImageContent(name).picture()
        except ImageReadError as error:
            errors[name] = str(error).removeprefix(f"Image, {name!r}: ")
    return errors


def _work(part: Sequence[Found], function: Callable[[list[str]], Any]) -> Part:
    names = [found.name for found in part]
    errors = {found.name: found.error for found in part if found.error is not None}
    while True:
        good = [name for name in names if name not in errors]
        try:
            return Part(names, errors, function(good) if good else None)
        except ImageReadError as error:
            # It tells of the first bad picture only. One that was, and is not any more,
            # is bad all the same: a file that changes must not keep this for ever.
            bad = unreadable(good) or _named(good, error)
            if not bad:
                raise
            errors.update(bad)


def _named(names: Sequence[str], error: ImageReadError) -> dict[str, str]:
    """Return which picture an error is about, and what it says of it."""
    said = str(error)
    return {name: said.partition(f"{name!r}: ")[2] for name in names if f"{name!r}: " in said}
