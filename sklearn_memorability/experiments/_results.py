"""What is measured of predictions, and the table that shows it."""

import csv
import io
import math
import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability._utils._files import write_whole
from sklearn_memorability.metrics import spearman_interval, split_half_consistency
from sklearn_memorability.metrics._consistency import reliability_of
from sklearn_memorability.metrics._rank import rank_correlation

# The paper prints two digits; squared errors of scores in (0, 1) need four.
_DIGITS = {"paper": 2, "mse": 4}
_LIBRARIES = ("sklearn-memorability", "scikit-learn", "numpy", "scipy", "torch", "torchvision")


@dataclass(eq=False, repr=False)
class ResultTable:
    """Rows of results, beside the paper's, with what they were made with.

    Returned by :func:`table1`, :func:`table2` and :func:`table3`; ``print(table)`` shows
    it, and so does a notebook.

    Parameters
    ----------
    title : str
        What the table is of.
    rows : list of dict
        A mapping from column names to values each; None where there is no value.
    shown : dict of str to str
        Which columns are printed, and their headings, in order. ``"interval"`` shows
        ``interval_low`` and ``interval_high``, and ``"spearman"`` its
        ``standard_error``.
    notes : list of str, optional
        What the reader has to know.
    facts : dict, optional
        Seeds and hashes; the versions of the libraries are added.
    predictions : dict of str to list of (rows, predicted), optional
        For each row's key, the predictions of each fold, with the rows of the data they
        are of.
    printed : list of dict, optional
        What is printed in place of the rows.

    Attributes
    ----------
    title, rows, notes, facts, predictions
        As given.

    Examples
    --------
    >>> from sklearn_memorability.experiments._results import ResultTable
    >>> rows = [{"model": "SVR", "paper": 0.64, "spearman": 0.6412}]
    >>> shown = {"model": "model", "paper": "paper", "spearman": "here"}
    >>> print(ResultTable("Table 1", rows, shown))
    Table 1
    <BLANKLINE>
    | model | paper | here  |
    |-------|-------|-------|
    | SVR   | 0.64  | 0.641 |
    """

    title: str
    rows: list[dict[str, Any]]
    shown: dict[str, str]
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    predictions: dict[str, list[Any]] = field(default_factory=dict)
    printed: list[dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        self.facts = self.facts | library_versions()

    def __str__(self) -> str:
        return "\n".join([self.title, "", *self._lines(), *(f"\n{note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"<ResultTable {self.title!r}, {len(self.rows)} rows; print it to see it>"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def to_frame(self) -> Any:
        """Return the rows as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            With all columns, printed or not.
        """
        import pandas as pd

        return pd.DataFrame(self.rows)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the table, its notes and facts as Markdown, and write it if asked to.

        Parameters
        ----------
        path : str or path-like, optional
            A file to write.

        Returns
        -------
        str
            The text.
        """
        parts = [f"# {self.title}", "\n".join(self._lines())]
        parts += [f"- {note}" for note in self.notes]
        parts.append("\n".join(f"- {name}: `{value}`" for name, value in self.facts.items()))
        text = "\n\n".join(parts) + "\n"
        _write(path, text)
        return text

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the table as comma-separated values, and write it if asked to.

        Parameters
        ----------
        path : str or path-like, optional
            A file to write.

        Returns
        -------
        str
            The text: a line a row, with all columns, and the facts (seeds, hashes,
            versions) as further columns that are the same in each line.
        """
        text = io.StringIO()
        columns = dict.fromkeys(name for row in self.rows for name in row)
        writer = csv.DictWriter(text, [*columns, *self.facts], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | self.facts for row in self.rows)
        _write(path, text.getvalue())
        return text.getvalue()

    def _lines(self) -> list[str]:
        cells = [list(self.shown.values())]
        cells += [[_cell(row, name) for name in self.shown] for row in self.printed or self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [f"| {' | '.join(map(str.ljust, row, widths))} |" for row in cells]
        return [lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]]


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide results."""
    versions = {"python": platform.python_version()}
    return versions | {name: version(name) for name in _LIBRARIES}


def measure(
    folds: list[tuple[np.ndarray, np.ndarray]],
    n_resamples: int,
    random_state: int,
    ceiling: float | None,
) -> dict[str, Any]:
    """Return the columns of a ResultTable for the (true, predicted) scores of each fold."""
    by_fold = [rank_correlation(true, predicted) for true, predicted in folds]
    true, predicted = (np.concatenate(side) for side in zip(*folds, strict=True))
    mean = float(np.mean(by_fold))
    error = float(np.std(by_fold, ddof=1) / np.sqrt(len(folds))) if len(folds) > 1 else None
    low = high = None
    # A fold whose true scores are all alike has no correlation to resample.
    if n_resamples and np.isfinite(by_fold).all():
        low, high = spearman_interval(
            true,
            predicted,
            folds=np.repeat(np.arange(len(folds)), [len(side) for side, _ in folds]),
            n_resamples=n_resamples,
            random_state=random_state,
        )
    return {
        "spearman": mean,
        "standard_error": error,
        "interval_low": low,
        "interval_high": high,
        "of_ceiling": mean / ceiling if ceiling else None,
        "mse": float(np.mean((predicted - true) ** 2)),
        "bias": float(np.mean(predicted - true)),
        "n_images": len(true),
        **{f"fold_{i}": value for i, value in enumerate(by_fold, 1)},
    }


def human_ceiling(data: Any, random_state: int) -> tuple[float | None, str]:
    """Return the correlation that people's agreement allows, and a note on its source."""
    counts, halves = data.get("counts"), data.get("halves")
    if counts is not None or halves is not None:
        # Scores may be corrected for false alarms; this is the consistency of hits alone.
        given = {"halves": halves} if counts is None else {k: counts[k] for k in ("hits", "misses")}
        human = split_half_consistency(**given, random_state=random_state)
        return human.ceiling, (
            f"Human consistency is {human.consistency:.3f} ± {human.std:.3f} (computed from the "
            f"set's {' and '.join(given)}, {len(human.splits)} random splits); no predictor can be "
            f"expected to pass {human.ceiling:.3f}."
        )
    consistency, ceiling = data.get("consistency"), data.get("ceiling")
    if consistency is None:
        return ceiling, ""
    if ceiling is None:
        ceiling = math.sqrt(reliability_of(consistency))
    return ceiling, (
        f"Human consistency is {consistency:.2f} (given with the set, not computed here); no "
        f"predictor can be expected to pass {ceiling:.3f}."
    )


def _cell(row: dict[str, Any], name: str) -> str:
    """Return a value as text for the printed table."""
    if name == "interval":
        low, high = row.get("interval_low"), row.get("interval_high")
        return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    value = row.get(name)
    if value is None:
        return ""
    if name == "spearman" and row.get("standard_error") is not None:
        return f"{value:.3f} ± {row['standard_error']:.3f}"
    if name in _DIGITS:
        return f"{value:.{_DIGITS[name]}f}"
    return f"{value:.3f}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _write(path: str | os.PathLike[str] | None, text: str) -> None:
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
