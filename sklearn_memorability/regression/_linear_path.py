"""A ridge regression turned into class probabilities: the path beside the network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from sklearn.linear_model import RidgeCV
from sklearn.utils import gen_batches
from torch import nn

# Wide enough that neither end is ever the best on features of unit variance: from no
# penalty to a constant prediction.
_PENALTIES = np.logspace(-2, 7, 37)

_ROWS_AT_A_TIME = 1024


@dataclass(frozen=True)
class Ridge:
    """A ridge regression whose penalty is the best by leave-one-out error.

    Attributes
    ----------
    coef : numpy.ndarray of shape (n_features,)
        The coefficients.
    intercept : float
        The intercept.
    penalty : float
        The penalty chosen.
    error : float
        Root mean square of the leave-one-out errors.
    """

    coef: np.ndarray
    intercept: float
    penalty: float
    error: float

    @classmethod
    def of(
        cls, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, start: "Ridge | None" = None
    ) -> "Ridge":
        """Fit it; with ``start``, the penalty holds the coefficients to those instead of zero."""
        if start is not None:
            y = y - np.concatenate([block @ start.coef for _, block in _blocks(X)])
            y -= start.intercept
        weight = sample_weight / sample_weight.mean()
        if X.shape[0] > X.shape[1]:
            found = _by_gram_matrix(X, y, weight)
        else:
            ridge = RidgeCV(alphas=_PENALTIES)
            ridge.fit(X.astype(np.float64), y, sample_weight=weight)
            # Without a scorer, RidgeCV's best score is minus the mean squared error.
            error = np.sqrt(max(-ridge.best_score_, 0.0))
            found = cls(ridge.coef_, float(ridge.intercept_), float(ridge.alpha_), float(error))
        if start is None:
            return found
        intercept = found.intercept + start.intercept
        return cls(found.coef + start.coef, intercept, found.penalty, found.error)

    def moved(self, offset: float, slope: float) -> "Ridge":
        """Return the regression of ``offset + slope * score``."""
        intercept = offset + slope * self.intercept
        return Ridge(slope * self.coef, intercept, self.penalty, slope * self.error)

    def input_dropout(self, n_samples: int) -> float:
        """Return the rate of input dropout that penalises a linear model as much.

        Leaving out inputs at rate p adds noise of variance p / (1 - p) times an
        input's own; to a linear model that is a ridge penalty of n p / (1 - p)
        (Wager, Wang, Liang 2013, section 3).
        """
        return self.penalty / (self.penalty + n_samples)


class LinearPath(nn.Module):
    """Class probabilities of a normal distribution around a ridge regression's prediction.

    ``thresholds`` are those between the classes, of shape (n_classes - 1,).
    """

    coef: torch.Tensor
    intercept: torch.Tensor
    error: torch.Tensor
    thresholds: torch.Tensor

    def __init__(self, ridge: Ridge, thresholds: np.ndarray) -> None:
        super().__init__()
        # A perfect fit still needs a width to be a distribution.
        error = max(ridge.error, 1e-6 * float(np.ptp(thresholds)) if len(thresholds) else 0, 1e-9)
        for name, value in {
            "coef": ridge.coef,
            "intercept": ridge.intercept,
            "error": error,
            "thresholds": thresholds,
        }.items():
            # A copy, as the values may be in a read-only file.
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the probabilities, of shape (n_samples, n_classes)."""
        expected = X @ self.coef + self.intercept
        below = torch.special.ndtr((self.thresholds - expected[:, None]) / self.error)
        edge = torch.zeros_like(expected)[:, None]
        return torch.cat([edge, below, edge + 1], dim=1).diff(dim=1)


def _by_gram_matrix(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Ridge:
    """Return what RidgeCV would, without its copies of X; for more rows than features.

    An error of leaving out row i is the residual over 1 - h_i, where h_i is the row's
    leverage (Rifkin, Lippert 2007, section 3).
    """
    n_rows, n_features = X.shape  # the weights add up to n_rows
    mean = sum(weight[rows] @ block for rows, block in _blocks(X)) / n_rows
    y_mean = weight @ y / n_rows
    gram, moment = np.zeros((n_features, n_features)), np.zeros(n_features)
    for rows, block in _blocks(X):
        block -= mean
        moment += (weight[rows] * (y[rows] - y_mean)) @ block
        block *= np.sqrt(weight[rows])[:, None]
        gram += block.T @ block
    values, vectors = scipy.linalg.eigh(gram, overwrite_a=True, check_finite=False)
    del gram
    # Of features that depend on each other rounding leaves eigenvalues below zero.
    inverse = 1 / (np.maximum(values, 0)[:, None] + _PENALTIES)
    coefs = inverse * (vectors.T @ moment)[:, None]
    squares = np.zeros(len(_PENALTIES))
    for rows, block in _blocks(X):
        block -= mean
        turned = block @ vectors
        errors = (y[rows] - y_mean)[:, None] - turned @ coefs
        leverage = weight[rows, None] * (1 / n_rows + turned**2 @ inverse)
        errors /= np.maximum(1 - leverage, np.finfo(float).eps)
        squares += weight[rows] @ errors**2
    best = int(squares.argmin())
    coef = vectors @ coefs[:, best]
    error = np.sqrt(squares[best] / n_rows)
    return Ridge(coef, float(y_mean - mean @ coef), float(_PENALTIES[best]), float(error))


def _blocks(X: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of the rows with a copy of them in double precision."""
    for rows in gen_batches(len(X), _ROWS_AT_A_TIME):
        yield rows, X[rows].astype(np.float64)
