"""A user's own images: a folder, and a table of scores."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._base import image_set
from sklearn_memorability.datasets._tables import find_images, read_scores, read_table
from sklearn_memorability.images import list_images


def load_image_folder(
    folder: str | os.PathLike[str],
    scores: Any = None,
    *,
    image_column: str = "image",
    score_column: str = "score",
    group_column: str | None = None,
    weight_column: str | None = None,
    score_range: tuple[float, float] = (0.0, 1.0),
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load a folder of images and, if given, the table of their scores.

    Parameters
    ----------
    folder : str or path-like
        The folder with the images.
    scores : str, path-like, DataFrame or mapping of columns, optional
        The table: a text file with a header line (UTF-8; columns separated by commas,
        or by tabs where the name ends in ``.tsv``), a data frame, or a mapping from
        column names to columns. Without it, all images in the folder and its
        subfolders are listed, in the order of their names, and nothing is known of
        their scores.
    image_column : str, default="image"
        The column with each image's file name, relative to ``folder``.
    score_column : str, default="score"
        The column with its score.
    group_column : str, optional
        A column that says which images belong together (of one object, one place)
        and must not be split between training and test.
    weight_column : str, optional
        A column with the number of responses that each score rests on; pass it on as
        ``sample_weight``.
    score_range : tuple of two floats, default=(0.0, 1.0)
        The least and the largest score there can be. Hit rates lie in (0, 1),
        hit rate - false-alarm rate in (-1, 1).
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
        If there is no image, a column is missing, a name occurs twice or leads out
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
    images = list_images(root)
    target = groups = weights = None
    if scores is None:
        if not images:
            raise ValueError(f"Found no images in the folder {os.fspath(root)!r}.")
    else:
        table = read_table(scores)
        wanted = [image_column, score_column, group_column, weight_column]
        unknown = [name for name in wanted if name is not None and name not in table]
        if unknown:
            raise ValueError(
                f"The table has no column {', '.join(map(repr, unknown))}; it has "
                f"{list(table)}. Say which to use with image_column, score_column, "
                "group_column and weight_column."
            )
        images = find_images(root, [str(name) for name in table[image_column]], image_column)
        target = read_scores(table[score_column], score_column, score_range)
        groups = np.asarray(table[group_column]) if group_column else None
        if weight_column:
            weights = read_scores(table[weight_column], weight_column, (0.0, np.inf))
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
