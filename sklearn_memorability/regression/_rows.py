"""Rows of NaN, which stand for images that could not be read."""

from typing import Any

import numpy as np
from sklearn.utils import check_array

from sklearn_memorability._utils._found import first_few


def refuse_bfloat16(X: Any) -> None:
    """Refuse a tensor of a type that NumPy lacks."""
    if "bfloat16" in str(getattr(X, "dtype", "")):
        raise TypeError("X is of type bfloat16, which NumPy lacks; pass X.float().")


def rows_of_nan(X: Any) -> np.ndarray:
    """Return the numbers of the rows that have NaN; refuse what is no table of numbers."""
    refuse_bfloat16(X)
    X = check_array(X, ensure_all_finite="allow-nan")
    # Most rows have a finite sum, and no copy of them is made.
    rows = np.flatnonzero(np.isnan(X.sum(axis=1, dtype=np.float64)))
    return rows[np.isnan(X[rows]).any(axis=1)]


def refuse_nan(X: Any) -> None:
    """Refuse to learn from rows with NaN: which they are, and how to leave them out."""
    rows = rows_of_nan(X)
    if len(rows):
        listed = first_few([str(row) for row in rows])
        raise ValueError(
            f"X contains NaN in {len(rows)} of {len(X)} rows: {listed}. Images that can't be "
            "read have such rows with on_error='nan'; the UnreadableImagesWarning names them, and "
            "its errors have their rows. Leave them out before fit: "
            "good = ~np.isnan(X).any(axis=1); fit(X[good], y[good])."
        )
