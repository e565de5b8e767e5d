"""Predictions from class probabilities: scores, classes, quantiles, a new calibration."""

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from sklearn_memorability.regression._checks import check_features_and_scores
from sklearn_memorability.regression._distribution import ClassDistributions
from sklearn_memorability.regression._score_classes import resolve_score_range


class ClassProbabilityMixin:
    """What follows from class probabilities alone.

    For regressors with ``predict_class_proba`` and the fitted attributes
    ``thresholds_``, ``class_values_``, ``score_range_`` and ``_distributions``.
    """

    thresholds_: np.ndarray
    class_values_: np.ndarray
    score_range_: tuple[float, float]
    _distributions: ClassDistributions

    def predict_class_proba(self, X: Any) -> np.ndarray:
        """Predict the probability p(k) of each class."""
        raise NotImplementedError  # pragma: no cover

    def predict(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the score of each row: the sum over classes of p(k) s(k) (Eq. 1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.
        return_std : bool, default=False
            Whether to return the standard deviation of each row's score too: that of
            the classes' training scores, mixed as for ``predict_quantiles``. It counts
            how scores spread within a class, whatever the aggregation.

        Returns
        -------
        numpy.ndarray of shape (n_samples,), or a pair of such
            Scores between the least and the largest of ``class_values_``; with
            ``return_std`` the standard deviations beside them.
        """
        proba = self.predict_class_proba(X)
        scores = self._scores_of(proba)
        return (scores, self._distributions.std(proba)) if return_std else scores

    def predict_class(self, X: Any) -> np.ndarray:
        """Predict the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.

        Returns
        -------
        numpy.ndarray of shape (n_samples,), int
            From 0, the least memorable class, to ``n_classes_ - 1``.
        """
        return self.predict_class_proba(X).argmax(axis=1)

    def predict_quantiles(
        self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)
    ) -> np.ndarray:
        """Predict quantiles of each row's score.

        They are those of the classes' training scores, mixed by the class
        probabilities; between .05 and .95 nine of ten new scores are expected. With
        ``target="soft"`` the known spread of the targets, which the probabilities have
        learnt, is first taken out of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.
        quantiles : sequence of float in [0, 1], default=(0.05, 0.5, 0.95)
            The levels.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_quantiles)
            One column a level; within a row they rise with the level.

        Raises
        ------
        ValueError
            If a level lies outside [0, 1].
        """
        levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
        if levels.ndim != 1 or not ((levels >= 0) & (levels <= 1)).all():
            raise ValueError(f"quantiles={quantiles!r} must be levels in [0, 1].")
        return self._quantiles_of(self.predict_class_proba(X), levels)

    def recalibrate(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the level and the spread of the predictions to other scores.

        For a model learnt elsewhere and a small set of one's own, measured in another
        way: ``class_values_``, ``thresholds_`` and the quantiles are moved and stretched
        so that the predictions fit the new scores best (least squares). The network, and
        so the order of the predictions, stays as it is; some dozens of rows are enough.
        Where the predictions do not rise with the new scores, only their level is moved,
        with a warning.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of the new rows.
        y : array-like of shape (n_samples,)
            Their scores, within ``score_range_``.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a score lies outside ``score_range_``.
        """
        check_is_fitted(self)
        X, y = check_features_and_scores(self, X, y, reset=False)
        sample_weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        resolve_score_range(y, self.score_range_)
        proba = self.predict_class_proba(X)
        # Upper thresholds lie above the scores they stand for, so the line that suits the
        # predictions is not the one that suits the scores in the classes.
        found = proba @ self.class_values_, proba @ self._distributions.mean
        slopes = [_slope(x, y, sample_weight) for x in found]
        if min(slopes) <= 0:
            warnings.warn(
                "The predictions do not rise with the new scores, so only their level is fitted; "
                "look whether the model suits these data.",
                UserWarning,
                stacklevel=2,
            )
            slopes = [1.0, 1.0]
        mean = np.average(y, weights=sample_weight)
        for_values, for_scores = (
            (mean - slope * np.average(x, weights=sample_weight), slope)
            for x, slope in zip(found, slopes, strict=True)
        )
        self.class_values_ = np.clip(
            for_values[0] + for_values[1] * self.class_values_, *self.score_range_
        )
        self._move_scores(*for_scores)
        return self

    def _scores_of(self, proba: np.ndarray) -> np.ndarray:
        """Return the scores that class probabilities stand for (Eq. 1)."""
        # A softmax in single precision sums to 1 only nearly, and 1.0000001 is no score.
        return np.clip(proba @ self.class_values_, self.class_values_[0], self.class_values_[-1])

    def _quantiles_of(self, proba: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return quantiles of the scores that class probabilities stand for."""
        return self._distributions.quantiles(proba, levels)

    def _move_scores(self, offset: float, slope: float) -> None:
        """Let the classes hold ``offset + slope * score`` for each score they held."""
        # The last threshold is the top of the range, whatever the scores.
        inner = np.clip(offset + slope * self.thresholds_[:-1], *self.score_range_)
        self.thresholds_ = np.append(inner, self.thresholds_[-1])
        self._distributions = self._distributions.moved(offset, slope)


def _slope(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Return the slope of the least-squares line through weighted points; 1 if x is constant."""
    x = x - np.average(x, weights=weight)
    spread = np.average(x**2, weights=weight)
    return float(np.average(x * y, weights=weight) / spread) if spread > 0 else 1.0
