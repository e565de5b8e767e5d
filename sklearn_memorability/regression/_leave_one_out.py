"""A ridge regression on many rows, read block by block: the same as scikit-learn's RidgeCV."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Blocks = Callable[[], Iterator[tuple[slice, np.ndarray]]]


@dataclass(frozen=True)
class RidgeFit:
    """The ridge regression whose penalty is the best by leave-one-out error.

    Attributes
    ----------
    coef : numpy.ndarray of shape (n_features,)
        The coefficients.
    intercept : float
        The intercept.
    penalty : float
        The penalty chosen.
    squared_error : float
        Weighted mean of the squared leave-one-out errors.
    """

    coef: np.ndarray
    intercept: float
    penalty: float
    squared_error: float


def ridge_by_blocks(
    blocks: Blocks,
    n_features: int,
    y: np.ndarray,
    weight: np.ndarray,
    penalties: np.ndarray,
) -> RidgeFit:
    """Fit it in two passes, in memory for some matrices of the features' number squared.

    Parameters
    ----------
    blocks : callable
        Begins a pass: yields slices of the rows with their features.
    n_features : int
        The number of features, smaller than that of the rows.
    y, weight : numpy.ndarray of shape (n_samples,)
        The targets, and the rows' weights, of mean 1.
    penalties : numpy.ndarray of shape (n_penalties,)
        The penalties to choose from; of equally good ones the first is taken.

    Returns
    -------
    RidgeFit

    Notes
    -----
    The covariance of all rows is put together from that of each block around the
    block's own mean (Chan, Golub, LeVeque 1983, Eq. 1.5), so features far from zero lose
    no precision. An error of leaving out row i is the residual over 1 - h_i, where h_i
    is the row's leverage (Rifkin, Lippert 2007, section 3).
    """
    total, mean, y_mean, gram, moment = _moments(blocks, n_features, y, weight)
    values, vectors = np.linalg.eigh(gram)
    del gram
    # Of features that depend on each other rounding leaves eigenvalues below zero.
    inverse = 1 / (np.maximum(values, 0)[:, None] + penalties)
    coefs = inverse * (vectors.T @ moment)[:, None]
    squares = np.zeros(len(penalties))
    for rows, block in blocks():
        share = weight[rows, None]
        centred = block - mean
        del block
        turned = centred @ vectors
        del centred
        error = (y[rows] - y_mean)[:, None] - turned @ coefs
        np.square(turned, out=turned)
        leverage = share / total + share * (turned @ inverse)
        error /= np.maximum(1 - leverage, np.finfo(float).eps)
        squares += weight[rows] @ error**2
        del turned  # before the next block is read
    best = int(squares.argmin())
    coef = vectors @ coefs[:, best]
    return RidgeFit(
        coef=coef,
        intercept=float(y_mean - mean @ coef),
        penalty=float(penalties[best]),
        squared_error=float(squares[best] / len(y)),
    )


def _moments(
    blocks: Blocks, n_features: int, y: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray, float, np.ndarray, np.ndarray]:
    """Return the sum of weights, both means, and the centred X'X and X'y."""
    total, mean, y_mean = 0.0, np.zeros(n_features), 0.0
    gram, moment = np.zeros((n_features, n_features)), np.zeros(n_features)
    for rows, block in blocks():
        w = weight[rows]
        block_total = w.sum()
        block_mean, block_y_mean = w @ block / block_total, w @ y[rows] / block_total
        centred = block - block_mean
        del block
        centred *= np.sqrt(w)[:, None]
        gram += centred.T @ centred
        moment += (np.sqrt(w) * (y[rows] - block_y_mean)) @ centred
        del centred
        step, y_step = block_mean - mean, block_y_mean - y_mean
        between = total * block_total / (total + block_total)
        gram += np.outer(between * step, step)
        moment += between * y_step * step
        total += block_total
        mean = mean + step * (block_total / total)
        y_mean += y_step * (block_total / total)
    return total, mean, y_mean, gram, moment
