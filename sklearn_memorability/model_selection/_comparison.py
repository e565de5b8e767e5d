"""The result of a comparison of models, as a table that says how it was made."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_TEST_NAMES = {"corrected_t": "corrected resampled t-test", "bootstrap": "bootstrap of pictures"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """Models' scores on the same folds, and how they differ from one of them.

    Returned by :func:`compare`; ``print`` shows it.

    Parameters
    ----------
    rows : list of dict
        One of each model, best first: ``model``; ``score``, its mean over folds, and the
        mean's ``standard_error``; ``difference``, its score less the reference's, with
        ``difference_standard_error``, ``difference_low`` and ``difference_high``; the
        ``p_value`` of no difference, and ``p_adjusted`` unless ``correction`` is None. All
        from ``difference`` on are None for the reference.
    fold_scores : dict of str to numpy.ndarray of shape (n_folds,)
        Each model's scores.
    score : str
        What the scores are.
    test : {"corrected_t", "bootstrap"}
        What tested the differences.
    folds : str
        What made the folds.
    n_train, n_test : float
        A fold's mean numbers of pictures.
    baseline : str or None
        The reference, if it was chosen before; otherwise it is the best model.
    confidence_level : float
        The level of the intervals.
    n_resamples : int or None
        How often the bootstrap drew.
    correction : {"holm", None}
        What adjusted the p-values.
    n_tests : int
        For how many tests.
    random_state : int
        What makes the same comparison again.

    See Also
    --------
    compare : Makes it.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.datasets import make_regression
    >>> from sklearn_memorability.model_selection import compare
    >>> X, y = make_regression(60, 3, noise=1, random_state=0)
    >>> models = {"ridge": Ridge(), "stronger ridge": Ridge(alpha=1000)}
    >>> comparison = compare(models, X, y, random_state=0)
    >>> [row["model"] for row in comparison.rows], len(comparison.fold_scores["ridge"])
    (['ridge', 'stronger ridge'], 15)
    """

    rows: list[dict[str, Any]]
    fold_scores: dict[str, np.ndarray]
    score: str
    test: str
    folds: str
    n_train: float
    n_test: float
    baseline: str | None
    confidence_level: float
    n_resamples: int | None
    correction: str | None
    n_tests: int
    random_state: int

    def __str__(self) -> str:
        return "\n".join([*self._table(), "", *self._notes()])

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.rows)} models; print it to see it>"

    def to_frame(self) -> Any:
        """Return the rows as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            A row of each model, best first.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install pandas") from error
        return pd.DataFrame(self.rows)

    def _table(self) -> list[str]:
        heading = ["model", self.score, "difference", f"{self.confidence_level:.0%} interval", "p"]
        if self.correction is not None:
            heading.append("p adjusted")
        table = [heading, *(list(self._cells(row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in table
        ]

    def _cells(self, row: dict[str, Any]) -> Iterator[str]:
        yield str(row["model"])
        yield f"{row['score']:.3f} ± {row['standard_error']:.3f}"
        if row["difference"] is None:
            yield "reference"
            yield from [""] * (3 if "p_adjusted" in row else 2)
            return
        yield f"{row['difference']:+.3f} ± {row['difference_standard_error']:.3f}"
        yield f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}"
        yield _p(row["p_value"])
        if "p_adjusted" in row:
            yield _p(row["p_adjusted"])

    def _notes(self) -> Iterator[str]:
        drawn = "" if self.n_resamples is None else f", {self.n_resamples} resamples"
        yield f"Test: {_TEST_NAMES[self.test]}{drawn}; ± is one standard error."
        yield (
            f"Folds: {self.folds}, {self.n_train:.0f} pictures to train on and "
            f"{self.n_test:.0f} to test; random_state={self.random_state}."
        )
        if self.correction is not None:
            which = "all pairs, as the best was chosen by its score"
            if self.baseline is not None:
                which = f"each model with {self.baseline}"
            yield f"Adjusted by Holm's procedure for {self.n_tests} tests: {which}."


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"
