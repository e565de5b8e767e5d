"""Rank correlation as a scikit-learn metric."""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import make_scorer
from sklearn.utils import check_array, check_consistent_length, column_or_1d

__all__ = ["spearman_score", "spearman_scorer"]


def spearman_score(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Spearman's rank correlation between true and predicted scores.

    Ties get the average of their ranks, as in :func:`scipy.stats.spearmanr`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The true scores.
    y_pred : array-like of shape (n_samples,)
        The predicted scores. Only their order counts.

    Returns
    -------
    float
        The correlation, in [-1, 1]. Two cases have no correlation:

        - The prediction is constant. It orders nothing, so it scores 0.0, with an
          :class:`~sklearn.exceptions.UndefinedMetricWarning`. A number, because a
          search must be able to rank such a candidate below any that orders.
        - The truth is constant, or has fewer than two rows. No prediction could be
          right or wrong, so the result is NaN, with the same warning.

    Raises
    ------
    ValueError
        If the two differ in length, are not one-dimensional, or hold NaN or
        infinity.

    See Also
    --------
    spearman_scorer : This metric as a ``scoring=`` argument.

    Examples
    --------
    >>> from sklearn_memorability.metrics import spearman_score
    >>> spearman_score([0.61, 0.74, 0.74, 0.92], [0.5, 0.7, 0.6, 0.8])
    0.948...
    """
    true, predicted = _scores(y_true, "y_true"), _scores(y_pred, "y_pred")
    check_consistent_length(true, predicted)
    correlation = rank_correlation(true, predicted)
    if np.isnan(correlation):
        warnings.warn(
            "Spearman's correlation is not defined for fewer than two different true scores; "
            "the result is NaN.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
    elif np.ptp(predicted) == 0:
        warnings.warn(
            "The prediction is constant and orders nothing; its Spearman correlation is set "
            "to 0.0.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
    return correlation


def rank_correlation(true: np.ndarray, predicted: np.ndarray) -> float:
    """Compute :func:`spearman_score` of valid arrays, without its warnings.

    Parameters
    ----------
    true, predicted : numpy.ndarray of shape (n_samples,)
        Finite numbers.

    Returns
    -------
    float
        In [-1, 1]; NaN for a constant truth, 0.0 for a constant prediction.
    """
    if len(true) < 2 or np.ptp(true) == 0:
        return float("nan")
    if np.ptp(predicted) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(true), rankdata(predicted))[0, 1])


def _scores(y: ArrayLike, name: str) -> np.ndarray:
    return check_array(
        column_or_1d(y), ensure_2d=False, ensure_min_samples=0, dtype=np.float64, input_name=name
    )


spearman_scorer = make_scorer(spearman_score)
