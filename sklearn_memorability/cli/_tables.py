"""Tables in files: CSV and JSON."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from sklearn_memorability._utils._files import write_whole
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


def number(value: float) -> float | None:
    """Return a number with the seven digits that single precision has; None for NaN."""
    return None if value != value else float(f"{value:.7g}")


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV; None is an empty cell.

    Names that a spreadsheet would take for formulas get ``./`` in front: the same file.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(
            f"./{x}" if isinstance(x, str) and x.startswith(_FORMULAS) else x for x in row
        )
    return text.getvalue()


def write_table(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    """Write a table as CSV or as JSON (a list of objects), by the file's ending."""
    if path.suffix.lower() == ".json":
        write_whole(path, as_json([dict(zip(header, row, strict=True)) for row in rows]))
    else:
        write_whole(path, csv_text([header, *rows]).encode("utf-8", "surrogateescape"))
