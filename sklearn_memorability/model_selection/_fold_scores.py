"""Several models' scores, and predictions, on the same folds."""

import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GroupKFold, check_cv, cross_validate

from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.model_selection._folds import StratifiedScoreKFold

_N_SPLITS, _N_ROUNDS = 5, 3

Fold = tuple[np.ndarray, np.ndarray]


def make_folds(
    cv: Any, X: Any, y: np.ndarray, groups: Any, chance: np.random.RandomState
) -> tuple[list[Fold], str]:
    """Return the rows of each fold, and what made them.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) or None
        As in :func:`compare`.
    X, y, groups : array-like, numpy.ndarray, array-like or None
        Pictures, scores and which pictures belong together.
    chance : numpy.random.RandomState
        Shuffles, unless ``cv`` is a splitter or folds.

    Returns
    -------
    folds : list of (train, test)
        All folds.
    made_by : str
        For the reader of a table.
    """
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
        for split in kind(n_splits, shuffle=True, random_state=chance).split(X, y, groups)
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
    """Fit each model on each fold and score it.

    Parameters
    ----------
    models : mapping of str to estimator
        They are cloned.
    X, y : array-like and numpy.ndarray of shape (n_samples, ...) and (n_samples,)
        Pictures and scores.
    folds : list of (train, test)
        Rows.
    scoring, error_score, n_jobs, params
        As in :func:`compare`.
    keep_predictions : bool
        Whether predictions are returned. Then the score is Spearman's correlation.

    Returns
    -------
    scores : numpy.ndarray of shape (n_models, n_folds)
        In the models' order.
    predictions : list of list of numpy.ndarray
        Of each model and fold; None where the model failed or they are not kept.
    """
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
