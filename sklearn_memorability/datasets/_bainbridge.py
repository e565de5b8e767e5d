"""Faces of the 10k US Adult Faces Database (Bainbridge et al. 2013)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._by_request import RequestedSet, read_counts
from sklearn_memorability.datasets._counts import scores_from_counts
from sklearn_memorability.datasets._matlab import read_matlab
from sklearn_memorability.datasets._spreadsheet_check import check_spreadsheet
from sklearn_memorability.datasets._tables import read_scores, refuse

_SCORES = "Memorability Scores"
_PICTURES = Path("10k US Adult Faces Database", "Face Images")
_MATLAB, _SPREADSHEET, _NAMES = (
    "memorability-scores.mat",
    "memorability-scores.xlsx",
    "target-filenames.txt",
)
_COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")
_RATES = ("Hit Rate (HR)", "False Alarm Rate (FAR)")
_KNOWN = {
    "filename": "Filename",
    "hits": "hits",
    "misses": "misses",
    "falsealarms": "false_alarms",
    "correctrejections": "correct_rejections",
    **dict.fromkeys(("hitratehr", "hitrate", "hr"), _RATES[0]),
    **dict.fromkeys(("falsealarmratefar", "falsealarmrate", "far"), _RATES[1]),
}

BAINBRIDGE = RequestedSet(
    name="The 10k US Adult Faces Database",
    ask="fill in the form at https://wilmabainbridge.com/facememorability2.html",
    layout=f"'{_PICTURES.as_posix()}' with the pictures, and '{_SCORES}' with "
    f"{_MATLAB!r} and {_NAMES!r}, or with {_SPREADSHEET!r}",
    n_images=2222,
    DESCR="""
The memorability of faces
-------------------------
:Pictures: 2,222 photographs of faces, the targets of the 10k US Adult Faces Database
:Target: hit rate of the recognition game on Amazon Mechanical Turk: a face came back 91 to
    109 pictures later (about 80 responses a face); corrected for false alarms if asked for
:Consistency: .68, Spearman correlation between the hit rates of two halves of the people
:Terms: for research; the faces may not be redistributed, and publications show those of a
    small set made for that. The database is had by form
    (https://wilmabainbridge.com/facememorability2.html)

References
----------
W. A. Bainbridge, P. Isola, A. Oliva, "The intrinsic memorability of face photographs",
Journal of Experimental Psychology: General 142(4), 2013.
""",
)


def load_bainbridge(
    folder: str | os.PathLike[str],
    *,
    correction: str = "none",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the memorability of 2,222 photographs of faces (Bainbridge et al. 2013).

    The 10k US Adult Faces Database is had by form from
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
        Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path`; ``target``, the scores;
        ``counts`` and ``weights``, the number of responses (None where the file has rates
        alone); ``score_range``, ``consistency`` and ``ceiling`` (of uncorrected scores),
        ``target_names``, ``rule``, ``frame`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or files or pictures are missing from it.
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
    root = BAINBRIDGE.folder(folder)
    names, columns = _read(root / _SCORES)
    if not names:
        raise ValueError(f"{os.fspath(root / _SCORES)!r} names no faces. {BAINBRIDGE.way_out}")
    counts = None
    if set(_COUNTS) <= set(columns):
        counts = {name: read_counts(columns[name], name) for name in _COUNTS}
        shown = counts
    else:
        hit, false_alarm = (read_scores(columns[rate], rate, (0.0, 1.0)) for rate in _RATES)
        # Rates are the counts of a face that was shown once.
        shown = dict(zip(_COUNTS, (hit, 1 - hit, false_alarm, 1 - false_alarm), strict=True))
    target, score_range = scores_from_counts(shown, correction, names)
    images = BAINBRIDGE.pictures(root / _PICTURES, names, "Filename")
    return picture_set(
        images=images,
        target=target,
        score_range=score_range,
        DESCR=BAINBRIDGE.DESCR,
        counts=counts,
        consistency=0.68 if correction == "none" else None,
        rule=BAINBRIDGE.rule_for(len(images)),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read(folder: Path) -> tuple[list[str], dict[str, Sequence[Any]]]:
    matlab, spreadsheet, names = folder / _MATLAB, folder / _SPREADSHEET, folder / _NAMES
    if matlab.is_file() and (names.is_file() or not spreadsheet.is_file()):
        columns = _from_matlab(matlab)
        if _is_enough(columns):
            return _with_names(matlab, columns, BAINBRIDGE.file(names))
        if not spreadsheet.is_file():
            raise ValueError(
                f"{os.fspath(matlab)!r} has neither {', '.join(_COUNTS)} nor rates under names "
                f"that are understood. Put {_SPREADSHEET!r} beside it."
            )
    columns = _from_spreadsheet(BAINBRIDGE.file(spreadsheet))
    if "Filename" not in columns or not _is_enough(columns):
        raise ValueError(
            f"{os.fspath(spreadsheet)!r} lacks the columns 'Filename', {', '.join(_RATES)}, so "
            f"it is not the table of scores. {BAINBRIDGE.way_out}"
        )
    return [str(name) for name in columns.pop("Filename")], columns


def _is_enough(columns: dict[str, Sequence[Any]]) -> bool:
    return set(_COUNTS) <= set(columns) or set(_RATES) <= set(columns)


def _from_matlab(path: Path) -> dict[str, Sequence[Any]]:
    # One structure of matrices, as the database's README says, or the matrices themselves.
    found: dict[str, Sequence[Any]] = {}
    for name, value in read_matlab(path).items():
        fields = getattr(getattr(value, "dtype", None), "names", None)
        parts = {field: value[field] for field in fields} if fields else {name: value}
        for field, part in parts.items():
            column = _known(field)
            if column:
                array = np.asarray(part)
                # The one element of a structure holds its matrix as an object.
                matrix = array.item() if array.dtype == object and array.ndim == 0 else array
                found.setdefault(column, list(np.ravel(matrix)))
    return found


def _with_names(
    matlab: Path, columns: dict[str, Sequence[Any]], path: Path
) -> tuple[list[str], dict[str, Sequence[Any]]]:
    names = _target_names(path)
    refuse(
        (
            f"{len(values)} {column}"
            for column, values in columns.items()
            if len(values) != len(names)
        ),
        f"{os.fspath(path)!r} names {len(names)} pictures, but {os.fspath(matlab)!r} has",
    )
    return names, columns


def _target_names(path: Path) -> list[str]:
    # Lines of a number, from 1 up, and a file name, under a header. Bytes that are not UTF-8
    # are kept as the operating system's names keep them.
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
    return [name.strip() for _, _, name in lines]


def _from_spreadsheet(path: Path) -> dict[str, Sequence[Any]]:
    try:
        from python_calamine import CalamineWorkbook
    except ImportError as error:
        raise ImportError(
            f"Reading {os.fspath(path)!r} needs python-calamine: "
            f'pip install "sklearn-memorability[datasets]". {_MATLAB!r} and {_NAMES!r} beside '
            "it need no other package."
        ) from error
    try:
        check_spreadsheet(path)
        with CalamineWorkbook.from_path(path) as workbook:
            rows = workbook.get_sheet_by_index(0).to_python()
    except Exception as error:  # of zip files, of their parts and of the reader
        raise ValueError(f"{os.fspath(path)!r} can't be read as a spreadsheet: {error}") from error
    if not rows:
        return {}
    header, *body = rows
    body = [row for row in body if any(cell != "" for cell in row)]
    return {
        column: [row[i] for row in body]
        for i, column in enumerate(map(_known, map(str, header)))
        if column
    }


def _known(name: str) -> str | None:
    # Names differ in case, blanks and underscores between the files.
    return _KNOWN.get("".join(filter(str.isalnum, name)).lower())
