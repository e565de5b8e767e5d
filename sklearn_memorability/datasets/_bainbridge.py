"""Faces of the 10k US Adult Faces Database (Bainbridge et al. 2013)."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability._utils._found import refuse
from sklearn_memorability.datasets._base import (
    COUNTS,
    PathLike,
    check_correction,
    read_matlab,
    scores_from_counts,
)
from sklearn_memorability.datasets._requested import REQUESTED
from sklearn_memorability.datasets._tables import find_images, need_columns, read_counts

_FACES = REQUESTED["bainbridge"]


def load_bainbridge(
    folder: PathLike, *, correction: str = "none", return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load the memorability of 2,222 images of faces (Bainbridge et al. 2013).

    To get the 10k US Adult Faces Database, fill in the form at
    https://wilmabainbridge.com/facememorability2.html.

    Parameters
    ----------
    folder : str or path-like
        The folder with the parts of the database as they are handed out:
        ``10k US Adult Faces Database/Face Images``, and ``Memorability Scores`` with
        ``memorability-scores.mat`` and ``target-filenames.txt``.
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
        responses; ``score_range``, ``consistency`` and ``ceiling`` (of uncorrected
        scores), ``rule`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or files or images are missing from it.
    ValueError
        If ``correction`` is unknown, or a file isn't what it should be.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_bainbridge
    >>> faces = load_bainbridge("faces")  # doctest: +SKIP
    >>> len(faces.images), faces.weights.mean().round()  # doctest: +SKIP
    (2222, np.float64(80.0))
    """
    score_range = check_correction(correction)
    root = _FACES.folder(folder)
    scores = root / "Memorability Scores"
    counts = _read_counts(_FACES.file(scores / "memorability-scores.mat"))
    names = _read_names(_FACES.file(scores / "target-filenames.txt"), counts)
    images = root / "10k US Adult Faces Database" / "Face Images"
    return _FACES.image_set(
        find_images(images, names, "Filename", _FACES.way_out),
        scores_from_counts(counts, correction),
        score_range=score_range,
        counts=counts,
        consistency=0.68 if correction == "none" else None,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_counts(path: Path) -> dict[str, np.ndarray]:
    # One structure of matrices, as the database's README says, or the matrices themselves.
    columns: dict[str, list[Any]] = {}
    for name, value in read_matlab(path).items():
        fields = getattr(getattr(value, "dtype", None), "names", None)
        parts = {field: value[field] for field in fields} if fields else {name: value}
        for field, part in parts.items():
            array = np.asarray(part)
            # The one element of a structure holds its matrix as an object.
            matrix = array.item() if array.dtype == object and array.ndim == 0 else array
            columns["".join(filter(str.isalpha, field)).lower()] = list(np.ravel(matrix))
    plain = {name: name.replace("_", "") for name in COUNTS}
    need_columns(path, columns, plain.values(), _FACES.way_out)
    return {name: read_counts(columns[key], name) for name, key in plain.items()}


def _read_names(path: Path, counts: dict[str, np.ndarray]) -> list[str]:
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
        (f"{len(count)} {name}" for name, count in counts.items() if len(count) != len(lines)),
        f"{os.fspath(path)!r} names {len(lines)} images, but the file of scores has",
    )
    return [name.strip() for _, _, name in lines]
