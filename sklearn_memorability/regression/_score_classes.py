"""Scores cut into balanced classes, and classes turned back into scores (NumPy alone)."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

# How wide a soft target is, in standard deviations of the training scores.
SOFT_WIDTH = 0.5

# The grid does not grow with the training rows, and is finer than any class is known.
_GRID = np.linspace(0, 1, 101)

# Steps of the deconvolution. Beside a kernel path it has then settled; where there is
# none, more steps would begin to fit the network's noise.
_STEPS = 3


@dataclass(frozen=True)
class ScoreClasses:
    """Balanced, right-closed classes of a score.

    Attributes
    ----------
    thresholds : numpy.ndarray of shape (n_classes,)
        The upper thresholds s_k; the last is the top of the score's range.
    labels : numpy.ndarray of shape (n_samples,), int
        The class of each training score, from 0.
    """

    thresholds: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(
        cls, y: np.ndarray, n_classes: int, sample_weight: np.ndarray, top: float
    ) -> "ScoreClasses":
        """Cut scores into classes of as equal a weight as their ties allow.

        Equal scores share a class (y <= s_k). A threshold that several quantiles
        agree on counts once, so a score with few distinct values gets fewer classes.
        """
        # With weights, NumPy compares cumulated shares with k / K; without, it rounds
        # n * (k / K), which may land one row off. So the weights are always given.
        levels = np.arange(1, n_classes) / n_classes
        inner = np.unique(np.quantile(y, levels, method="inverted_cdf", weights=sample_weight))
        inner = inner[inner < y.max()]
        if len(inner) + 1 < n_classes:
            warnings.warn(
                f"The {len(np.unique(y))} distinct scores give {len(inner) + 1} balanced "
                f"class(es) instead of n_classes={n_classes}: equal scores share a class.",
                UserWarning,
                stacklevel=4,
            )
        return cls.within(np.append(inner, top), y)

    @classmethod
    def within(cls, thresholds: np.ndarray, y: np.ndarray) -> "ScoreClasses":
        """Sort scores into given classes, of which some may get no row."""
        return cls(thresholds, np.searchsorted(thresholds[:-1], y, side="left"))

    @property
    def counts(self) -> np.ndarray:
        """How many training scores each class has."""
        return np.bincount(self.labels, minlength=len(self.thresholds))

    @property
    def members(self) -> list[np.ndarray]:
        """A mask of the training scores for each class."""
        return [self.labels == k for k in range(len(self.thresholds))]

    def targets(self, y: np.ndarray, sample_weight: np.ndarray, soft: bool) -> np.ndarray:
        """Return each row's distribution over classes, scaled by its weight, in float32.

        The cross-entropy is linear in the target, so a row's weight can stand in it.
        The weights' mean is made 1, which keeps the learning rate's meaning. Soft
        targets are those of a normal distribution of ``SOFT_WIDTH`` (HL-Gauss).
        """
        weight = (sample_weight / sample_weight.mean()).astype(np.float32)
        if not soft or len(self.thresholds) == 1:
            target = np.zeros((len(y), len(self.thresholds)), dtype=np.float32)
            target[np.arange(len(y)), self.labels] = weight
            return target
        mean = np.average(y, weights=sample_weight)
        width = SOFT_WIDTH * np.sqrt(np.average((y - mean) ** 2, weights=sample_weight))
        below = ndtr((self.thresholds[:-1] - y[:, None]) / width)
        below = np.hstack([np.zeros((len(y), 1)), below, np.ones((len(y), 1))])
        return (weight[:, None] * np.diff(below, axis=1)).astype(np.float32)

    def values(self, y: np.ndarray, sample_weight: np.ndarray, aggregation: str) -> np.ndarray:
        """Return the score that stands for each class; a single class stands for its mean."""
        if aggregation == "mean" or len(self.thresholds) == 1:
            total = np.bincount(self.labels, weights=sample_weight)
            return np.bincount(self.labels, weights=sample_weight * y) / total
        return self.thresholds.copy()


@dataclass(frozen=True)
class ClassDistributions:
    """How the training scores are spread within each class, and so within a mixture of them.

    Attributes
    ----------
    grid : numpy.ndarray of shape (n_classes, 101)
        Quantiles of each class's scores, from the least to the largest.
    mean, variance : numpy.ndarray of shape (n_classes,)
        Mean and variance of each class's scores.
    share : numpy.ndarray of shape (n_classes,)
        Share of the training scores, by weight, in each class.
    soft : numpy.ndarray of shape (n_classes, n_classes) or None
        Soft targets spread a class over others: the mean target of each class's rows.
        None for hard targets.
    soft_share : float
        The share of the class probabilities that the network learnt from targets.
    """

    grid: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    share: np.ndarray
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
        """Describe the scores of each class."""
        each = [(y[mine], sample_weight[mine]) for mine in classes.members]
        spread = None
        if soft:
            target = classes.targets(y, sample_weight, soft=True).astype(np.float64)
            spread = np.array([target[mine].sum(axis=0) for mine in classes.members])
            spread /= spread.sum(axis=1, keepdims=True)
        means = [np.average(scores, weights=w) for scores, w in each]
        variances = [
            np.average((scores - mean) ** 2, weights=w)
            for (scores, w), mean in zip(each, means, strict=True)
        ]
        grid = [np.quantile(scores, _GRID, method="inverted_cdf", weights=w) for scores, w in each]
        share = np.array([w.sum() for _, w in each]) / sample_weight.sum()
        return cls(np.array(grid), np.array(means), np.array(variances), share, spread, soft_share)

    @property
    def thresholds(self) -> np.ndarray:
        """The normal scores between the classes, of shape (n_classes - 1,)."""
        return ndtri(np.cumsum(self.share)[:-1])

    def normal_scores(self, y: np.ndarray) -> np.ndarray:
        """Return what scores would be if the training scores had the normal distribution."""
        before = np.cumsum(self.share) - self.share
        levels = (before[:, None] + self.share[:, None] * _GRID).ravel()
        values = self.grid.ravel()
        # The mean of the first and the last level with this score, or of those around it.
        first = np.minimum(np.searchsorted(values, y, side="left"), len(values) - 1)
        last = np.maximum(np.searchsorted(values, y, side="right") - 1, 0)
        edge = 0.5 / len(y)  # the extremes have a rank too
        return ndtri(np.clip((levels[first] + levels[last]) / 2, edge, 1 - edge))

    def moved(self, offset: float, slope: float) -> "ClassDistributions":
        """Return the distributions of ``offset + slope * score``."""
        return replace(
            self,
            grid=offset + slope * self.grid,
            mean=offset + slope * self.mean,
            variance=slope**2 * self.variance,
        )

    def std(self, proba: np.ndarray) -> np.ndarray:
        """Return the mixture's standard deviation for each row of class probabilities."""
        proba = self._sharpened(proba)
        mean = proba @ self.mean
        # Between the classes and within them; squared distances stay above zero.
        between = (proba * (self.mean - mean[:, None]) ** 2).sum(axis=1)
        return np.sqrt(between + proba @ self.variance)

    def quantiles(self, proba: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the mixture's quantiles, (n_samples, n_levels), for rows of probabilities.

        Classes don't overlap, so a level falls into the class where the cumulated
        probability passes it, and what is left of it is a level within that class.
        """
        unknown = np.isnan(proba).any(axis=1)
        if unknown.any():
            quantiles = np.full((len(proba), len(levels)), np.nan)
            quantiles[~unknown] = self.quantiles(proba[~unknown], levels)
            return quantiles
        proba = self._sharpened(proba)
        upto = np.cumsum(proba, axis=1)
        quantiles = np.empty((len(proba), len(levels)))
        rows = np.arange(len(proba))
        for i, level in enumerate(levels):
            # The last class takes what rounding leaves above the cumulated sum.
            k = np.minimum((upto < level).sum(axis=1), proba.shape[1] - 1)
            share = proba[rows, k]
            left = level - (upto[rows, k] - share)
            within = np.clip(left / np.where(share > 0, share, 1), 0, 1) * (len(_GRID) - 1)
            low = np.minimum(within.astype(int), len(_GRID) - 2)
            part = within - low
            quantiles[:, i] = (1 - part) * self.grid[k, low] + part * self.grid[k, low + 1]
        return quantiles

    def _sharpened(self, proba: np.ndarray) -> np.ndarray:
        """Take out of class probabilities what soft targets added to their width.

        A network taught by soft targets predicts the classes as spread as its targets
        were. That spread is known, so the probabilities under it are found by
        deconvolution (Richardson 1972, Lucy 1974: the steps of the EM algorithm).
        """
        seen = proba / proba.sum(axis=1, keepdims=True, dtype=np.float64)
        if self.soft is None or self.soft_share == 0:
            return seen
        spread = self.soft_share * self.soft + (1 - self.soft_share) * np.eye(len(self.soft))
        sharp = seen
        for _ in range(_STEPS):
            expected = sharp @ spread
            ratio = np.divide(seen, expected, out=np.ones_like(seen), where=expected > 0)
            sharp = sharp * (ratio @ spread.T)
        return sharp / sharp.sum(axis=1, keepdims=True)


def resolve_score_range(
    y: np.ndarray, score_range: str | tuple[float, float]
) -> tuple[float, float]:
    """Return the least and the largest score there can be; a ValueError if scores lie outside."""
    least, most = float(y.min()), float(y.max())
    if isinstance(score_range, str):
        if least >= 0 and most <= 1:
            return 0.0, 1.0
        warnings.warn(
            f"The scores run from {least:g} to {most:g}, outside (0, 1); this range is used. "
            "Pass score_range=(low, high) to state the range they can have, such as (-1, 1) "
            "for hit rate - false-alarm rate.",
            UserWarning,
            stacklevel=4,
        )
        return least, most
    try:
        low, high = (float(limit) for limit in score_range)
    except (TypeError, ValueError) as error:
        raise ValueError(f"score_range={score_range!r} must be 'auto' or two numbers.") from error
    if not low < high:
        raise ValueError(f"score_range={score_range!r} must run from low to high.")
    if least < low or most > high:
        row = int(np.flatnonzero((y < low) | (y > high))[0])
        raise ValueError(
            f"Scores run from {least:g} to {most:g}, outside score_range=({low:g}, {high:g}); "
            f"the first such is {y[row]:g} in row {row}."
        )
    return low, high
