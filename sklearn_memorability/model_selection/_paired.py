"""Models' scores on the same folds, and tests of their differences."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import t
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, check_cv, cross_validate

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
    scoring: Any,
    n_jobs: int | None,
    params: dict[str, Any] | None,
) -> np.ndarray:
    """Fit each model on each fold and score it."""
    scores = Parallel(n_jobs=n_jobs)(
        delayed(_score)(model, f"Model {name!r} failed on fold {i}", X, y, fold, scoring, params)
        for name, model in models.items()
        for i, fold in enumerate(folds)
    )
    return np.array(scores).reshape(len(models), len(folds))


def _score(
    model: Any,
    failed: str,
    X: Any,
    y: np.ndarray,
    fold: Fold,
    scoring: Any,
    params: dict[str, Any] | None,
) -> float:
    try:
        found = cross_validate(
            clone(model), X, y, cv=[fold], scoring=scoring, params=params, error_score="raise"
        )
    except Exception as error:
        error.add_note(f"{failed}, counted from 0.")
        raise
    return float(found["test_score"][0])


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
    error = float(np.sqrt((1 / n_folds + test_to_train) * np.var(scores, ddof=1)))
    if error == 0:
        return Estimate(value, 0.0, value, value, float(value == 0))
    width = error * t.ppf((1 + confidence_level) / 2, n_folds - 1)
    p_value = 2 * t.sf(abs(value) / error, n_folds - 1)
    return Estimate(value, error, value - width, value + width, float(p_value))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number by Holm's procedure."""
    n_tests = np.count_nonzero(~np.isnan(p_values))
    order = np.argsort(p_values)[:n_tests]  # NaN is sorted to the end
    times = np.arange(n_tests, 0, -1)
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * times), 1)
    return adjusted
