"""Tables of scores and the images that they name, checked."""

import csv
import io
import math
import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability._utils._found import refuse
from sklearn_memorability.images import list_images

# How files of Excel begin, the newer and the older ones.
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_COMMENTS = re.compile(r"((#[^\r\n]*|[ \t]*)(\r\n?|\n))*")
_DECIMAL_COMMA = re.compile(r"([+-]?\d*),(\d+)")
_BLANK_OR_NUMBER = re.compile(r"([+-]?\d*,?\d+)?")
# What is written where there is nothing, by pandas, R and databases too.
_BLANK = frozenset({"", "nan", "na", "<na>", "nat", "none", "null"})


def read_table(table: Any) -> dict[str, list[Any]]:
    """Return a file with a header line, a data frame, a mapping or a list of dicts as columns."""
    if isinstance(table, str | os.PathLike):
        return _columns_of_file(Path(table))
    if isinstance(table, list | tuple) and all(isinstance(row, Mapping) for row in table):
        table = {name: [row.get(name) for row in table] for row in table for name in row}
    is_frame = hasattr(table, "columns") and hasattr(table, "to_numpy")  # of pandas or polars
    if not is_frame and not isinstance(table, Mapping):
        raise TypeError(
            f"A {type(table).__name__} is no table of scores: give a file, a data frame, or a "
            "mapping of columns such as {'image': names, 'score': scores}."
        )
    given = list(table.columns if is_frame else table)
    columns = dict(zip(_names(given, "The table"), (table[name] for name in given), strict=True))
    for name, column in columns.items():
        if isinstance(column, str) or not hasattr(column, "__len__"):
            raise TypeError(f"Column {name!r} of the table is no list, but {column!r:.80}.")
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name!r} has {len(column)}" for name, column in columns.items())
        raise ValueError(f"The table's columns differ in length: {lengths}.")
    return {name: list(column) for name, column in columns.items()}


def _names(header: Iterable[Any], table: str) -> list[str]:
    """Return the names of columns without the spaces around them; each must occur once."""
    names = [str(name).strip() for name in header]
    refuse(
        (repr(name) for name, count in Counter(names).items() if count > 1),
        f"{table} has columns of the same name",
    )
    return names


def _columns_of_file(path: Path) -> dict[str, list[Any]]:
    shown = repr(os.fspath(path))
    if not path.is_file():
        raise FileNotFoundError(f"There is no table of scores at {shown}.")
    content, separator = path.read_bytes(), ""
    if content.startswith(_SPREADSHEETS):
        rows = _read_spreadsheet(path)
    else:
        text = _decoded(path, content)
        text = text[_COMMENTS.match(text).end() :]  # type: ignore[union-attr]
        line = re.sub('"[^"]*"', "", text.splitlines()[0]) if text else ""
        separator = next((sep for sep in "\t;," if sep in line), ",")
        if line in ("sep=;", "sep=,", "sep=\t"):  # Excel's own line
            text = text.partition("\n")[2]
        rows = _split(path, text, separator)
    # Spreadsheet programs leave empty rows and columns behind what was in them.
    header, *rows = [r for r in rows if any(str(cell).strip() for cell in r)] or [[]]
    # An image's name may begin with "#" too, but a comment doesn't have all columns.
    rows = [r for r in rows if len(r) == len(header) or not str(r[0]).startswith("#")]
    if len(header) == 1 and (found := re.search(r"[|:]|\s", str(header[0]).strip())):
        raise ValueError(
            f"{shown} looks separated by {found[0]!r}; save it with commas, semicolons or tabs."
        )
    refuse(
        (f"row {i}" for i, row in enumerate(rows, 1) if len(row) != len(header)),
        f"{shown} has rows without exactly {len(header)} columns",
    )
    if not rows:
        raise ValueError(f"The table {shown} has no rows.")
    cells = [[name, *column] for name, *column in zip(header, *rows, strict=True)]
    cells = [column for column in cells if any(str(cell).strip() for cell in column)]
    columns = dict(zip(_names([c[0] for c in cells], shown), (c[1:] for c in cells), strict=True))
    return columns if separator in ("", ",") else {n: _with_points(c) for n, c in columns.items()}


def _decoded(path: Path, content: bytes) -> str:
    """Return a table's text: UTF-8, UTF-16 with its mark, or else what Windows calls Latin-1."""
    shown = repr(os.fspath(path))
    try:
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
        if not set(text) & {"\0", "\ufffd"}:
            warnings.warn(
                f"{shown} is not in UTF-8 and was read as Latin-1 (Windows-1252). If names are "
                "wrong, save it as CSV UTF-8.",
                UserWarning,
                stacklevel=5,
            )
    if set(text) & {"\0", "\ufffd"}:
        raise ValueError(f"{shown} can't be read as a table: save it as CSV UTF-8.")
    return text


def _with_points(column: list[str]) -> list[str]:
    """Return a column with decimal points if all its numbers are whole or have decimal commas."""
    cells = [cell.strip() for cell in column]
    if all(map(_BLANK_OR_NUMBER.fullmatch, cells)):
        return [_DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in cells]
    return column


def read_rows(path: Path) -> list[list[str]]:
    """Return the rows of a text file that are not empty."""
    return _split(path, _decoded(path, path.read_bytes()), ",")


def _split(path: Path, text: str, separator: str) -> list[list[str]]:
    lines = io.StringIO(text, newline="")
    try:
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
        return [row for row in rows if row]
    except csv.Error as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a table: {error}") from error


def _read_spreadsheet(path: Path) -> list[list[Any]]:
    """Return the rows of a spreadsheet's first sheet."""
    what = f"{os.fspath(path)!r} is a spreadsheet: save it as CSV UTF-8. Reading it as it is"
    calamine = import_extra("python_calamine", what, "datasets")
    try:
        with calamine.CalamineWorkbook.from_path(path) as workbook:
            return workbook.get_sheet_by_index(0).to_python()
    except calamine.CalamineError as error:
        raise ValueError(
            f"{os.fspath(path)!r} can't be read as a table, a spreadsheet: {error}"
        ) from error


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
        # As it is written: a link that stands in the folder may lead out of it.
        place = os.path.abspath(root / name)
        if not Path(place).is_relative_to(inside):
            outside.append(f"{name!r} in row {row}")
        elif place in rows:
            twice.append(f"{name!r} in rows {rows[place]} and {row}")
        elif not os.path.isfile(place):
            missing.append(row)
        rows.setdefault(place, row)
    refuse(outside, f"Column {column!r} names files outside the folder")
    refuse(twice, f"Column {column!r} names images more than once")
    if missing:
        hint = _resembling(root, names[missing[0] - 1])
        listed = [f"{names[row - 1]!r} in row {row}" for row in missing]
        what = f"Images are missing from {os.fspath(root)!r}"
        refuse(listed, what, FileNotFoundError, f"{hint}{way_out}")
    return [root / name for name in names]


def _resembling(root: Path, name: str) -> str:
    """Say what a missing image may be: a broken link, or one of nearly the same name."""
    if os.path.islink(root / name):
        return f"{name!r} is a link to a file that isn't there ('git annex get' fetches one). "

    def key(path: str) -> str:
        return unicodedata.normalize("NFC", re.split(r"[/\\]", path)[-1]).casefold()

    there = [path.relative_to(root).as_posix() for path in list_images(root)]
    wanted = key(name)
    same = [path for path in there if wanted in (key(path), os.path.splitext(key(path))[0])]
    return f"For {name!r} there is {same[0]!r}. " if same else ""


def read_scores(
    values: Sequence[Any],
    column: str,
    score_range: tuple[float, float] | None,
    what: str = "scores",
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
        f"Column {column!r} has {what} that are no numbers",
    )
    if score_range is not None:
        low, high = score_range
        limits = f"score_range=({low:g}, {high:g})" if what == "scores" else f"{low:g} to {high:g}"
        refuse(
            (f"{y:g} in row {i}" for i, y in enumerate(target, 1) if not low <= y <= high),
            f"Column {column!r} has {what} outside {limits}",
        )
    return target


def read_groups(values: Sequence[Any], column: str) -> np.ndarray:
    """Return a column of labels, of which none may be blank: blanks would be one group."""
    labels = [value.strip() if isinstance(value, str) else value for value in values]
    refuse(
        (f"row {i}" for i, v in enumerate(labels, 1) if v is None or str(v).lower() in _BLANK),
        f"Column {column!r} has no group in",
        way_out="Give an image that belongs to no other a group of its own.",
    )
    return np.asarray(labels)


def read_counts(values: Sequence[Any], column: str) -> np.ndarray:
    """Return a column of counts as whole numbers, none below zero."""
    counts = read_scores(values, column, None, "counts")
    refuse(
        (f"{count:g} in row {i}" for i, count in enumerate(counts, 1) if count < 0 or count % 1),
        f"Column {column!r} has counts that are no whole numbers from 0 up",
    )
    return counts.astype(np.int64)
