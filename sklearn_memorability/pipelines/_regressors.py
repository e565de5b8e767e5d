"""The classifier behind a scaler: the paper's models, and the one we recommend."""

from typing import Any

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_memorability.features._caption_embedding import CaptionEmbedding
from sklearn_memorability.features._joint_space import open_embedding
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._scaler import BatchedScaler, SpreadScaler


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
    (2018): of CNN features, ``mlp_regressor(VGGFeatures())``; of IC features,
    ``mlp_regressor(CaptionEmbedding())``. Of both, :func:`two_branch_regressor`.

    Parameters
    ----------
    features : transformer, optional
        From images to features, such as ``VGGFeatures()``. Without it the Pipeline
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
    return scaled(features, model)


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
    sixteen classes, soft targets and class means; four members of two layers of 64 units;
    and, half and half, a kernel ridge regression turned into class probabilities. What
    adapts to the data does so by rule. Training takes ten passes but at least 500 steps
    (one a row below 500 rows). The share of inputs left out follows the ridge penalty that
    is best by leave-one-out error. Features of one kind keep a part of their differences in
    spread; features in different units are scaled to the same spread.

    ``benchmarks/accuracy.py`` measures it against the paper's settings and tuned
    baselines.

    Parameters
    ----------
    features : transformer, optional
        From images to features, such as ``ImageFeatures()``. Without it the Pipeline
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
    >>> model = recommended_regressor(random_state=0, max_epochs=2).fit(X[:300], y[:300])
    >>> model.predict(X[300:303]).shape
    (3,)
    """
    settings: dict[str, Any] = {
        "n_classes": 16,
        "aggregation": "mean",
        "target": "soft",
        "branch_sizes": (64,),
        "hidden_layer_sizes": (64,),
        "activation": "gelu",
        "input_dropout": "ridge",
        "kernel_weight": 0.5,
        "lr": 2e-3,
        "batch_size": 64,
        "max_epochs": "auto",
        "n_members": 4,
    }
    model = BalancedQuantileClassifierRegressor(
        score_range=score_range, random_state=random_state, **{**settings, **params}
    )
    return scaled(features, model, SpreadScaler())


def two_branch_regressor(
    features: Any = None,
    embedding: Any = "flickr8k",
    *,
    n_classes: int = 4,
    score_range: tuple[float, float] = (0.0, 1.0),
    random_state: int | np.random.RandomState | None = None,
    **params: Any,
) -> Pipeline:
    """Return the paper's best model: CNN and IC features, each with a branch of the MLP.

    Row "CNN + IC, MLP, 4 classes" of Table 1 in Squalli-Houssaini et al. (2018). A branch
    of the network takes a network's features of an image (CNN), another their projection
    into the joint space of images and captions (IC); the two are merged in front of the
    shared layers.

    Parameters
    ----------
    features : transformer, optional
        From images to CNN features, such as ``VGGFeatures()``. None takes the features
        of the network that the embedding was learned on, so that each image is decoded
        once and goes through one network once. Otherwise it is done once for each kind.
    embedding : str, path-like or fitted embedding, default="flickr8k"
        The joint space, as :class:`~sklearn_memorability.features.CaptionEmbedding`
        takes it.
    n_classes : int, default=4
        Number of classes K.
    score_range : tuple of two floats, default=(0.0, 1.0)
        The least and the largest score there can be.
    random_state : int, RandomState instance or None, default=None
        Seeds the MLP.
    **params
        Further parameters of
        :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps ``"features"``, ``"scale"`` and ``"model"``. Without ``features``,
        the first is a ``CaptionEmbedding(embedding, with_cnn=True)``, whose cache is set
        by ``set_params(features__cache=...)``; with them, a FeatureUnion of ``"cnn"`` and
        ``"ic"``.

    Raises
    ------
    FileNotFoundError
        If ``embedding`` is a file that does not exist.
    ValueError
        If it is damaged, not fitted, or not known.

    Notes
    -----
    The model's ``branches`` is (-1, width of the joint space). Whoever sets another
    embedding afterwards, as in a search, sets ``model__branches`` with it where the width
    differs.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.pipelines import two_branch_regressor
    >>> images, scores = load_sample_images().images * 4, [0.6, 0.8] * 4
    >>> model = two_branch_regressor(n_classes=2, random_state=0).fit(images, scores)
    >>> model.predict(images[:2]).shape
    (2,)
    """
    params.setdefault("branches", (-1, open_embedding(embedding).n_components_))
    model = BalancedQuantileClassifierRegressor(
        n_classes=n_classes, score_range=score_range, random_state=random_state, **params
    )
    if features is None:
        return scaled(CaptionEmbedding(embedding, with_cnn=True), model)
    both = [("cnn", features), ("ic", CaptionEmbedding(embedding))]
    return scaled(FeatureUnion(both), model)


def scaled(features: Any, model: Any, scaler: Any = None) -> Pipeline:
    """Return a Pipeline of (features,) scaling and a model."""
    steps = [("scale", scaler or BatchedScaler()), ("model", model)]
    return Pipeline(steps if features is None else [("features", features), *steps])
