"""Scores cut into balanced classes, and classes turned back into scores (NumPy alone)."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

AGGREGATIONS = ("upper", "mean", "median", "midpoint")

# How wide a soft target is, in standard deviations of the training scores.
SOFT_WIDTH = 0.5


class FewerClassesWarning(UserWarning):
    """The scores have fewer distinct values than there were to be classes."""


class ScoreRangeWarning(UserWarning):
    """The scores leave (0, 1), so their own range stands in for it."""


@dataclass(frozen=True)
class ScoreClasses:
    """Balanced, right-closed classes of a score.

    Attributes
    ----------
    thresholds : numpy.ndarray of shape (n_classes,)
        The upper thresholds s_k; the last is the top of the score's range.
    labels : numpy.ndarray of shape (n_samples,), int
        The class of each training score, from 0.
    counts : numpy.ndarray of shape (n_classes,), int
        How many training scores each class has.
    """

    thresholds: np.ndarray
    labels: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(
        cls, y: np.ndarray, n_classes: int, sample_weight: np.ndarray, top: float
    ) -> "ScoreClasses":
        """Cut scores into classes of as equal a weight as their ties allow.

        Equal scores share a class (y <= s_k). A threshold that several quantiles
        agree on counts once, so a score with few distinct values gets fewer classes.

        Parameters
        ----------
        y : numpy.ndarray of shape (n_samples,)
            The scores.
        n_classes : int
            How many classes to make.
        sample_weight : numpy.ndarray of shape (n_samples,)
            Weights above zero.
        top : float
            The top of the score's range, s_K.

        Returns
        -------
        ScoreClasses
        """
        # With weights, NumPy compares cumulated shares with k / K; without, it rounds
        # n * (k / K), which may land one row off. So the weights are always given.
        levels = np.arange(1, n_classes) / n_classes
        inner = np.quantile(y, levels, method="inverted_cdf", weights=sample_weight)
        inner = np.unique(inner)
        inner = inner[inner < y.max()]
        if len(inner) + 1 < n_classes:
            warnings.warn(
                f"The {len(np.unique(y))} distinct scores give {len(inner) + 1} balanced "
                f"class(es) instead of n_classes={n_classes}: equal scores share a class.",
                FewerClassesWarning,
                stacklevel=5,
            )
        labels = np.searchsorted(inner, y, side="left")
        return cls(
            thresholds=np.append(inner, top),
            labels=labels,
            counts=np.bincount(labels, minlength=len(inner) + 1),
        )

    @classmethod
    def within(cls, thresholds: np.ndarray, y: np.ndarray) -> "ScoreClasses":
        """Sort scores into classes made from other scores.

        Parameters
        ----------
        thresholds : numpy.ndarray of shape (n_classes,)
            The upper thresholds.
        y : numpy.ndarray of shape (n_samples,)
            The scores.

        Returns
        -------
        ScoreClasses
            Not balanced; a class may have no row.
        """
        labels = np.searchsorted(thresholds[:-1], y, side="left")
        return cls(thresholds, labels, np.bincount(labels, minlength=len(thresholds)))

    def targets(self, y: np.ndarray, sample_weight: np.ndarray, soft: bool) -> np.ndarray:
        """Return each row's distribution over classes, scaled by its weight.

        The cross-entropy is linear in the target, so a row's weight can stand in it.
        The weights' mean is made 1, which keeps the learning rate's meaning.

        Parameters
        ----------
        y, sample_weight : numpy.ndarray of shape (n_samples,)
            The training scores and their weights.
        soft : bool
            Whether a score spreads over the classes around it, as a normal
            distribution of ``SOFT_WIDTH`` standard deviations of the scores does
            (HL-Gauss), instead of counting for its own class alone.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_classes), float32
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

    def values(
        self, y: np.ndarray, sample_weight: np.ndarray, aggregation: str, bottom: float
    ) -> np.ndarray:
        """Return the score that stands for each class.

        Parameters
        ----------
        y : numpy.ndarray of shape (n_samples,)
            The training scores.
        sample_weight : numpy.ndarray of shape (n_samples,)
            Their weights.
        aggregation : {"upper", "mean", "median", "midpoint"}
            The upper threshold (Eq. 1), the weighted mean or median of the class's
            training scores, or the middle between its thresholds.
        bottom : float
            The bottom of the score's range.

        Returns
        -------
        numpy.ndarray of shape (n_classes,)
            Increasing. A single class stands for its mean, whatever the aggregation.
        """
        if aggregation == "mean" or len(self.thresholds) == 1:
            total = np.bincount(self.labels, weights=sample_weight)
            return np.bincount(self.labels, weights=sample_weight * y) / total
        if aggregation == "upper":
            return self.thresholds.copy()
        if aggregation == "midpoint":
            return (np.append(bottom, self.thresholds[:-1]) + self.thresholds) / 2
        members = [self.labels == k for k in range(len(self.thresholds))]
        return np.array(
            [
                np.quantile(y[mine], 0.5, method="inverted_cdf", weights=sample_weight[mine])
                for mine in members
            ]
        )


def resolve_score_range(
    y: np.ndarray, score_range: str | tuple[float, float]
) -> tuple[float, float]:
    """Return the least and the largest score there can be.

    Parameters
    ----------
    y : numpy.ndarray of shape (n_samples,)
        The scores.
    score_range : "auto" or tuple of two floats
        ``"auto"``: (0, 1) where the scores lie in it, else their own range, with a
        warning.

    Returns
    -------
    tuple of two floats

    Raises
    ------
    ValueError
        If a range is given that is none, or scores lie outside it.
    """
    least, most = float(y.min()), float(y.max())
    if isinstance(score_range, str):
        if least >= 0 and most <= 1:
            return 0.0, 1.0
        warnings.warn(
            f"The scores run from {least:g} to {most:g}, outside (0, 1); this range is used. "
            "Pass score_range=(low, high) to state the range they can have, such as (-1, 1) "
            "for hit rate - false-alarm rate.",
            ScoreRangeWarning,
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
