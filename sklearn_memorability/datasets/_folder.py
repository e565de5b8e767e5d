"""A user's own pictures: a folder, and a table of scores."""

import csv
import math
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_memorability.images import list_images

_SHOWN = 5


def load_image_folder(
    folder: str | os.PathLike[str],
    scores: Any = None,
    *,
    image_column: str = "image",
    score_column: str = "score",
    group_column: str | None = None,
    score_range: tuple[float, float] = (0.0, 1.0),
    return_X_y: bool = False,
) -> Any:
    """Load a folder of pictures and, if given, the table of their scores.

    Parameters
    ----------
    folder : str or path-like
        The folder with the pictures.
    scores : str, path-like, DataFrame or mapping of columns, optional
        The table: a text file with a header line (UTF-8; columns separated by commas,
        or by tabs where the name ends in ``.tsv``), a data frame, or a mapping from
        column names to columns. Without it, all pictures in the folder and its
        subfolders are listed, in the order of their names, and nothing is known of
        their scores.
    image_column : str, default="image"
        The column with each picture's file name, relative to ``folder``.
    score_column : str, default="score"
        The column with its score.
    group_column : str, optional
        A column that says which pictures belong together (of one object, one place)
        and must not be split between training and test.
    score_range : tuple of two floats, default=(0.0, 1.0)
        The least and the largest score there can be. Hit rates lie in (0, 1),
        hit rate - false-alarm rate in (-1, 1).
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path` in the table's order;
        ``target``, an array of as many scores, or None; ``groups``, an array of labels,
        or None; ``target_names`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder or table, or pictures of the table are missing.
    ValueError
        If there is no picture, a column is missing, a name occurs twice or leads out
        of the folder, or a score is no number or lies outside ``score_range``. The
        message names the lines.

    Examples
    --------
    >>> from pathlib import Path
    >>> import sklearn.datasets
    >>> from sklearn_memorability.datasets import load_image_folder
    >>> folder = Path(sklearn.datasets.__file__).parent / "images"
    >>> table = {"image": ["flower.jpg", "china.jpg"], "score": [0.71, 0.64]}
    >>> mine = load_image_folder(folder, table)
    >>> [path.name for path in mine.images], mine.target
    (['flower.jpg', 'china.jpg'], array([0.71, 0.64]))
    """
    root = Path(folder)
    listed = list_images(root)
    target = groups = None
    if scores is None:
        if return_X_y:
            raise ValueError("return_X_y=True needs a table of scores.")
        images = listed
        if not images:
            raise ValueError(f"Found no images in the folder {os.fspath(root)!r}.")
    else:
        table = _read_table(scores)
        wanted = [image_column, score_column] + ([group_column] if group_column else [])
        unknown = [name for name in wanted if name not in table]
        if unknown:
            raise ValueError(
                f"The table has no column {', '.join(map(repr, unknown))}; it has "
                f"{list(table)}. Say which to use with image_column, score_column and "
                "group_column."
            )
        images = _find_pictures(root, [str(name) for name in table[image_column]], image_column)
        target = _read_scores(table[score_column], score_column, score_range)
        groups = np.asarray(table[group_column]) if group_column else None
    if return_X_y:
        return images, target
    return Bunch(
        images=images,
        target=target,
        groups=groups,
        target_names=[score_column],
        DESCR=f"{len(images)} pictures of the folder {os.fspath(root)}",
    )


def _read_table(scores: Any) -> dict[str, list[Any]]:
    if not isinstance(scores, str | os.PathLike):
        return {str(name): list(scores[name]) for name in getattr(scores, "columns", scores)}
    path = Path(scores)
    if not path.is_file():
        raise FileNotFoundError(f"There is no table of scores at {os.fspath(path)!r}.")
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        # Spreadsheet programs write a byte-order mark, which would join the first name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = list(csv.reader(file, delimiter=separator, strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a table: {error}") from error
    rows = [row for row in rows if row]
    _refuse(
        (f"row {i}" for i, row in enumerate(rows, 1) if len(row) != len(header)),
        f"{os.fspath(path)!r} has rows without exactly {len(header)} columns",
    )
    _refuse(
        (repr(name) for name, count in Counter(header).items() if count > 1),
        f"{os.fspath(path)!r} has columns of the same name",
    )
    if not rows:
        raise ValueError(f"The table {os.fspath(path)!r} has no rows.")
    return {name.strip(): [row[i] for row in rows] for i, name in enumerate(header)}


def _find_pictures(root: Path, names: list[str], column: str) -> list[Path]:
    if not names:
        raise ValueError("The table has no rows.")
    places: dict[str, int] = {}
    twice = []
    for row, name in enumerate(names, 1):
        key = str(PurePosixPath(name))
        if key in places:
            twice.append(f"{name!r} in rows {places[key]} and {row}")
        places.setdefault(key, row)
    _refuse(twice, f"Column {column!r} names pictures more than once")
    inside = root.resolve()
    paths = [root / name for name in names]
    _refuse(
        (
            f"{name!r} in row {row}"
            for row, (name, path) in enumerate(zip(names, paths, strict=True), 1)
            if not path.resolve().is_relative_to(inside)
        ),
        f"Column {column!r} names files outside the folder",
    )
    missing = [
        f"{name!r} in row {row}"
        for row, (name, path) in enumerate(zip(names, paths, strict=True), 1)
        if not path.is_file()
    ]
    _refuse(missing, f"Pictures are missing from {os.fspath(root)!r}", FileNotFoundError)
    return paths


def _read_scores(values: list[Any], column: str, score_range: tuple[float, float]) -> np.ndarray:
    low, high = score_range
    target = np.full(len(values), np.nan)
    for i, value in enumerate(values):
        try:
            target[i] = float(value)
        except (TypeError, ValueError):
            continue
    _refuse(
        (f"{values[i]!r} in row {i + 1}" for i, y in enumerate(target) if not math.isfinite(y)),
        f"Column {column!r} has scores that are no numbers",
    )
    _refuse(
        (f"{y:g} in row {i}" for i, y in enumerate(target, 1) if not low <= y <= high),
        f"Column {column!r} has scores outside score_range=({low:g}, {high:g})",
    )
    return target


def _refuse(found: Iterable[str], what: str, error: type[Exception] = ValueError) -> None:
    found = list(found)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise error(f"{what}: {', '.join(found[:_SHOWN])}{more}.")
