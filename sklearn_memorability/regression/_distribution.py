"""The distribution of a predicted score: a mixture of the classes' training scores."""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_memorability.regression._score_classes import ScoreClasses

# The grid does not grow with the training rows, and is finer than any class is known.
_GRID = np.linspace(0, 1, 101)

# Steps of the deconvolution. Beside a linear path it has then settled; where there is
# none, more steps would begin to fit the network's noise.
_STEPS = 3


@dataclass(frozen=True)
class ClassDistributions:
    """How the training scores are spread within each class.

    Attributes
    ----------
    grid : numpy.ndarray of shape (n_classes, 101)
        Quantiles of each class's scores, from the least to the largest.
    mean, variance : numpy.ndarray of shape (n_classes,)
        Mean and variance of each class's scores.
    soft : numpy.ndarray of shape (n_classes, n_classes) or None
        Soft targets spread a class over others: the mean target of each class's rows.
        None for hard targets.
    soft_share : float
        The share of the class probabilities that was learnt from targets, not linearly.
    """

    grid: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    soft: np.ndarray | None = None
    soft_share: float = 1.0

    @classmethod
    def of(
        cls,
        classes: ScoreClasses,
        y: np.ndarray,
        sample_weight: np.ndarray,
        soft: bool = False,
        soft_share: float = 1.0,
    ) -> "ClassDistributions":
        """Describe the scores of each class.

        Parameters
        ----------
        classes : ScoreClasses
            The classes.
        y, sample_weight : numpy.ndarray of shape (n_samples,)
            The training scores and their weights.
        soft : bool
            Whether the targets are soft.
        soft_share : float
            The share of the class probabilities that is learnt from them.

        Returns
        -------
        ClassDistributions
        """
        members = [classes.labels == k for k in range(len(classes.thresholds))]
        spread = None
        if soft:
            target = classes.targets(y, sample_weight, soft=True).astype(np.float64)
            spread = np.array([target[m].sum(axis=0) for m in members])
            spread /= spread.sum(axis=1, keepdims=True)
        mean = np.array([np.average(y[m], weights=sample_weight[m]) for m in members])
        return cls(
            grid=np.array(
                [
                    np.quantile(y[m], _GRID, method="inverted_cdf", weights=sample_weight[m])
                    for m in members
                ]
            ),
            mean=mean,
            variance=np.array(
                [
                    np.average((y[m] - mean[k]) ** 2, weights=sample_weight[m])
                    for k, m in enumerate(members)
                ]
            ),
            soft=spread,
            soft_share=soft_share,
        )

    def moved(self, offset: float, slope: float) -> "ClassDistributions":
        """Return the distributions of ``offset + slope * score``."""
        return replace(
            self,
            grid=offset + slope * self.grid,
            mean=offset + slope * self.mean,
            variance=slope**2 * self.variance,
        )

    def sharpened(self, proba: np.ndarray) -> np.ndarray:
        """Take out of class probabilities what soft targets added to their width.

        A network taught by soft targets predicts the classes as spread as its targets
        were. That spread is known, so the probabilities under it are found by
        deconvolution (Richardson 1972, Lucy 1974: the steps of the EM algorithm).

        Parameters
        ----------
        proba : numpy.ndarray of shape (n_samples, n_classes)
            Class probabilities.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_classes)
            Rows sum to 1.
        """
        seen = proba / proba.sum(axis=1, keepdims=True, dtype=np.float64)
        if self.soft is None or self.soft_share == 0:
            return seen
        spread = self.soft_share * self.soft + (1 - self.soft_share) * np.eye(len(self.soft))
        found = seen
        for _ in range(_STEPS):
            expected = found @ spread
            ratio = np.divide(seen, expected, out=np.ones_like(seen), where=expected > 0)
            found = found * (ratio @ spread.T)
        return found / found.sum(axis=1, keepdims=True)

    def std(self, proba: np.ndarray) -> np.ndarray:
        """Return the mixture's standard deviation for each row of class probabilities."""
        proba = self.sharpened(proba)
        mean = proba @ self.mean
        # Between the classes and within them; squared distances stay above zero.
        between = (proba * (self.mean - mean[:, None]) ** 2).sum(axis=1)
        return np.sqrt(between + proba @ self.variance)

    def quantiles(self, proba: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the mixture's quantiles for each row of class probabilities.

        Classes don't overlap, so a level falls into the class where the cumulated
        probability passes it, and what is left of it is a level within that class.

        Parameters
        ----------
        proba : numpy.ndarray of shape (n_samples, n_classes)
            Class probabilities.
        levels : numpy.ndarray of shape (n_levels,)
            Levels in [0, 1].

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_levels)
        """
        proba = self.sharpened(proba)
        upto = np.cumsum(proba, axis=1)
        found = np.empty((len(proba), len(levels)))
        rows = np.arange(len(proba))
        for i, level in enumerate(levels):
            # The last class takes what rounding leaves above the cumulated sum.
            k = np.minimum((upto < level).sum(axis=1), proba.shape[1] - 1)
            share = proba[rows, k]
            left = level - (upto[rows, k] - share)
            within = np.clip(left / np.where(share > 0, share, 1), 0, 1) * (len(_GRID) - 1)
            low = np.minimum(within.astype(int), len(_GRID) - 2)
            part = within - low
            found[:, i] = (1 - part) * self.grid[k, low] + part * self.grid[k, low + 1]
        return found
