"""Sets that are handed out on request: where to ask, and what must lie where."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._tables import find_pictures, read_scores, read_table, refuse

TABLE = "scores.csv"


@dataclass(frozen=True)
class RequestedSet:
    """A set that each user has to ask for.

    Parameters
    ----------
    name : str
        What it is called in messages.
    ask : str
        How to get it, as an order: "ask ...".
    layout : str
        What must lie where in the user's folder.
    n_images : int
        How many pictures the paper has of it.
    DESCR : str
        What it is, how it was measured, terms, citation.
    rule : str, default=""
        What was decided where the set as it can be had differs from the paper's.
    target_name : str, default="memorability"
        What the scores are.
    score_range : tuple of two floats or None, default=(0.0, 1.0)
        The least and the largest score there can be.
    """

    name: str
    ask: str
    layout: str
    n_images: int
    DESCR: str
    rule: str = ""
    target_name: str = "memorability"
    score_range: tuple[float, float] | None = (0.0, 1.0)

    @property
    def way_out(self) -> str:
        """What to do when something is missing, in two sentences."""
        return (
            f"{self.name} can't be downloaded: {self.ask}. Then let the folder hold {self.layout}."
        )

    def folder(self, folder: str | os.PathLike[str]) -> Path:
        """Return the user's folder, which must exist."""
        root = Path(folder)
        if not root.is_dir():
            raise NotADirectoryError(f"There is no folder {os.fspath(root)!r}. {self.way_out}")
        return root

    def file(self, path: Path) -> Path:
        """Return a file of the set, which must exist."""
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {os.fspath(path)!r}. {self.way_out}")
        return path

    def pictures(
        self, root: Path, names: Sequence[str], column: str, *, repeated: bool = False
    ) -> list[Path]:
        """Return the paths of the set's pictures, as ``find_pictures`` does."""
        try:
            return find_pictures(root, names, column, repeated=repeated)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} {self.way_out}") from error

    def rule_for(self, n_images: int, *notes: str) -> str:
        """Return what was decided, and whether pictures of the paper's are not here."""
        sentences = [note for note in (self.rule, *notes) if note]
        if n_images != self.n_images:
            sentences.append(f"{n_images:,} pictures are here; the paper has {self.n_images:,}.")
        return " ".join(sentences)


def read_requested_table(
    requested: RequestedSet, root: Path, columns: Sequence[str]
) -> dict[str, list[str]]:
    """Return the table ``scores.csv`` of a set.

    Parameters
    ----------
    requested : RequestedSet
        The set.
    root : pathlib.Path
        The user's folder.
    columns : sequence of str
        The columns that it must have.

    Returns
    -------
    dict of str to list of str
        Its columns.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no table or lacks a column.
    """
    path = requested.file(root / TABLE)
    table = read_table(path)
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ValueError(
            f"The table {os.fspath(path)!r} has no column {', '.join(map(repr, lacking))}; it "
            f"has {list(table)}. {requested.way_out}"
        )
    return table


def load_requested(
    requested: RequestedSet,
    folder: str | os.PathLike[str],
    *,
    file_names: Callable[[Path, list[str]], list[str]] | None = None,
    grouped: Callable[[list[str]], np.ndarray] | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load a set that lies in ``images`` and ``scores.csv`` of the user's folder.

    Parameters
    ----------
    requested : RequestedSet
        The set.
    folder : str or path-like
        The user's folder.
    file_names : callable, optional
        Makes file names of the folder of pictures and the column ``image``.
    grouped : callable, optional
        Makes groups of the column ``image``.
    return_X_y, as_frame : bool, default=False
        As for all loaders.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        The set, as ``picture_set`` makes it.
    """
    root = requested.folder(folder)
    table = read_requested_table(requested, root, ["image", "score"])
    pictures, names = root / "images", table["image"]
    found = file_names(pictures, names) if file_names else names
    images = requested.pictures(pictures, found, label("image"))
    return picture_set(
        images=images,
        target=read_scores(table["score"], label("score"), requested.score_range),
        DESCR=requested.DESCR,
        target_name=requested.target_name,
        score_range=requested.score_range,
        groups=None if grouped is None else grouped(names),
        rule=requested.rule_for(len(images)),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def label(column: str) -> str:
    """Return a column's name for messages, with the file that it is in."""
    return f"{column} ({TABLE})"


def read_counts(values: Sequence[Any], column: str) -> np.ndarray:
    """Return a column of counts as whole numbers.

    Parameters
    ----------
    values : sequence
        Numbers, or their text.
    column : str
        The column's name, for messages.

    Returns
    -------
    numpy.ndarray of shape (n_rows,), int64
        Counts, none below zero.

    Raises
    ------
    ValueError
        If one is no count.
    """
    counts = read_scores(values, column, None)
    refuse(
        (f"{count:g} in row {i}" for i, count in enumerate(counts, 1) if count < 0 or count % 1),
        f"Column {column!r} has counts that are no whole numbers from 0 up",
    )
    return counts.astype(np.int64)
