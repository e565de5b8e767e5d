"""A user's own images: a folder, and a table of scores."""

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sklearn_memorability._utils._found import first_few
from sklearn_memorability.datasets._base import PathLike, choice, image_set
from sklearn_memorability.datasets._tables import find_images, read_groups, read_scores, read_table
from sklearn_memorability.images import ImageReadError, list_images, read_image


def load_image_folder(
    folder: PathLike,
    scores: Any = None,
    *,
    image_column: str = "image",
    score_column: str = "score",
    group_column: str | None = None,
    weight_column: str | None = None,
    score_range: tuple[float, float] = (0.0, 1.0),
    duplicates: str = "warn",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load a folder of images and, if given, the table of their scores.

    Parameters
    ----------
    folder : str or path-like
        The folder with the images.
    scores : str, path-like, DataFrame, mapping of columns or list of dicts, optional
        The table: a file with a header line, a data frame, a mapping from column names
        to columns, or a dict for each row. The columns of a text file are separated by
        commas, semicolons or tabs, as the header shows; numbers have decimal points,
        or, beside semicolons and tabs, decimal commas; lines that begin with ``#`` are
        comments; the encoding is UTF-8, UTF-16 with its mark or, with a warning, Latin-1
        (Windows-1252). Of a spreadsheet (``.xlsx``, ``.xls``, ``.ods``; extra
        ``datasets``) the first sheet is read. Without a table, all images in the folder
        and its subfolders are listed, in the order of their names, and nothing is known
        of their scores.
    image_column : str, default="image"
        The column with each image's file name, relative to ``folder``. Links that stand
        in the folder are followed.
    score_column : str, default="score"
        The column with its score.
    group_column : str, optional
        A column that says which images belong together (of one object, one place)
        and must not be split between training and test. No cell may be blank.
    weight_column : str, optional
        A column with the number of responses that each score rests on; pass it on as
        ``sample_weight``.
    score_range : tuple of two floats, default=(0.0, 1.0)
        The least and the largest score there can be. Hit rates lie in (0, 1),
        hit rate - false-alarm rate in (-1, 1).
    duplicates : {"warn", "ignore"}, default="warn"
        Whether to look, in a table, for images that show the same under two names: files
        of equal bytes (copies, links), and files of different formats with equal pixels.
        They are named in a ``UserWarning``, and ``groups`` keep them together: a model
        that is tested on an image must not have been trained on its copy. Files are
        decoded only if one of another format is as large.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame with
        all columns. Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path` in the table's order; ``target``,
        ``groups`` and ``weights``, arrays with an entry each, or None; ``score_range``,
        ``target_names``, ``frame`` and ``DESCR``. ``counts``, ``cv``, ``validation``,
        ``consistency`` and ``ceiling``, which published sets have, are None.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder or table, or images of the table are missing.
    ValueError
        If there is no image, a column is missing, of the length of no other or there
        twice, a name occurs twice or leads out of the folder, a score is no number or
        lies outside ``score_range``, or a group is blank. The message names the rows.
    TypeError
        If ``scores`` is no table.
    ImportError
        If a spreadsheet must be read without python-calamine.

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
    choice("duplicates", duplicates, ["warn", "ignore"])
    root = Path(folder)
    target = groups = weights = None
    if scores is None:
        images = list_images(root)
        if not images:
            raise ValueError(f"Found no images in the folder {os.fspath(root)!r}.")
    else:
        if not root.is_dir():
            raise NotADirectoryError(f"There is no folder {os.fspath(root)!r}.")
        table = read_table(scores)
        wanted = [image_column, score_column, group_column, weight_column]
        unknown = [name for name in wanted if name is not None and name not in table]
        if unknown:
            hint = ""
            if {"hits", "misses"} <= {name.lower() for name in table}:
                hint = " metrics.memorability_score(hits, misses) computes scores of counts."
            raise ValueError(
                f"The table has no column {', '.join(map(repr, unknown))}; it has "
                f"{list(table)}. Say which to use with image_column, score_column, "
                f"group_column and weight_column.{hint}"
            )
        names = [str(name).strip() for name in table[image_column]]
        images = find_images(root, names, image_column)
        target = read_scores(table[score_column], score_column, score_range)
        groups = read_groups(table[group_column], group_column) if group_column else None
        if weight_column:
            weights = read_scores(table[weight_column], weight_column, (0.0, np.inf), "weights")
        if duplicates == "warn":
            groups = _keep_together(list(_duplicates(images)), names, target, groups)
    return image_set(
        images,
        target,
        DESCR=f"{len(images)} images of the folder {os.fspath(root)}",
        groups=groups,
        weights=weights,
        target_name=score_column,
        score_range=score_range,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _keep_together(
    pairs: list[tuple[int, int]], names: list[str], target: np.ndarray, groups: np.ndarray | None
) -> np.ndarray | None:
    """Warn of images that show the same; return groups that they share."""
    if not pairs:
        return groups
    groups = np.arange(len(names)) if groups is None else groups.copy()
    for first, second in pairs:
        groups[groups == groups[second]] = groups[first]
    shown = [
        f"{names[i]!r} in row {i + 1} ({target[i]:g}) and {names[j]!r} in row {j + 1} "
        f"({target[j]:g})"
        for i, j in pairs
    ]
    warnings.warn(
        f"Images show the same under two names, with their scores: {first_few(shown)}. "
        "Keep one of each, or keep them in one fold by the groups that are returned.",
        UserWarning,
        stacklevel=3,
    )
    return groups


def _duplicates(images: Sequence[Path]) -> Iterator[tuple[int, int]]:
    """Yield rows of equal images: the first such row, and another."""
    first_of: dict[int, int] = {}

    def equal(rows: Sequence[int], content: Callable[[Path], Any]) -> Iterator[tuple[int, int]]:
        first: dict[Any, int] = {}
        for row in rows:
            found = content(images[row])
            if found is not None and first.setdefault(found, row) != row:
                first_of[row] = first[found]
                yield first[found], row

    # Reading sizes is quick, reading files slower, decoding them slowest.
    for rows in _alike(range(len(images)), lambda row: images[row].stat().st_size):
        yield from equal(rows, lambda path: hashlib.sha256(path.read_bytes()).digest())
    headers = {row: _header(images[row]) for row in range(len(images)) if row not in first_of}
    for rows in _alike(headers, lambda row: headers[row][0]):
        if len({headers[row][1] for row in rows}) > 1:
            yield from equal(rows, _pixels)


def _alike(rows: Any, key: Callable[[int], Any]) -> list[list[int]]:
    """Return the rows that share a key with another one, by key."""
    by_key = defaultdict(list)
    for row in rows:
        by_key[key(row)].append(row)
    return [rows for rows in by_key.values() if len(rows) > 1]


def _header(path: Path) -> tuple[Any, str]:
    """Return an image's sides, whichever way up it is stored, and its format."""
    try:
        with Image.open(path) as image:
            return tuple(sorted(image.size)), str(image.format)
    except Exception:
        # An image that can't be read is told of when it is used, not here.
        return None, ""


def _pixels(path: Path) -> Any:
    try:
        image = read_image(path)
        return image.size, hashlib.sha256(image.tobytes()).digest()
    except ImageReadError:  # whoever uses the image meets the error
        return None
