"""scikit-learn's regressors for scores: in any unit, of few rows, of images that can't be read."""

from typing import Any, Self

import numpy as np
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import Tags, _safe_indexing
from sklearn.utils.validation import _check_sample_weight, _check_y, check_is_fitted

from sklearn_memorability.regression._rows import refuse_nan, rows_of_nan


class _NaNForNaN:
    """Predicts NaN for rows with NaN, which ``fit`` refuses."""

    def predict(self, X: Any) -> np.ndarray:
        """Predict the score of each row."""
        check_is_fitted(self)
        unknown = rows_of_nan(X)
        if not len(unknown):
            return super().predict(X)  # type: ignore[misc]
        predicted = np.full(len(X), np.nan)
        known = np.setdiff1d(np.arange(len(X)), unknown)
        if len(known):
            predicted[known] = super().predict(_safe_indexing(X, known))  # type: ignore[misc]
        return predicted

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = tags.input_tags.sparse = False
        return tags


class ScoreSVR(_NaNForNaN, SVR):
    """SVR with ``C`` and ``epsilon`` in standard deviations of the training scores."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the scores, divided by their standard deviation."""
        refuse_nan(X)
        y = _check_y(y, y_numeric=True, estimator=self).astype(np.float64)
        weight = _check_sample_weight(sample_weight, y)
        deviations = y - np.average(y, weights=weight) if weight.any() else y
        self.score_std_ = float(np.sqrt(np.average(deviations**2, weights=weight + 1e-300))) or 1.0
        # Rounded, so that a last digit of the quotient can't send the solver another way.
        return super().fit(X, (y / self.score_std_).astype(np.float32), sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the score of each row."""
        return super().predict(X) * self.score_std_


class ScoreNeighbors(_NaNForNaN, KNeighborsRegressor):
    """KNeighborsRegressor that takes all rows where there are fewer than ``n_neighbors``."""

    def fit(self, X: Any, y: Any) -> Self:
        """Keep the rows."""
        refuse_nan(X)
        return super().fit(X, y)

    def kneighbors(
        self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """Return the nearest rows, as many as there are."""
        check_is_fitted(self)
        most = self.n_samples_fit_ - (X is None)
        asked = self.n_neighbors if n_neighbors is None else n_neighbors
        return super().kneighbors(X, min(asked, most), return_distance)


class ScoreTree(_NaNForNaN, DecisionTreeRegressor):
    """DecisionTreeRegressor that doesn't guess at images that could not be read."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the tree."""
        refuse_nan(X)
        return super().fit(X, y, sample_weight)
