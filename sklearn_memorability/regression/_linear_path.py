"""A ridge regression as class probabilities: the path beside the network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import nn

from sklearn_memorability._rows import StoredFeatures
from sklearn_memorability.regression._leave_one_out import RidgeFit, ridge_by_blocks

# Wide enough that neither end is ever the best on features of unit variance: from no
# penalty to a constant prediction.
_PENALTIES = np.logspace(-2, 7, 37)


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
        cls,
        X: np.ndarray | StoredFeatures,
        y: np.ndarray,
        sample_weight: np.ndarray,
        start: "Ridge | None" = None,
    ) -> "Ridge":
        """Fit it.

        Parameters
        ----------
        X : numpy.ndarray or StoredFeatures of shape (n_samples, n_features)
            The features. They are read in blocks where the rows are more than the
            features; otherwise a copy in double precision is made.
        y, sample_weight : numpy.ndarray of shape (n_samples,)
            The scores and their weights.
        start : Ridge, optional
            A regression fitted before. The penalty then holds the coefficients to its
            own instead of to zero, so few rows change little of it.

        Returns
        -------
        Ridge
        """
        coef, intercept = (0.0, 0.0) if start is None else (start.coef, start.intercept)
        left_over = y
        if start is not None:
            left_over = np.empty(len(y))
            for rows, block in _blocks(X):
                left_over[rows] = y[rows] - (block @ start.coef + start.intercept)
        weight = sample_weight / sample_weight.mean()
        if X.shape[0] > X.shape[1]:
            found = ridge_by_blocks(lambda: _blocks(X), X.shape[1], left_over, weight, _PENALTIES)
        else:
            ridge = RidgeCV(alphas=_PENALTIES)
            ridge.fit(np.asarray(X, dtype=np.float64), left_over, sample_weight=weight)
            # Without a scorer, RidgeCV's best score is minus the mean squared error.
            found = RidgeFit(ridge.coef_, ridge.intercept_, ridge.alpha_, -ridge.best_score_)
        return cls(
            coef=coef + found.coef,
            intercept=float(intercept + found.intercept),
            penalty=float(found.penalty),
            error=float(np.sqrt(max(found.squared_error, 0.0))),
        )

    def moved(self, offset: float, slope: float) -> "Ridge":
        """Return the regression of ``offset + slope * score``."""
        return Ridge(
            coef=slope * self.coef,
            intercept=offset + slope * self.intercept,
            penalty=self.penalty,
            error=slope * self.error,
        )

    def input_dropout(self, n_samples: int) -> float:
        """Return the rate of input dropout that penalises a linear model as much.

        Leaving out inputs at rate p adds noise of variance p / (1 - p) times an
        input's own; to a linear model that is a ridge penalty of n p / (1 - p)
        (Wager, Wang, Liang 2013, section 3).
        """
        return self.penalty / (self.penalty + n_samples)


class LinearPath(nn.Module):
    """Class probabilities of a normal distribution around a linear prediction.

    Parameters
    ----------
    ridge : Ridge
        The linear prediction and its error.
    thresholds : numpy.ndarray of shape (n_classes - 1,)
        The thresholds between the classes.
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
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the probabilities, of shape (n_samples, n_classes)."""
        expected = X @ self.coef + self.intercept
        below = torch.special.ndtr((self.thresholds - expected[:, None]) / self.error)
        edge = torch.zeros_like(expected)[:, None]
        return torch.cat([edge, below, edge + 1], dim=1).diff(dim=1)


def _blocks(X: np.ndarray | StoredFeatures) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the rows of either kind in the same blocks, in double precision."""
    rows = X if isinstance(X, StoredFeatures) else StoredFeatures(X)
    for places, block in rows.blocks(exact=rows is not X):
        yield places, block.astype(np.float64, copy=False)
