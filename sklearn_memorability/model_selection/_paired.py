"""Models' scores on the same folds, and tests of their differences."""

import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import t
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GroupKFold, check_cv, cross_validate

from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.model_selection._folds import StratifiedScoreKFold

_N_SPLITS, _N_ROUNDS = 5, 3

Fold = tuple[np.ndarray, np.ndarray]


def make_folds(
    cv: Any, X: Any, y: np.ndarray, groups: Any, rng: np.random.RandomState
) -> tuple[list[Fold], str]:
    """Return the rows of each fold, and what made them."""
    if cv is not None and not isinstance(cv, Integral):
        splits = list(check_cv(cv, y).split(X, y, groups))
        described = repr(cv) if hasattr(cv, "split") else "as given"
        return splits, f"{described}, {len(splits)} folds"
    # With few large groups, StratifiedGroupScoreKFold makes nearly the same folds each round.
    kind = StratifiedScoreKFold if groups is None else GroupKFold
    n_splits, n_rounds = (_N_SPLITS, _N_ROUNDS) if cv is None else (int(cv), 1)
    splits = [
        split
        for _ in range(n_rounds)
        for split in kind(n_splits, shuffle=True, random_state=rng).split(X, y, groups)
    ]
    rounds = f"shuffled {n_rounds} times" if n_rounds > 1 else "shuffled"
    return splits, f"{kind.__name__}(n_splits={n_splits}) {rounds}, {len(splits)} folds"


def score_models(
    models: Mapping[str, Any],
    X: Any,
    y: np.ndarray,
    folds: list[Fold],
    *,
    scoring: Any,
    keep_predictions: bool,
    error_score: Any,
    n_jobs: int | None,
    params: dict[str, Any] | None,
) -> tuple[np.ndarray, list[list[np.ndarray | None]]]:
    """Fit each model on each fold and score it."""
    tried = Parallel(n_jobs=n_jobs)(
        delayed(_try)(
            model,
            f"Model {name!r} failed on fold {i}, counted from 0",
            X,
            y,
            fold,
            _Keeping() if keep_predictions else scoring,
            error_score,
            params,
        )
        for name, model in models.items()
        for i, fold in enumerate(folds)
    )
    failures = [why for _, _, why in tried if why]
    if failures:
        warnings.warn(
            f"{len(failures)} of {len(tried)} fits failed and got the score {error_score}. "
            + "\n".join(failures),
            FitFailedWarning,
            stacklevel=3,
        )
    shape = len(models), len(folds)
    predictions = iter(predicted for _, predicted, _ in tried)
    return (
        np.array([score for score, _, _ in tried]).reshape(shape),
        [[next(predictions) for _ in folds] for _ in models],
    )


class _Keeping:
    """A scorer that keeps the predictions it scored."""

    predicted: np.ndarray | None = None

    def __call__(self, estimator: Any, X: Any, y: np.ndarray) -> float:
        self.predicted = np.asarray(estimator.predict(X))
        return spearman_score(y, self.predicted)


def _try(
    model: Any,
    failed: str,
    X: Any,
    y: np.ndarray,
    fold: Fold,
    scorer: Any,
    error_score: Any,
    params: dict[str, Any] | None,
) -> tuple[float, np.ndarray | None, str]:
    """Return a fold's score, the predictions if they are kept, and what went wrong."""
    try:
        found = cross_validate(
            clone(model), X, y, cv=[fold], scoring=scorer, params=params, error_score="raise"
        )
    except Exception as error:
        if error_score == "raise":
            error.add_note(f"{failed}.")
            raise
        return float(error_score), None, f"{failed}: {type(error).__name__}: {error}"
    return float(found["test_score"][0]), getattr(scorer, "predicted", None), ""


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
    """Estimate the mean over folds by the corrected resampled t-test."""
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
    """Estimate a mean by its resamples' percentiles."""
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
    """Adjust p-values for their number by Holm's procedure."""
    n_tests = np.count_nonzero(~np.isnan(p_values))
    order = np.argsort(p_values)[:n_tests]  # NaN is sorted to the end
    times = np.arange(n_tests, 0, -1)
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * times), 1)
    return adjusted
