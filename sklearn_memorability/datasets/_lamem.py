"""LaMem, the largest set, with its five official splits."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability._utils._found import refuse
from sklearn_memorability.datasets._base import (
    PathLike,
    choice,
    description,
    folder_with,
    image_set,
)
from sklearn_memorability.datasets._download import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import read_scores

_URL = "http://memorability.csail.mit.edu/lamem.tar.gz"
_FILES = (RemoteFile("lamem.tar.gz", _URL),)
_SPLITS = (1, 2, 3, 4, 5)
_PARTS = ("train", "val", "test")
_WAY_OUT = (
    "Download it with fetch_lamem(), after removing what is left of an earlier copy, or unpack "
    f"{_URL} (2.7 GB) and name the folder that has 'images' and 'splits'."
)


def fetch_lamem(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    **options: Any,
) -> Any:
    """Load LaMem, downloading it at first use (2.7 GB).

    Parameters
    ----------
    data_home : str or path-like, optional
        Where sets are kept; by default scikit-learn's own data home.
    download_if_missing : bool, default=True
        Whether to download what is missing; otherwise that is an error.
    n_retries : int, default=3
        How often to try again after a broken connection.
    delay : float, default=1.0
        Seconds to wait before the first such attempt, doubled for each further one.
    **options
        Passed to :func:`load_lamem`.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_lamem`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If the download is damaged.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_lamem
    >>> lamem = fetch_lamem()  # doctest: +SKIP
    >>> cross_val_score(model, lamem.images, lamem.target, cv=lamem.cv)  # doctest: +SKIP
    """
    folder = fetch_files("lamem", _FILES, data_home, download_if_missing, n_retries, delay)
    return load_lamem(folder, **options)


def load_lamem(
    folder: PathLike, *, split: str | int = "all", return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load LaMem from a folder.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``images`` and ``splits``, or the one around it.
    split : {"all", "mean"} or int from 1 to 5, default="all"
        Each of the five official splits has its own scores of all images.

        - ``"all"``: five rows an image, with its score in each split. ``cv`` has five
          folds, each within one split's rows: cross-validation with it is the published
          protocol.
        - A number: the rows and the one fold of that split.
        - ``"mean"``: one row an image, with the mean of its scores. This is not the
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
        ``target``; ``groups``, the image's name, which keeps the rows of one image
        together in other splitters; ``cv``, a list of (train, test) rows; ``validation``,
        for each fold the rows that are neither, as the authors chose them;
        ``consistency``, ``ceiling``, ``score_range``, ``rule`` and ``DESCR``.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, or files of the splits or images are missing.
    ValueError
        If ``split`` is unknown, or the files of a split don't fit together.

    Notes
    -----
    Khosla et al., "Understanding and predicting image memorability at a large scale",
    ICCV 2015. The features of an image don't depend on the split: with a cache
    (``ImageFeatures(cache=...)``) its network runs once, not five times.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_lamem
    >>> lamem = load_lamem("lamem", split=1)  # doctest: +SKIP
    >>> lamem.target.shape, len(lamem.cv)  # doctest: +SKIP
    ((58741,), 1)
    """
    choice("split", split, ["all", "mean", *_SPLITS])
    numbers = _SPLITS if isinstance(split, str) else (int(split),)
    root = folder_with(folder, ["images", "splits"], ["lamem", "lamem/lamem"], _WAY_OUT)
    names, scores, parts = _read_splits(root / "splits", numbers)
    # One listing, as asking for 58,741 files one by one takes long.
    there = set(os.listdir(root / "images"))
    refuse(
        (repr(name) for name in names if name not in there),
        f"Images are missing from {os.fspath(root / 'images')!r}",
        FileNotFoundError,
        _WAY_OUT,
    )
    copies = len(numbers) if split == "all" else 1
    starts = np.arange(len(numbers)) * (len(names) if split == "all" else 0)
    train, validation, test = (
        [start + of_split[part] for start, of_split in zip(starts, parts, strict=True)]
        for part in _PARTS
    )
    return image_set(
        [root / "images" / name for name in names] * copies,
        scores.mean(axis=0) if split == "mean" else scores.ravel(),
        groups=np.tile(np.array(names), copies),
        cv=list(zip(train, test, strict=True)),
        validation=validation,
        consistency=0.68,
        rule=(
            "Means of the scores of five splits; published results are for each split's own."
            if split == "mean"
            else ""
        ),
        DESCR=description("lamem"),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_splits(
    folder: Path, numbers: tuple[int, ...]
) -> tuple[list[str], np.ndarray, list[dict[str, np.ndarray]]]:
    """Return the names in order, their scores a split, and the rows of each part."""
    wanted = {number: [folder / f"{part}_{number}.txt" for part in _PARTS] for number in numbers}
    refuse(
        (repr(path.name) for paths in wanted.values() for path in paths if not path.is_file()),
        f"{os.fspath(folder)!r} lacks files of the splits (split= can name a whole one)",
        FileNotFoundError,
        _WAY_OUT,
    )
    read = {number: [_read_part(path) for path in paths] for number, paths in wanted.items()}
    names = sorted(name for listed, _ in read[numbers[0]] for name in listed)
    row = {name: i for i, name in enumerate(names)}
    scores = np.empty((len(numbers), len(names)))
    parts: list[dict[str, np.ndarray]] = []
    for k, (number, of_split) in enumerate(read.items()):
        listed = Counter(name for part, _ in of_split for name in part)
        refuse(
            (repr(name) for name, count in listed.items() if count > 1),
            f"Split {number} of {os.fspath(folder)!r} names images more than once",
        )
        refuse(
            map(repr, sorted(set(names).symmetric_difference(listed))),
            f"Split {number} of {os.fspath(folder)!r} has not the images of split {numbers[0]}; "
            "different are",
        )
        parts.append({})
        for part, (part_names, part_scores) in zip(_PARTS, of_split, strict=True):
            parts[-1][part] = np.array([row[name] for name in part_names], dtype=np.intp)
            scores[k, parts[-1][part]] = part_scores
    return names, scores, parts


def _read_part(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the names and scores of a file with lines such as ``00000001.jpg 0.75``."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as text: {error}") from error
    refuse(
        (f"{' '.join(line)!r} in row {i}" for i, line in enumerate(lines, 1) if len(line) != 2),
        f"{os.fspath(path)!r} has lines that are not a file name and a score",
    )
    if not lines:
        raise ValueError(f"{os.fspath(path)!r} is empty.")
    scores = read_scores([score for _, score in lines], f"score of {path.name}", (0.0, 1.0))
    return [name for name, _ in lines], scores
