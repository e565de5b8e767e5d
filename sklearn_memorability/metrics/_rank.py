"""Rank correlation as a scikit-learn metric, and how far its figures can be trusted."""

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import make_scorer
from sklearn.utils import (
    check_array,
    check_consistent_length,
    check_random_state,
    check_scalar,
    column_or_1d,
)

# So many drawn values are ranked at once; more would only need more memory.
_VALUES_AT_ONCE = 1_000_000


def spearman_score(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Compute Spearman's rank correlation between true and predicted scores.

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


spearman_scorer = make_scorer(spearman_score)


def rank_correlation(true: np.ndarray, predicted: np.ndarray) -> float:
    """Compute :func:`spearman_score` of valid arrays, without its warnings."""
    if len(true) < 2 or np.ptp(true) == 0:
        return float("nan")
    if np.ptp(predicted) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(true), rankdata(predicted))[0, 1])


def spearman_interval(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    folds: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[float, float]:
    """Bootstrap interval of Spearman's rank correlation.

    Images are drawn anew, with replacement; the models that predicted them are not
    fitted anew. So the interval says how much the figure depends on the images that
    happened to be in the test, not how much on the training.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        As in :func:`spearman_score`.
    folds : array-like of shape (n_samples,), optional
        The test fold of each image. Images are drawn within their fold, and the
        statistic is the mean of the folds' correlations, as in cross-validation.
    groups : array-like of shape (n_samples,), optional
        Which images belong together, as objects and places. Whole groups are drawn,
        within their fold.
    confidence_level : float, default=0.95
        The share of resamples inside the interval.
    n_resamples : int, default=1000
        How often to draw.
    random_state : int, RandomState instance or None, default=None
        Decides what is drawn.

    Returns
    -------
    low : float
        The lower end of the interval.
    high : float
        The upper end. Resamples in which the truth of a fold is constant
        have no correlation and are left out; a constant prediction counts as 0.0.

    Raises
    ------
    ValueError
        If the scores are not valid for :func:`spearman_score`, lengths differ,
        ``confidence_level`` is not between 0 and 1, ``n_resamples`` is not positive, a
        fold has fewer than two different true scores, or a fold has only one group.

    Notes
    -----
    The percentile interval of [1]_, section 13.3. Sorting is done once: with the number
    of times that each image was drawn, average ranks follow from running sums over
    the sorted values.

    References
    ----------
    .. [1] Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.metrics import spearman_interval
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.normal(size=500)
    >>> y_pred = y_true + rng.normal(size=500)
    >>> low, high = spearman_interval(y_true, y_pred, random_state=0)
    >>> f"{low:.2f} to {high:.2f}"
    '0.68 to 0.76'
    """
    true, predicted = _scores(y_true, "y_true"), _scores(y_pred, "y_pred")
    check_consistent_length(true, predicted, folds, groups)
    check_scalar(
        confidence_level,
        "confidence_level",
        Real,
        min_val=0,
        max_val=1,
        include_boundaries="neither",
    )
    check_scalar(n_resamples, "n_resamples", Integral, min_val=1)
    fold = np.zeros(len(true)) if folds is None else column_or_1d(folds)
    units = np.arange(len(true)) if groups is None else column_or_1d(groups)
    rng = check_random_state(random_state)
    if not len(true):
        raise ValueError("y_true is empty; an interval needs scores.")
    rows_of = {label: np.flatnonzero(fold == label) for label in np.unique(fold)}
    for label, rows in rows_of.items():
        where = "" if folds is None else f" in fold {label}"
        for what, values in (("different true scores", true), ("groups", units)):
            if len(np.unique(values[rows])) < 2:
                raise ValueError(f"There are fewer than two {what}{where}; an interval needs more.")
    predictions: list[np.ndarray | None] = [predicted[rows] for rows in rows_of.values()]
    # The mean is NaN where one fold's correlation is.
    statistics = resample_means(
        true, list(rows_of.values()), [predictions], units, n_resamples, rng
    )[:, 0]
    statistics = statistics[~np.isnan(statistics)]
    if not len(statistics):
        raise ValueError(
            f"All n_resamples={n_resamples} resamples have a fold with a constant truth; "
            "there are too few different scores for an interval."
        )
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(statistics, [tail, 1 - tail])
    return float(low), float(high)


def _scores(y: ArrayLike, name: str) -> np.ndarray:
    values: Any = column_or_1d(y)
    missing: Any = np.flatnonzero(values != values) if name == "y_pred" else []
    if len(missing):
        raise ValueError(
            f"Input y_pred contains NaN in {len(missing)} of {len(values)} rows, the first is "
            f"{missing[0]}. An image that could not be read has no prediction. Leave such rows "
            "out, here by good = ~np.isnan(y_pred), or in cross-validation from X and y."
        )
    return check_array(
        values, ensure_2d=False, ensure_min_samples=0, dtype=np.float64, input_name=name
    )


def resample_means(
    y: np.ndarray,
    folds: list[np.ndarray],
    predictions: Sequence[Sequence[np.ndarray | None]],
    groups: np.ndarray | None,
    n_resamples: int,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Draw images anew and return the models' mean correlations over folds."""
    strata = _strata(len(y), folds)
    units = np.arange(len(y)) if groups is None else groups
    found = []
    for start in range(0, n_resamples, at_once := max(_VALUES_AT_ONCE // len(y), 1)):
        times = draw_times(strata, units, min(at_once, n_resamples - start), rng)
        means = np.zeros((len(times), len(predictions)))
        for rows, *of_fold in zip(folds, *predictions, strict=True):
            means += resampled_correlations(y[rows], of_fold, times[:, rows])
        found.append(means / len(folds))
    return np.concatenate(found)


def draw_times(
    strata: list[np.ndarray], units: np.ndarray, n_resamples: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return how often each image is drawn in each resample."""
    times = np.zeros((n_resamples, len(units)), dtype=np.int64)
    for rows in strata:
        names, members = np.unique(units[rows], return_inverse=True)
        size = len(names)
        drawn = rng.randint(size, size=(n_resamples, size))
        drawn += size * np.arange(n_resamples)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=size * n_resamples)
        times[:, rows] = counts.reshape(n_resamples, size)[:, members]
    return times


def resampled_correlations(
    true: np.ndarray, predictions: Sequence[np.ndarray | None], times: np.ndarray
) -> np.ndarray:
    """Return Spearman's correlations where rows count several times, or not."""
    true_ranks, true_spread = _centred_ranks(true, times)
    weighted = times * true_ranks
    found = np.full((len(times), len(predictions)), np.nan)
    for i, predicted in enumerate(predictions):
        if predicted is None:
            continue
        ranks, spread = _centred_ranks(predicted, times)
        product = np.einsum("ij,ij->i", weighted, ranks)
        scale = np.sqrt(true_spread * spread)
        found[:, i] = np.divide(product, scale, out=np.zeros(len(times)), where=scale > 0)
    found[true_spread == 0] = np.nan
    return found


def _centred_ranks(values: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows' average ranks minus their mean, and the sum of their squares."""
    _, places = np.unique(values, return_inverse=True)
    order = np.argsort(places, kind="stable")
    first = np.flatnonzero(np.diff(places[order], prepend=-1))
    counts = np.add.reduceat(times[:, order], first, axis=1)
    ranks = np.cumsum(counts, axis=1) - counts / 2 - counts.sum(axis=1, keepdims=True) / 2
    return ranks[:, places], np.einsum("ij,ij->i", counts, ranks**2)


def _strata(n_samples: int, folds: list[np.ndarray]) -> list[np.ndarray]:
    """Return the folds, or all rows together if a fold tests what another one does."""
    tested = np.concatenate(folds)
    if len(np.unique(tested)) == len(tested):
        return folds
    return [np.unique(tested)]
