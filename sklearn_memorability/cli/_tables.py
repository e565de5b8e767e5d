"""Tables in files: CSV, JSON and Parquet, whole or not there."""

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sklearn_memorability.cli._console import as_json

Row = Sequence[Any]

# What begins a formula in spreadsheets, or is left out before one.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def check_output(path: Path | None, suffixes: Sequence[str], force: bool) -> None:
    """Check, before any work is done, that a file can be written.

    Parameters
    ----------
    path : pathlib.Path or None
        The file.
    suffixes : sequence of str
        How its name may end.
    force : bool
        Whether it may be there already.

    Raises
    ------
    ValueError
        If it can't.
    ImportError
        If that needs a package that is not installed.
    """
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
        raise ValueError(f"--output {path}: {reason}")
    if path.suffix.lower() == ".parquet":
        _parquet()


def number(value: float) -> float | None:
    """Return a number with the seven digits that single precision has; None for NaN."""
    return None if value != value else float(f"{value:.7g}")


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV; what is None is empty.

    Names that a spreadsheet would take for formulas have ``./`` in front, which names the
    same file.
    """
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [_not_a_formula(cell) if isinstance(cell, str) else cell for cell in row]
        # Readers take a carriage return for the end of a row, and csv doesn't quote it.
        has_return = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (quoted if has_return else plain).writerow(cells)
    return text.getvalue()


def write_table(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    """Write a table as what the file's name ends in.

    Parameters
    ----------
    path : pathlib.Path
        Ends in ``.csv``, ``.json`` (a list with an object a row) or ``.parquet``.
    header : sequence of str
        The columns' names; one is ``"image"``.
    rows : sequence of sequence
        The rows.
    """
    suffix = path.suffix.lower()
    with whole_file(path) as part:
        if suffix == ".parquet":
            _parquet()(_columns(header, rows), part)
        elif suffix == ".json":
            records = [dict(zip(header, row, strict=True)) for row in rows]
            part.write_text(as_json(records), encoding="utf-8")
        else:
            text = csv_text([header, *rows])
            part.write_bytes(text.encode("utf-8", "surrogateescape"))


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield another name to write to; the file gets its own once it is finished."""
    # What a link leads to is replaced, not the link.
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    except OSError as error:
        # What fails while it writes doesn't say to which file.
        error.filename = os.fspath(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def _not_a_formula(text: str) -> str:
    return f"./{text}" if text.startswith(_FORMULAS) else text


def _columns(header: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Any]]:
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    # Names of files may have bytes that are no UTF-8, which Parquet can't hold.
    images = [name.encode("utf-8", "backslashreplace").decode() for name in columns["image"]]
    return {**columns, "image": images}


def _parquet() -> Callable[[dict[str, list[Any]], Path], object]:
    """Return what writes columns to a file in Parquet."""
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        try:
            polars = import_module("polars")
        except ImportError as error:
            raise ImportError(
                "Files in Parquet need the package pyarrow (or polars): pip install pyarrow, or "
                "let the file's name end in .csv."
            ) from error
        return lambda columns, path: polars.DataFrame(columns).write_parquet(path)
    return lambda columns, path: parquet.write_table(arrow.table(columns), path)
