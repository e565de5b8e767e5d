"""scikit-learn's checks of X and y, for features on disk as for those in memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import validate_data

from sklearn_memorability._rows import StoredFeatures, as_stored


def check_features(estimator: Any, X: Any) -> np.ndarray | StoredFeatures:
    """Check X for a prediction; the values on disk are not read yet.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : array-like or StoredFeatures
        The features.

    Returns
    -------
    numpy.ndarray of float32, or StoredFeatures
        ``finite_blocks`` reads the latter.

    Raises
    ------
    ValueError
        If it has another form than X in ``fit``, or is in memory and not finite.
    """
    stored = as_stored(X)
    if stored is None:
        return validate_data(estimator, X, dtype=np.float32, reset=False)
    _check_form(estimator, stored, reset=False)
    check_array(_in_place_of(stored), estimator=estimator, input_name="X")
    return stored


def check_features_and_scores(
    estimator: Any, X: Any, y: Any, reset: bool
) -> tuple[np.ndarray | StoredFeatures, np.ndarray]:
    """Check X and y; values on disk are read once, block by block.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_``.
    X : array-like or StoredFeatures
        The features.
    y : array-like
        The scores.
    reset : bool
        Whether this is a first fit, not one that must agree with the last.

    Returns
    -------
    X : numpy.ndarray of float32, or StoredFeatures
    y : numpy.ndarray of float64

    Raises
    ------
    ValueError
        If they don't go together or are not finite.
    """
    stored = as_stored(X)
    if stored is None:
        X, y = validate_data(estimator, X, y, dtype=np.float32, y_numeric=True, reset=reset)
        return X, y.astype(np.float64, copy=False)
    _check_form(estimator, stored, reset)
    _, y = check_X_y(_in_place_of(stored), y, y_numeric=True, estimator=estimator)
    for _ in finite_blocks(stored):
        pass
    return stored, y.astype(np.float64, copy=False)


def finite_blocks(X: StoredFeatures, n_rows: int | None = None) -> Iterator[np.ndarray]:
    """Read features block by block and check that they are finite.

    Parameters
    ----------
    X : StoredFeatures
        The features.
    n_rows : int, optional
        Rows a block.

    Yields
    ------
    numpy.ndarray of float32

    Raises
    ------
    ValueError
        If a value is not finite; names the row.
    """
    for rows, block in X.blocks(n_rows):
        # As scikit-learn does: a sum is finite only if all values are, and makes no copy.
        if not np.isfinite(block.sum(dtype=np.float64)):
            finite = np.isfinite(block).all(axis=1)
            if not finite.all():
                row = rows.start + int(finite.argmin())
                kind = "NaN" if np.isnan(block[row - rows.start]).any() else "infinity"
                raise ValueError(
                    f"Input X contains {kind}, first in row {row} of {X!r}. Leave such rows out: "
                    "X[X.finite_rows()]."
                )
        yield block


def _check_form(estimator: Any, X: StoredFeatures, reset: bool) -> None:
    # Sets or compares what is known of the columns, and looks at no value.
    validate_data(estimator, X, reset=reset, skip_check_array=True)


def _in_place_of(X: StoredFeatures) -> np.ndarray:
    """Return zeros of as many rows, which take no memory, for checks of the form."""
    return np.broadcast_to(np.float32(0), (len(X), min(X.shape[1], 1)))
