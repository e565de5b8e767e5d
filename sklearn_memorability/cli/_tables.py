"""Tables in files: CSV, JSON and Parquet."""

import csv
import io
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from sklearn_memorability._utils._files import whole_file, write_whole
from sklearn_memorability.cli._console import as_json

Row = Sequence[Any]

# What begins a formula in spreadsheets, or is left out before one.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def check_output(path: Path | None, suffixes: Sequence[str], force: bool) -> None:
    """Check, before any work is done, that a file may and can be written."""
    if path is None:
        return
    reason = None
    if path.suffix.lower() not in suffixes:
        reason = f"its name must end in {' or '.join(suffixes)}."
    elif not path.parent.is_dir():
        reason = f"there is no folder {str(path.parent)!r}; make it first."
    elif path.is_dir():
        reason = "it is a folder; give a file's name."
    elif path.exists() and not force:
        reason = "it exists; --force overwrites it."
    if reason is not None:
        raise typer.BadParameter(f"{path}: {reason}", param_hint="--output")
    if path.suffix.lower() == ".parquet":
        _parquet_writer()


def number(value: float) -> float | None:
    """Return a number with the seven digits that single precision has; None for NaN."""
    return None if value != value else float(f"{value:.7g}")


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV; None is an empty cell.

    Names that a spreadsheet would take for formulas get ``./`` in front: the same file.
    """
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [f"./{x}" if isinstance(x, str) and x.startswith(_FORMULAS) else x for x in row]
        # Readers take a carriage return for the end of a row, and csv doesn't quote it.
        has_return = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (quoted if has_return else plain).writerow(cells)
    return text.getvalue()


def write_table(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    """Write a table as CSV, JSON (a list of objects) or Parquet, by the file's ending."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
        # Names of files may have bytes that are not UTF-8, which Parquet can't hold.
        names = [name.encode("utf-8", "backslashreplace").decode() for name in columns["image"]]
        with whole_file(path) as draft:
            _parquet_writer()({**columns, "image": names}, draft)
    elif suffix == ".json":
        write_whole(path, as_json([dict(zip(header, row, strict=True)) for row in rows]))
    else:
        write_whole(path, csv_text([header, *rows]).encode("utf-8", "surrogateescape"))


def _parquet_writer() -> Callable[[dict[str, list[Any]], Path], object]:
    """Return what writes columns to a file in Parquet."""
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(
            "Files in Parquet need the package pyarrow: pip install pyarrow, or let the file's "
            "name end in .csv."
        ) from error
    return lambda columns, path: parquet.write_table(arrow.table(columns), path)
