"""Where in a user's folder a published set lies."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sklearn_memorability.datasets._tables import find_pictures


def folder_with(
    folder: str | os.PathLike[str], inside: Sequence[str], places: Sequence[str], way_out: str
) -> Path:
    """Return the folder that has all that a set is made of.

    Parameters
    ----------
    folder : str or path-like
        Where to look.
    inside : sequence of str
        Files and folders that must be in it.
    places : sequence of str
        Subfolders that may stand in its place, such as the one that unpacking makes.
    way_out : str
        How to get the set, for messages.

    Returns
    -------
    pathlib.Path
        ``folder``, or the first of ``places`` in it.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.
    FileNotFoundError
        If nowhere all of ``inside`` is.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"There is no folder {os.fspath(root)!r}. {way_out}")
    for place in (root, *(root / name for name in places)):
        if all((place / name).exists() for name in inside):
            return place
    raise FileNotFoundError(
        f"{os.fspath(root)!r} doesn't have {' and '.join(map(repr, inside))}, nor does a folder "
        f"in it. {way_out}"
    )


def pictures_in(root: Path, names: Sequence[str], column: str, way_out: str) -> list[Path]:
    """Return the paths of the pictures that a set's table names.

    Parameters
    ----------
    root : pathlib.Path
        The folder they are in.
    names : sequence of str
        File names relative to it, with forward slashes.
    column : str
        Where the names come from, for messages.
    way_out : str
        How to get the set, for messages.

    Returns
    -------
    list of pathlib.Path
        In the order of ``names``.

    Raises
    ------
    FileNotFoundError
        If pictures are missing.
    ValueError
        If a name leads out of the folder or occurs twice.
    """
    with adding(way_out):
        return find_pictures(root, names, column)


@contextmanager
def adding(way_out: str) -> Iterator[None]:
    """Add to the messages of missing files how to get the set."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} {way_out}") from error
