"""Tables of scores and the images that they name, checked."""

import csv
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_SHOWN = 5


def read_table(table: Any) -> dict[str, list[Any]]:
    """Return a text file with a header line (CSV, or TSV), data frame or mapping as columns."""
    if not isinstance(table, str | os.PathLike):
        return {str(name): list(table[name]) for name in getattr(table, "columns", table)}
    path = Path(table)
    if not path.is_file():
        raise FileNotFoundError(f"There is no table of scores at {os.fspath(path)!r}.")
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    header, *rows = read_rows(path, separator) or [[]]
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


# Spreadsheet programs write a byte-order mark, which would join the first name.
def read_rows(path: Path, separator: str = ",", encoding: str = "utf-8-sig") -> list[list[str]]:
    """Return the rows of a text file that are not empty."""
    try:
        with path.open(newline="", encoding=encoding) as file:
            return [row for row in csv.reader(file, delimiter=separator, strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a table: {error}") from error


def need_columns(
    path: Path, table: Iterable[str], columns: Iterable[str], way_out: str = ""
) -> None:
    """Refuse a file that lacks columns."""
    there = list(table)
    lacking = [name for name in columns if name not in there]
    if lacking:
        raise ValueError(
            f"{os.fspath(path)!r} has no column {', '.join(map(repr, lacking))}; it has "
            f"{there[:20]}. {way_out}".strip()
        )


def find_images(root: Path, names: Sequence[str], column: str, way_out: str = "") -> list[Path]:
    """Return the paths of the images that a table names, each once and none outside ``root``."""
    if not names:
        raise ValueError("The table has no rows.")
    inside = os.path.abspath(root)
    rows: dict[str, int] = {}
    outside, twice, missing = [], [], []
    for row, name in enumerate(names, 1):
        place = os.path.abspath(root / name)
        if not Path(place).is_relative_to(inside):
            outside.append(f"{name!r} in row {row}")
        elif place in rows:
            twice.append(f"{name!r} in rows {rows[place]} and {row}")
        elif not os.path.isfile(place):
            missing.append(f"{name!r} in row {row}")
        rows.setdefault(place, row)
    refuse(outside, f"Column {column!r} names files outside the folder")
    refuse(twice, f"Column {column!r} names images more than once")
    refuse(missing, f"Images are missing from {os.fspath(root)!r}", FileNotFoundError, way_out)
    return [root / name for name in names]


def read_scores(
    values: Sequence[Any], column: str, score_range: tuple[float, float] | None
) -> np.ndarray:
    """Return a column of numbers, or of their text, as finite floats within a range, if given."""
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


def read_counts(values: Sequence[Any], column: str) -> np.ndarray:
    """Return a column of counts as whole numbers, none below zero."""
    counts = read_scores(values, column, None)
    refuse(
        (f"{count:g} in row {i}" for i, count in enumerate(counts, 1) if count < 0 or count % 1),
        f"Column {column!r} has counts that are no whole numbers from 0 up",
    )
    return counts.astype(np.int64)


def refuse(
    found: Iterable[str], what: str, error: type[Exception] = ValueError, way_out: str = ""
) -> None:
    """Raise an error that names the first few of what is wrong, if anything is."""
    found = list(found)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise error(f"{what}: {', '.join(found[:_SHOWN])}{more}. {way_out}".strip())
