"""From what stands on the command line to a list of pictures."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sklearn_memorability.images import list_images
from sklearn_memorability.images._collect import SUFFIXES

STDIN = "-"


class Found(NamedTuple):
    """A picture's path, or a path that leads to none, with the reason."""

    name: str
    error: str | None = None


def find_pictures(
    paths: Iterable[str], *, recursive: bool = True, null: bool = False
) -> list[Found]:
    """List the pictures that paths stand for, each once, in their order.

    Parameters
    ----------
    paths : iterable of str
        Pictures, folders, patterns that no shell has expanded, or ``"-"`` for such
        paths on stdin.
    recursive : bool, default=True
        Whether to look in the subfolders of folders.
    null : bool, default=False
        Whether the paths on stdin end in NUL instead of a line break.

    Returns
    -------
    list of Found
        A file that is named is listed whatever it is called; whether it can be read
        shows later.
    """
    found: dict[str, Found] = {}
    for path in _with_stdin(paths, null):
        for item in _of_path(path, recursive):
            found.setdefault(item.name, item)
    return list(found.values())


def _with_stdin(paths: Iterable[str], null: bool) -> Iterator[str]:
    for path in paths:
        if path != STDIN:
            yield path
            continue
        separator = b"\0" if null else b"\n"
        for name in sys.stdin.buffer.read().split(separator):
            decoded = os.fsdecode(name if null else name.rstrip(b"\r"))
            if decoded:
                yield decoded


def _of_path(path: str, recursive: bool) -> list[Found]:
    if os.path.isdir(path):
        return _of_folder(path, recursive) or [Found(path, "the folder holds no picture.")]
    # A file may have brackets in its name.
    if os.path.lexists(path) or not glob.has_magic(path):
        return [Found(path)]
    matches = sorted(glob.glob(path, recursive=True))
    pictures: list[Found] = []
    for match in matches:
        if os.path.isdir(match):
            pictures += _of_folder(match, recursive)
        elif os.path.splitext(match)[1].lower() in SUFFIXES:
            pictures.append(Found(match))
    others = [Found(match) for match in matches if not os.path.isdir(match)]
    return pictures or others or [Found(path, "no picture matches the pattern.")]


def _of_folder(folder: str, recursive: bool) -> list[Found]:
    return [Found(os.fspath(path)) for path in list_images(Path(folder), recursive=recursive)]
