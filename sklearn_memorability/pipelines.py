"""Ready-made Pipelines: the paper's classifier and its baseline."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

__all__ = ["mlp_regressor", "recommended_regressor", "svr_regressor"]


def mlp_regressor(
    features: Any = None,
    *,
    n_classes: int = 4,
    score_range: tuple[float, float] = (0.0, 1.0),
    random_state: int | np.random.RandomState | None = None,
    **params: Any,
) -> Pipeline:
    """Return the paper's model: (features,) scaling, and the K-class MLP.

    Rows "MLP, 2 classes" and "MLP, 4 classes" of Table 1 in Squalli-Houssaini et al.
    (2018).

    Parameters
    ----------
    features : transformer, optional
        From pictures to features, such as ``VGGFeatures()``. Without it the Pipeline
        takes features.
    n_classes : int, default=4
        Number of classes K.
    score_range : tuple of two floats, default=(0.0, 1.0)
        The least and the largest score there can be; the top is the value of the
        highest class. Hit rate - false-alarm rate has (-1, 1).
    random_state : int, RandomState instance or None, default=None
        Seeds the MLP.
    **params
        Further parameters of
        :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps ``"features"`` (if given), ``"scale"`` and ``"model"``.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.pipelines import mlp_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> mlp_regressor(n_classes=2, random_state=0).fit(X, y).predict(X[:3]).shape
    (3,)
    """
    model = BalancedQuantileClassifierRegressor(
        n_classes=n_classes, score_range=score_range, random_state=random_state, **params
    )
    return _scaled(features, model)


def recommended_regressor(
    features: Any = None,
    *,
    score_range: tuple[float, float] = (0.0, 1.0),
    random_state: int | np.random.RandomState | None = None,
    **params: Any,
) -> Pipeline:
    """Return what we recommend where accuracy matters more than the paper's letter.

    One configuration for small and large sets, to be used without tuning: scaling, and
    :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor` with
    sixteen classes, soft targets and class means; four members of two layers of 128
    units; and, half and half, a ridge regression turned into class probabilities. What
    adapts to the data does so by rule: training takes ten passes but at least 2,000
    steps, and the share of inputs left out follows the ridge penalty that is best by
    leave-one-out error, so a set of few rows and many features is held close to the
    linear model.

    ``benchmarks/accuracy.py`` measures it against the paper's settings and tuned
    baselines.

    Parameters
    ----------
    features : transformer, optional
        From pictures to features, such as ``ImageFeatures()``. Without it the Pipeline
        takes features.
    score_range : tuple of two floats, default=(0.0, 1.0)
        The least and the largest score there can be.
    random_state : int, RandomState instance or None, default=None
        Seeds the members.
    **params
        Parameters of the regressor, in place of the recommended ones.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps ``"features"`` (if given), ``"scale"`` and ``"model"``.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.pipelines import recommended_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> model = recommended_regressor(random_state=0, min_steps=100).fit(X[:300], y[:300])
    >>> model.predict(X[300:303]).shape
    (3,)
    """
    settings: dict[str, Any] = {
        "n_classes": 16,
        "aggregation": "mean",
        "target": "soft",
        "branch_sizes": (128,),
        "hidden_layer_sizes": (128,),
        "activation": "gelu",
        "input_dropout": "ridge",
        "linear_weight": 0.5,
        "batch_size": 64,
        "min_steps": 2000,
        "n_members": 4,
        "share_weights": False,
    }
    model = BalancedQuantileClassifierRegressor(
        score_range=score_range, random_state=random_state, **{**settings, **params}
    )
    return _scaled(features, model)


def svr_regressor(
    features: Any = None, *, C: float = 0.1, epsilon: float = 0.05, **params: Any
) -> Pipeline:
    """Return the paper's baseline: (features,) scaling, and support vector regression.

    Rows "SVR" of Table 1 in Squalli-Houssaini et al. (2018). The paper tuned its SVR
    on LaMem and does not print the result; the defaults here are ours. They suit scores
    that vary by about .1, where scikit-learn's ``epsilon=0.1`` would ignore most
    differences. Tune ``model__C`` and ``model__gamma`` for a fair baseline.

    Parameters
    ----------
    features : transformer, optional
        From pictures to features, such as ``VGGFeatures()``. Without it the Pipeline
        takes features.
    C : float, default=0.1
        Inverse strength of the regularisation.
    epsilon : float, default=0.05
        Errors up to this, in units of the score, cost nothing.
    **params
        Further parameters of :class:`~sklearn.svm.SVR`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps ``"features"`` (if given), ``"scale"`` and ``"model"``.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.pipelines import svr_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> svr_regressor().fit(X, y).predict(X[:3]).shape
    (3,)
    """
    return _scaled(features, SVR(C=C, epsilon=epsilon, **params))


def _scaled(features: Any, model: Any) -> Pipeline:
    steps = [("scale", StandardScaler()), ("model", model)]
    return Pipeline(steps if features is None else [("features", features), *steps])
