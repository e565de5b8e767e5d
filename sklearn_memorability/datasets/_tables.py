"""Tables of scores and the pictures that they name, checked."""

import csv
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

_SHOWN = 5


def read_table(table: Any) -> dict[str, list[Any]]:
    """Return a table as a mapping from column names to columns.

    Parameters
    ----------
    table : str, path-like, DataFrame or mapping of columns
        A text file with a header line (UTF-8; separated by commas, or by tabs where the
        name ends in ``.tsv``), a data frame, or a mapping.

    Returns
    -------
    dict of str to list
        Columns of a file are lists of strings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such text, has no rows, rows of differing lengths, or columns of the
        same name.
    """
    if not isinstance(table, str | os.PathLike):
        return {str(name): list(table[name]) for name in getattr(table, "columns", table)}
    path = Path(table)
    if not path.is_file():
        raise FileNotFoundError(f"There is no table of scores at {os.fspath(path)!r}.")
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        # Spreadsheet programs write a byte-order mark, which would join the first name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = list(csv.reader(file, delimiter=separator, strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a table: {error}") from error
    rows = [row for row in rows if row]
    refuse(
        (f"row {i}" for i, row in enumerate(rows, 1) if len(row) != len(header)),
        f"{os.fspath(path)!r} has rows without exactly {len(header)} columns",
    )
    refuse(
        (repr(name) for name, count in Counter(header).items() if count > 1),
        f"{os.fspath(path)!r} has columns of the same name",
    )
    if not rows:
        raise ValueError(f"The table {os.fspath(path)!r} has no rows.")
    return {name.strip(): [row[i] for row in rows] for i, name in enumerate(header)}


def find_pictures(
    root: Path, names: Sequence[str], column: str, *, repeated: bool = False
) -> list[Path]:
    """Return the paths of the pictures that a table names.

    Parameters
    ----------
    root : pathlib.Path
        The folder they are in.
    names : sequence of str
        File names relative to it, with forward slashes.
    column : str
        Where the names come from, for messages.
    repeated : bool, default=False
        Whether a picture may be named more than once.

    Returns
    -------
    list of pathlib.Path
        In the order of ``names``.

    Raises
    ------
    FileNotFoundError
        If pictures are missing.
    ValueError
        If there are no names, one leads out of the folder, or one occurs twice.
    """
    if not names:
        raise ValueError("The table has no rows.")
    first_row: dict[str, int] = {}
    twice = []
    for row, name in enumerate(names, 1):
        key = str(PurePosixPath(name))
        if key in first_row and not repeated:
            twice.append(f"{name!r} in rows {first_row[key]} and {row}")
        first_row.setdefault(key, row)
    refuse(twice, f"Column {column!r} names pictures more than once")
    refuse(
        (f"{name!r} in row {row}" for name, row in first_row.items() if "\0" in name),
        f"Column {column!r} has names that no file can have",
    )
    inside = root.resolve()
    paths = [root / name for name in names]
    places = dict(zip(names, paths, strict=True))
    rows = {name: first_row[str(PurePosixPath(name))] for name in places}
    refuse(
        (
            f"{name!r} in row {rows[name]}"
            for name, path in places.items()
            if not path.resolve().is_relative_to(inside)
        ),
        f"Column {column!r} names files outside the folder",
    )
    refuse(
        (f"{name!r} in row {rows[name]}" for name, path in places.items() if not path.is_file()),
        f"Pictures are missing from {os.fspath(root)!r}",
        FileNotFoundError,
    )
    return paths


def read_scores(
    values: Sequence[Any], column: str, score_range: tuple[float, float] | None
) -> np.ndarray:
    """Return a column of scores as numbers.

    Parameters
    ----------
    values : sequence
        Numbers, or their text.
    column : str
        The column's name, for messages.
    score_range : tuple of two floats or None
        The least and the largest number there can be. None takes any.

    Returns
    -------
    numpy.ndarray of shape (n_rows,)
        Finite numbers.

    Raises
    ------
    ValueError
        If one is no number or outside ``score_range``.
    """
    target = np.full(len(values), np.nan)
    for i, value in enumerate(values):
        try:
            target[i] = float(value)
        except (TypeError, ValueError):
            continue
    refuse(
        (f"{values[i]!r} in row {i + 1}" for i, y in enumerate(target) if not math.isfinite(y)),
        f"Column {column!r} has scores that are no numbers",
    )
    if score_range is not None:
        low, high = score_range
        refuse(
            (f"{y:g} in row {i}" for i, y in enumerate(target, 1) if not low <= y <= high),
            f"Column {column!r} has scores outside score_range=({low:g}, {high:g})",
        )
    return target


def refuse(found: Iterable[str], what: str, error: type[Exception] = ValueError) -> None:
    """Raise an error that names the first few of what was found, if anything was.

    Parameters
    ----------
    found : iterable of str
        What is wrong, each with its place.
    what : str
        What is wrong with them all.
    error : type, default=ValueError
        The error's class.
    """
    found = list(found)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise error(f"{what}: {', '.join(found[:_SHOWN])}{more}.")
