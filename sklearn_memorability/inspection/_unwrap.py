"""Predictions through whatever a regressor is wrapped in: Pipelines, searches, frozen models."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import Bunch, _safe_indexing, column_or_1d
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklearn_memorability._utils._estimators import parts_of, steps_of
from sklearn_memorability.features._extractor import unreadable_images
from sklearn_memorability.images import ImageReadError


def class_proba(model: Any, X: Any) -> np.ndarray:
    """Predict class probabilities through a Pipeline or a search.

    scikit-learn's Pipelines and searches pass on ``predict``, but not a regressor's
    own ``predict_class_proba``.

    Parameters
    ----------
    model : estimator
        A fitted
        :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`, or a
        Pipeline, search (``best_estimator_``) or frozen estimator around it, nested in
        any way.
    X : array-like
        What ``model.predict`` takes: images or features.

    Returns
    -------
    numpy.ndarray of shape (n_samples, n_classes_)
        Probabilities p(k), from the least to the most memorable class.

    Raises
    ------
    TypeError
        If no such regressor is inside.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.inspection import class_proba
    >>> from sklearn_memorability.pipelines import mlp_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> pipeline = mlp_regressor(max_epochs=1, random_state=0).fit(X, y)
    >>> class_proba(pipeline, X[:5]).shape
    (5, 4)
    """
    regressor, features = class_head(model, X, "predict_class_proba")
    return regressor.predict_class_proba(features)


def quantiles(model: Any, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> np.ndarray:
    """Predict quantiles of the score through a Pipeline or a search.

    Parameters
    ----------
    model : estimator
        As in :func:`class_proba`.
    X : array-like
        What ``model.predict`` takes: images or features.
    quantiles : sequence of float in [0, 1], default=(0.05, 0.5, 0.95)
        The levels.

    Returns
    -------
    numpy.ndarray of shape (n_samples, n_quantiles)
        One column a level.

    Raises
    ------
    TypeError
        If no such regressor is inside.
    ValueError
        If a level lies outside [0, 1].
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.inspection import quantiles
    >>> from sklearn_memorability.pipelines import mlp_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> pipeline = mlp_regressor(max_epochs=1, random_state=0).fit(X, y)
    >>> low, high = quantiles(pipeline, X[:1], (0.05, 0.95))[0]
    >>> bool(low < high)
    True
    """
    regressor, features = class_head(model, X, "predict_quantiles")
    return regressor.predict_quantiles(features, quantiles)


def predict_images(model: Any, images: Any, levels: Sequence[float] = (0.05, 0.95)) -> Bunch:
    """Predict all that a model says of each image, each going through it once.

    An image that can't be read costs its own row only.

    Parameters
    ----------
    model : estimator
        A fitted one, or a Pipeline, search or frozen estimator around it.
    images : array-like
        What ``model.predict`` takes: images, or features.
    levels : sequence of float in [0, 1], default=(0.05, 0.95)
        The levels of the quantiles.

    Returns
    -------
    sklearn.utils.Bunch
        ``score`` of shape (n_images,); ``class_proba`` of shape (n_images, n_classes) and
        ``quantiles`` of shape (n_images, n_levels), or None for models without classes; and
        ``errors``, a list of ImageReadError in the order of their rows, which are NaN.
    """
    *transformers, head = fitted_steps(model)
    n_images = _num_samples(images)
    rows = np.arange(n_images)
    has_classes = hasattr(head, "_quantiles_of")
    with _unreadable_as_nan(model) as errors:
        predict = head.predict_class_proba if has_classes else head.predict
        output = images
        for step in [*(transformer.transform for transformer in transformers), predict]:
            output = step(output)
            # Scikit-learn's estimators mostly refuse NaN, and all of them no row at all.
            rows, output = _without_errors(rows, output, errors)
            if not len(rows):
                break
    at = np.asarray(levels, dtype=float)
    result = Bunch(
        score=np.full(n_images, np.nan),
        class_proba=np.full((n_images, head.n_classes_), np.nan) if has_classes else None,
        quantiles=np.full((n_images, len(at)), np.nan) if has_classes else None,
        errors=[error for _, error in sorted(errors.items())],
    )
    if not len(rows):
        return result
    if has_classes:
        result.class_proba[rows] = output
        result.quantiles[rows] = head._quantiles_of(output, at)
        output = head._scores_of(output)
    result.score[rows] = column_or_1d(np.asarray(output, dtype=float))
    return result


def fitted_steps(model: Any) -> list[Any]:
    """Return the steps that data pass through, in order; NotFittedError if one is not fitted."""
    steps = [step for _, step in steps_of(model)]
    for part in [model, *steps]:
        # Whatever has a predict may stand in for an estimator.
        if hasattr(part, "fit"):
            check_is_fitted(part)
    return steps


def class_head(model: Any, X: Any, method: str) -> tuple[Any, Any]:
    """Return the regressor with classes inside a model, and what goes into it."""
    *transformers, head = fitted_steps(model)
    if not hasattr(head, method):
        raise TypeError(
            f"{type(model).__name__} holds no estimator with {method}; expected a "
            "BalancedQuantileClassifierRegressor, or a Pipeline or search around one."
        )
    for transformer in transformers:
        X = transformer.transform(X)
    return head, X


@contextmanager
def _unreadable_as_nan(model: Any) -> Iterator[dict[int, ImageReadError]]:
    """Let the model go on after unreadable images; yields what will hold their errors by row."""
    refusing = [part for part in parts_of(model) if getattr(part, "on_error", None) == "raise"]
    for part in refusing:
        part.on_error = "nan"
    try:
        with unreadable_images() as errors:
            yield errors
    finally:
        for part in refusing:
            part.on_error = "raise"


def _without_errors(
    rows: np.ndarray, X: Any, errors: dict[int, ImageReadError]
) -> tuple[np.ndarray, Any]:
    """Return the places of the images that could be read, and their rows of ``X``."""
    left = np.flatnonzero(~np.isin(rows, list(errors)))
    return rows[left], X if len(left) == len(rows) else _safe_indexing(X, left)
