"""Tests of two models' scores on the same folds, and of many such pairs at once."""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

# So many drawn rows are ranked at once; more would only need more memory.
_ROWS_AT_ONCE = 1_000_000


class Estimate(NamedTuple):
    """A mean, how sure it is, and how likely so large a one is where the truth is 0."""

    value: float
    standard_error: float
    low: float
    high: float
    p_value: float


def corrected_t_test(
    scores: np.ndarray, test_to_train: float, confidence_level: float = 0.95
) -> Estimate:
    """Estimate the mean over folds by the corrected resampled t-test.

    Parameters
    ----------
    scores : numpy.ndarray of shape (n_folds,)
        A model's scores, or the differences of two models' scores.
    test_to_train : float
        How many pictures a fold tests for each that it trains on.
    confidence_level : float, default=0.95
        The level of the interval.

    Returns
    -------
    Estimate
        NaN but for the value where there are fewer than two folds.
    """
    n_folds = len(scores)
    value = float(np.mean(scores))
    if n_folds < 2:
        return Estimate(value, *[float("nan")] * 4)
    error = float(np.sqrt((1 / n_folds + test_to_train) * np.var(scores, ddof=1)))
    if error == 0:
        return Estimate(value, 0.0, value, value, float(value == 0))
    width = error * t.ppf((1 + confidence_level) / 2, n_folds - 1)
    p_value = 2 * t.sf(abs(value) / error, n_folds - 1)
    return Estimate(value, error, value - width, value + width, float(p_value))


def bootstrap_test(value: float, resampled: np.ndarray, confidence_level: float = 0.95) -> Estimate:
    """Estimate a mean by its resamples' percentiles.

    Parameters
    ----------
    value : float
        The mean.
    resampled : numpy.ndarray of shape (n_resamples,)
        The same of each resample; NaN where it has none.
    confidence_level : float, default=0.95
        The level of the interval.

    Returns
    -------
    Estimate
        NaN but for the value where no resample has a mean.
    """
    drawn = resampled[~np.isnan(resampled)]
    if not len(drawn):
        return Estimate(value, *[float("nan")] * 4)
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    # One more than were drawn, so that no p-value is 0.
    fewer = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p_value = min(2 * (fewer + 1) / (len(drawn) + 1), 1.0)
    return Estimate(value, float(np.std(drawn)), float(low), float(high), p_value)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number by Holm's procedure.

    Parameters
    ----------
    p_values : numpy.ndarray of shape (n_tests,)
        One of each test; NaN where there was none, which then doesn't count.

    Returns
    -------
    numpy.ndarray of shape (n_tests,)
        The adjusted ones, at most 1.
    """
    n_tests = np.count_nonzero(~np.isnan(p_values))
    order = np.argsort(p_values)[:n_tests]  # NaN is sorted to the end
    times = np.arange(n_tests, 0, -1)
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * times), 1)
    return adjusted


def resample_means(
    y: np.ndarray,
    folds: list[np.ndarray],
    predictions: list[list[np.ndarray | None]],
    groups: np.ndarray | None,
    n_resamples: int,
    chance: np.random.RandomState,
) -> np.ndarray:
    """Draw pictures anew and return the models' mean correlations over folds.

    Parameters
    ----------
    y : numpy.ndarray of shape (n_samples,)
        The true scores.
    folds : list of numpy.ndarray
        The rows that each fold tests.
    predictions : list of list of numpy.ndarray
        For each model, the predictions of each fold's rows; None where it failed.
    groups : numpy.ndarray of shape (n_samples,) or None
        Which pictures belong together and are drawn together.
    n_resamples : int
        How often to draw.
    chance : numpy.random.RandomState
        Draws.

    Returns
    -------
    numpy.ndarray of shape (n_resamples, n_models)
        NaN where the truth of a fold is constant in a resample, or the model failed.
    """
    strata = _strata(len(y), folds)
    units = np.arange(len(y)) if groups is None else groups
    found = []
    for start in range(0, n_resamples, at_once := max(_ROWS_AT_ONCE // len(y), 1)):
        times = draw_times(strata, units, min(at_once, n_resamples - start), chance)
        means = np.zeros((len(times), len(predictions)))
        for rows, *of_fold in zip(folds, *predictions, strict=True):
            means += resampled_correlations(y[rows], of_fold, times[:, rows])
        found.append(means / len(folds))
    return np.concatenate(found)


def draw_times(
    strata: list[np.ndarray], units: np.ndarray, n_resamples: int, chance: np.random.RandomState
) -> np.ndarray:
    """Return how often each picture is drawn in each resample.

    Parameters
    ----------
    strata : list of numpy.ndarray
        Rows of pictures that are drawn among themselves.
    units : numpy.ndarray of shape (n_samples,)
        Which pictures are drawn together.
    n_resamples : int
        How often to draw.
    chance : numpy.random.RandomState
        Draws.

    Returns
    -------
    numpy.ndarray of shape (n_resamples, n_samples)
        Whole numbers; 0 for pictures in no stratum.
    """
    times = np.zeros((n_resamples, len(units)), dtype=np.int64)
    for rows in strata:
        names, members = np.unique(units[rows], return_inverse=True)
        size = len(names)
        drawn = chance.randint(size, size=(n_resamples, size))
        drawn += size * np.arange(n_resamples)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=size * n_resamples)
        times[:, rows] = counts.reshape(n_resamples, size)[:, members]
    return times


def resampled_correlations(
    true: np.ndarray, predictions: list[np.ndarray | None], times: np.ndarray
) -> np.ndarray:
    """Return Spearman's correlations where rows count several times, or not.

    Parameters
    ----------
    true : numpy.ndarray of shape (n_samples,)
        The true scores.
    predictions : list of numpy.ndarray of shape (n_samples,)
        Each model's predictions, or None.
    times : numpy.ndarray of shape (n_resamples, n_samples)
        How often each row counts.

    Returns
    -------
    numpy.ndarray of shape (n_resamples, n_models)
        NaN for a constant truth or no prediction, 0.0 for a constant prediction.
    """
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
