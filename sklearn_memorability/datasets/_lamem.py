"""LaMem, the largest set, with its five official splits."""

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._layout import adding, folder_with
from sklearn_memorability.datasets._remote import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import refuse

_FILES = (
    RemoteFile("lamem.tar.gz", "http://memorability.csail.mit.edu/lamem.tar.gz", unpack=True),
)
_SPLITS = (1, 2, 3, 4, 5)
_PARTS = ("train", "val", "test")
_WAY_OUT = (
    "Download it with fetch_lamem(), after removing what is left of an earlier copy, or unpack "
    "http://memorability.csail.mit.edu/lamem.tar.gz (2.7 GB) and name the folder that has "
    "'images' and 'splits'."
)
_DESCR = """
LaMem, Large-scale Image Memorability
-------------------------------------
:Pictures: 58,741 photographs of scenes, objects and people, abnormal objects, affective and
    popular pictures and art, from many sources
:Target: memorability: the share of people who recognised the picture when it came again in
    a stream of pictures, adjusted to one lag between the two showings; 0 to 1
:Folds: the five official splits into 45,000 pictures to train, 3,741 to validate and
    10,000 to test
:Consistency: split-half rank correlation .68 between people
:Terms: the pictures are third-party works; for research only

Each split has scores of its own: the same picture's differ between splits, whose scores
correlate by .83 (Spearman). The files don't say why; scores from a random half of the people
for each split would give that, as disjoint halves correlate by .68. Results are published as
the mean over the splits of Spearman's correlation with the split's own scores.

References
----------
A. Khosla, A. S. Raju, A. Torralba, A. Oliva, "Understanding and predicting image
memorability at a large scale", ICCV 2015.
"""


def fetch_lamem(
    *,
    split: str | int = "all",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load LaMem, downloading it at first use (2.7 GB).

    Parameters
    ----------
    split : {"all", "mean"} or int from 1 to 5, default="all"
        Whose scores, and in which folds: see :func:`load_lamem`.
    data_home : str or path-like, optional
        Where sets are kept; by default scikit-learn's own data home.
    download_if_missing : bool, default=True
        Whether to download what is missing; otherwise that is an error.
    n_retries : int, default=3
        How often to try again after a broken connection.
    delay : float, default=1.0
        Seconds to wait before the first such attempt, doubled for each further one.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_lamem`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If the download is damaged or not the file that it was.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_lamem
    >>> lamem = fetch_lamem()  # doctest: +SKIP
    >>> cross_val_score(model, lamem.images, lamem.target, cv=lamem.cv)  # doctest: +SKIP
    """
    _check_split(split)
    folder = fetch_files(
        "lamem",
        _FILES,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    return load_lamem(folder, split=split, return_X_y=return_X_y, as_frame=as_frame)


def load_lamem(
    folder: str | os.PathLike[str],
    *,
    split: str | int = "all",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load LaMem from a folder.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``images`` and ``splits``, or the one around it.
    split : {"all", "mean"} or int from 1 to 5, default="all"
        Each of the five official splits has its own scores of all pictures.

        - ``"all"``: five rows a picture, with its score in each split. ``cv`` has five
          folds, each within one split's rows: cross-validation with it is the published
          protocol.
        - A number: the rows and the one fold of that split.
        - ``"mean"``: one row a picture, with the mean of its scores. This is not the
          published protocol: a mean is steadier than the scores it is of, so
          correlations with it come out higher.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, in the order of their names (split after split for ``"all"``);
        ``target``; ``groups``, the picture's name, which keeps the rows of one picture
        together in other splitters; ``cv``, a list of (train, test) rows; ``validation``,
        for each fold the rows that are neither, as the authors chose them;
        ``consistency``, ``ceiling``, ``score_range``, ``rule`` and ``DESCR``.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, or files of the splits or pictures are missing.
    ValueError
        If ``split`` is unknown, or the files of a split don't fit together.

    Notes
    -----
    Khosla et al., "Understanding and predicting image memorability at a large scale",
    ICCV 2015. The features of a picture don't depend on the split: with a cache
    (``ImageFeatures(cache=...)``) its network runs once, not five times.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_lamem
    >>> lamem = load_lamem("lamem", split=1)  # doctest: +SKIP
    >>> lamem.target.shape, len(lamem.cv)  # doctest: +SKIP
    ((58741,), 1)
    """
    _check_split(split)
    numbers = _SPLITS if isinstance(split, str) else (int(split),)
    root = folder_with(folder, ["images", "splits"], ["lamem", "lamem/lamem"], _WAY_OUT)
    names, scores, parts = _read_splits(root / "splits", numbers)
    images = _pictures(root / "images", names)
    starts = np.arange(len(numbers)) * (len(names) if split == "all" else 0)
    target = scores.mean(axis=0) if split == "mean" else scores.ravel()
    copies = len(numbers) if split == "all" else 1
    rows = [
        {part: start + found for part, found in of_split.items()}
        for start, of_split in zip(starts, parts, strict=True)
    ]
    return picture_set(
        images=images * copies,
        target=target,
        groups=np.tile(np.array(names), copies),
        cv=[(of_split["train"], of_split["test"]) for of_split in rows],
        validation=[of_split["val"] for of_split in rows],
        consistency=0.68,
        rule=(
            "Means of the scores of five splits; published results are for each split's own."
            if split == "mean"
            else ""
        ),
        DESCR=_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _check_split(split: str | int) -> None:
    if isinstance(split, bool) or split not in ("all", "mean", *_SPLITS):
        raise ValueError(f"split={split!r} is unknown; choose 'all', 'mean' or one of 1 to 5.")


def _read_splits(
    folder: Path, numbers: tuple[int, ...]
) -> tuple[list[str], np.ndarray, list[dict[str, np.ndarray]]]:
    """Return the names in order, their scores a split, and the rows of each part."""
    wanted = {number: [folder / f"{part}_{number}.txt" for part in _PARTS] for number in numbers}
    lacking = [path for paths in wanted.values() for path in paths if not path.is_file()]
    whole = [number for number, paths in wanted.items() if all(path.is_file() for path in paths)]
    also = f" but of {whole}, of which split= can name one" if whole else ""
    with adding(_WAY_OUT):
        refuse(
            (repr(path.name) for path in lacking),
            f"{os.fspath(folder)!r} lacks files of the splits{also}. Missing are",
            FileNotFoundError,
        )
    names: list[str] = []
    place: dict[str, int] = {}
    scores = np.empty((len(numbers), 0))
    parts: list[dict[str, np.ndarray]] = []
    for k, number in enumerate(numbers):
        read = [_read_file(path) for path in wanted[number]]
        listed = [name for found, _ in read for name in found]
        refuse(
            (repr(name) for name, count in Counter(listed).items() if count > 1),
            f"Split {number} of {os.fspath(folder)!r} names pictures more than once",
        )
        if not names:
            names = sorted(listed)
            place = {name: i for i, name in enumerate(names)}
            scores = np.empty((len(numbers), len(names)))
        refuse(
            map(repr, sorted(set(names).symmetric_difference(listed))),
            f"Split {number} of {os.fspath(folder)!r} has not the pictures of split {numbers[0]}; "
            "different are",
        )
        parts.append({})
        for part, (found, values) in zip(_PARTS, read, strict=True):
            rows = np.array([place[name] for name in found], dtype=np.intp)
            scores[k, rows] = values
            parts[-1][part] = rows
    return names, scores, parts


def _read_file(path: Path) -> tuple[list[str], list[float]]:
    names, scores, wrong = [], [], []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as text: {error}") from error
    for i, line in enumerate(text.splitlines(), 1):
        try:
            name, value = line.split()
            score = float(value)
        except ValueError:
            wrong.append(f"line {i}: {line!r}")
            continue
        if not (0 <= score <= 1) or math.isnan(score):
            wrong.append(f"line {i}: {line!r}")
        names.append(name)
        scores.append(score)
    refuse(wrong, f"{os.fspath(path)!r} has lines without a file name and a score from 0 to 1")
    if not names:
        raise ValueError(f"{os.fspath(path)!r} is empty.")
    return names, scores


def _pictures(folder: Path, names: list[str]) -> list[Path]:
    # One listing, as asking for 58,741 files one by one takes long.
    there = set(os.listdir(folder))
    with adding(_WAY_OUT):
        refuse(
            (repr(name) for name in names if name not in there),
            f"Pictures are missing from {os.fspath(folder)!r}",
            FileNotFoundError,
        )
    return [folder / name for name in names]
