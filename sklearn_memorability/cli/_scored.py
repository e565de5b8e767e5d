"""Pictures with scores, as options name them."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from sklearn_memorability.datasets import load_image_folder
from sklearn_memorability.datasets._tables import read_table


class Columns(NamedTuple):
    """The columns of a table of scores."""

    image: str
    score: str
    group: str | None = None


def load_scored(
    folder: Path, scores: Path, columns: Columns, score_range: tuple[float, float]
) -> Any:
    """Load a folder of pictures and the table of their scores.

    Parameters
    ----------
    folder, scores : pathlib.Path
        The folder and the table.
    columns : Columns
        The table's columns.
    score_range : tuple of two floats
        The least and the largest score there can be.

    Returns
    -------
    sklearn.utils.Bunch
        As :func:`~sklearn_memorability.datasets.load_image_folder` returns it.

    Raises
    ------
    NotADirectoryError, FileNotFoundError, ValueError
        As :func:`~sklearn_memorability.datasets.load_image_folder`.
    """
    if score_range[0] >= score_range[1]:
        low, high = score_range
        raise ValueError(f"--score-range {low:g} {high:g}: LOW must be below HIGH.")
    table = read_columns(scores, columns)
    return load_image_folder(
        folder,
        table,
        image_column=columns.image,
        score_column=columns.score,
        group_column=columns.group,
        score_range=score_range,
    )


def read_columns(scores: Path, columns: Columns) -> dict[str, list[Any]]:
    """Read a table of scores that has these columns."""
    table = read_table(scores)
    for option, column in columns._asdict().items():
        if column is not None and column not in table:
            raise ValueError(
                f"--{option}-column {column}: {os.fspath(scores)!r} has no such column; it has "
                f"{', '.join(map(repr, table))}."
            )
    return table
