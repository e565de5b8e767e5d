"""Faces of the 10k US Adult Faces Database (Bainbridge et al. 2013)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._base import (
    COUNTS,
    check_correction,
    read_matlab,
    scores_from_counts,
)
from sklearn_memorability.datasets._requested import REQUESTED
from sklearn_memorability.datasets._tables import (
    find_images,
    read_counts,
    read_scores,
    read_spreadsheet,
    refuse,
)

_FACES = REQUESTED["bainbridge"]
_RATES = ("Hit Rate (HR)", "False Alarm Rate (FAR)")
# Names differ in case, blanks and underscores between the files.
_COLUMNS = {
    "filename": "Filename",
    "hits": "hits",
    "misses": "misses",
    "falsealarms": "false_alarms",
    "correctrejections": "correct_rejections",
    **dict.fromkeys(("hitratehr", "hitrate", "hr"), _RATES[0]),
    **dict.fromkeys(("falsealarmratefar", "falsealarmrate", "far"), _RATES[1]),
}
_Columns = dict[str, Sequence[Any]]


def load_bainbridge(
    folder: str | os.PathLike[str],
    *,
    correction: str = "none",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the memorability of 2,222 images of faces (Bainbridge et al. 2013).

    To get the 10k US Adult Faces Database, fill in the form at
    https://wilmabainbridge.com/facememorability2.html.

    Parameters
    ----------
    folder : str or path-like
        The folder with the parts of the database as they are handed out:
        ``10k US Adult Faces Database/Face Images``, and ``Memorability Scores`` with
        ``memorability-scores.mat`` and ``target-filenames.txt``, or with
        ``memorability-scores.xlsx``, which needs python-calamine
        (``pip install "sklearn-memorability[datasets]"``).
    correction : {"none", "difference", "balanced_accuracy"}, default="none"
        What is done about false alarms: see
        :func:`~sklearn_memorability.metrics.memorability_score`.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``; ``target``, the scores; ``counts`` and ``weights``, the number of
        responses (None where the file has rates alone); ``score_range``, ``consistency``
        and ``ceiling`` (of uncorrected scores), ``rule`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or files or images are missing from it.
    ValueError
        If ``correction`` is unknown, or a file isn't what it should be.
    ImportError
        If the spreadsheet must be read without python-calamine.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_bainbridge
    >>> faces = load_bainbridge("faces")  # doctest: +SKIP
    >>> len(faces.images), faces.weights.mean().round()  # doctest: +SKIP
    (2222, np.float64(80.0))
    """
    score_range = check_correction(correction)
    root = _FACES.folder(folder)
    names, columns = _read(root / "Memorability Scores")
    known = set(COUNTS) <= set(columns)
    if known:
        counts = {name: read_counts(columns[name], name) for name in COUNTS}
    else:
        hit, false_alarm = (read_scores(columns[rate], rate, (0.0, 1.0)) for rate in _RATES)
        # Rates are the counts of a face that was shown once.
        counts = dict(zip(COUNTS, (hit, 1 - hit, false_alarm, 1 - false_alarm), strict=True))
    images = root / "10k US Adult Faces Database" / "Face Images"
    return _FACES.image_set(
        find_images(images, names, "Filename", _FACES.way_out),
        scores_from_counts(counts, correction),
        score_range=score_range,
        counts=counts if known else None,
        consistency=0.68 if correction == "none" else None,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read(folder: Path) -> tuple[list[str], _Columns]:
    """Return the names and columns of the MATLAB file, or of the spreadsheet in its place."""
    matlab = folder / "memorability-scores.mat"
    spreadsheet = folder / "memorability-scores.xlsx"
    names = folder / "target-filenames.txt"
    if matlab.is_file() and (names.is_file() or not spreadsheet.is_file()):
        columns = _from_matlab(matlab)
        if _has_scores(columns):
            return _target_names(_FACES.file(names), columns), columns
        if not spreadsheet.is_file():
            raise ValueError(
                f"{os.fspath(matlab)!r} has neither {', '.join(COUNTS)} nor rates under names "
                f"that are understood. Put {spreadsheet.name!r} beside it."
            )
    columns = _from_spreadsheet(_FACES.file(spreadsheet))
    if "Filename" not in columns or not _has_scores(columns):
        raise ValueError(
            f"{os.fspath(spreadsheet)!r} lacks the columns 'Filename', {', '.join(_RATES)}, so "
            f"it is not the table of scores. {_FACES.way_out}"
        )
    return [str(name) for name in columns["Filename"]], columns


def _has_scores(columns: _Columns) -> bool:
    return set(COUNTS) <= set(columns) or set(_RATES) <= set(columns)


def _from_matlab(path: Path) -> _Columns:
    # One structure of matrices, as the database's README says, or the matrices themselves.
    columns: _Columns = {}
    for name, value in read_matlab(path).items():
        fields = getattr(getattr(value, "dtype", None), "names", None)
        parts = {field: value[field] for field in fields} if fields else {name: value}
        for field, part in parts.items():
            array = np.asarray(part)
            # The one element of a structure holds its matrix as an object.
            matrix = array.item() if array.dtype == object and array.ndim == 0 else array
            columns[_column(field)] = list(np.ravel(matrix))
    return columns


def _target_names(path: Path, columns: _Columns) -> list[str]:
    """Return the names in a file of numbered lines, which must be as many as the scores."""
    # Bytes that are not UTF-8 are kept as the operating system's names keep them.
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    lines = [line.partition(",") for line in text.splitlines() if line.strip()]
    if lines and not lines[0][0].strip().isdigit():
        lines = lines[1:]
    refuse(
        (
            f"{number + comma + name!r} in row {i}"
            for i, (number, comma, name) in enumerate(lines, 1)
            if number.strip() != str(i) or not name.strip()
        ),
        f"{os.fspath(path)!r} has lines that are not the next number and a file name",
    )
    refuse(
        (
            f"{len(columns[c])} {c}"
            for c in (*COUNTS, *_RATES)
            if len(columns.get(c, lines)) != len(lines)
        ),
        f"{os.fspath(path)!r} names {len(lines)} images, but the file of scores has",
    )
    return [name.strip() for _, _, name in lines]


def _from_spreadsheet(path: Path) -> _Columns:
    way_out = "The MATLAB file and 'target-filenames.txt' beside it need no other package."
    header, *rows = read_spreadsheet(path, way_out) or [[]]
    rows = [row for row in rows if any(cell != "" for cell in row)]
    return {_column(str(name)): [row[i] for row in rows] for i, name in enumerate(header)}


def _column(name: str) -> str:
    return _COLUMNS.get("".join(filter(str.isalnum, name)).lower(), name)
