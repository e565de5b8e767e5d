"""Class probabilities and quantiles of whatever the regressor is wrapped in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


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
        What ``model.predict`` takes, pictures or features.

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
    regressor, features = _unwrap(model, X, "predict_class_proba")
    return regressor.predict_class_proba(features)


def quantiles(model: Any, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> np.ndarray:
    """Predict quantiles of the score through a Pipeline or a search.

    Parameters
    ----------
    model : estimator
        As in :func:`class_proba`.
    X : array-like
        What ``model.predict`` takes, pictures or features.
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
    regressor, features = _unwrap(model, X, "predict_quantiles")
    return regressor.predict_quantiles(features, quantiles)


def _unwrap(model: Any, X: Any, method: str) -> tuple[Any, Any]:
    outermost = model
    while not hasattr(model, method):
        if isinstance(model, Pipeline):
            check_is_fitted(model)
            if len(model) > 1:
                X = model[:-1].transform(X)
            model = model[-1]
        elif hasattr(model, "best_estimator_") or (
            hasattr(model, "refit") and hasattr(model, "cv")
        ):
            check_is_fitted(model, "best_estimator_")
            model = model.best_estimator_
        elif type(model).__name__ == "FrozenEstimator":
            model = model.estimator
        else:
            raise TypeError(
                f"{type(outermost).__name__} holds no estimator with {method}; expected a "
                "BalancedQuantileClassifierRegressor, or a Pipeline or search around one."
            )
    return model, X
