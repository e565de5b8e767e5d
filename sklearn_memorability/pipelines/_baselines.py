"""The paper's baselines behind a scaler: support vectors, nearest neighbours, a tree.

As of all ready Pipelines, a row with NaN (an image that could not be read) is predicted as NaN,
and refused by ``fit``.
"""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from sklearn_memorability.pipelines._regressors import scaled
from sklearn_memorability.regression._baselines import ScoreNeighbors, ScoreSVR, ScoreTree


def svr_regressor(
    features: Any = None, *, C: float = 0.8, epsilon: float = 0.4, **params: Any
) -> Pipeline:
    """Return the paper's best baseline: (features,) scaling, and support vector regression.

    Rows "SVR" of Table 1 in Squalli-Houssaini et al. (2018): of CNN features,
    ``svr_regressor(VGGFeatures())``; of IC features, ``svr_regressor(CaptionEmbedding())``;
    of both, ``svr_regressor(CaptionEmbedding(with_cnn=True))``. The paper tuned its SVR
    on LaMem and does not print the result; the defaults here are ours. Tune it over
    :func:`search_space` for a fair baseline.

    ``C`` and ``epsilon`` are in standard deviations of the training scores, so a fit is
    the same whatever the scores' unit: hit rates, percentages or ratings. With hit rates
    whose standard deviation is .125, the defaults are C = .1 and epsilon = .05 of a plain
    SVR.

    Parameters
    ----------
    features : transformer, optional
        From images to features, such as ``VGGFeatures()``. Without it the Pipeline
        takes features.
    C : float, default=0.8
        Inverse strength of the regularisation.
    epsilon : float, default=0.4
        Errors up to this many standard deviations of the scores cost nothing.
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
    return scaled(features, ScoreSVR(C=C, epsilon=epsilon, **params))


def knn_regressor(
    features: Any = None,
    *,
    n_neighbors: int = 20,
    weights: str = "distance",
    metric: str = "cosine",
    **params: Any,
) -> Pipeline:
    """Return a baseline of the paper: (features,) scaling, and nearest neighbours.

    Section 3.1 of Squalli-Houssaini et al. (2018) tried it beside the SVR, which was
    better; no figure is given. The defaults are ours: an image's score is the mean of
    the 20 whose scaled features point most nearly the same way, the nearer counting
    more.

    Parameters
    ----------
    features : transformer, optional
        From images to features, such as ``VGGFeatures()``. Without it the Pipeline
        takes features.
    n_neighbors : int, default=20
        How many neighbours to average; all training rows where there are fewer.
    weights : {"distance", "uniform"} or callable, default="distance"
        What each neighbour counts.
    metric : str or callable, default="cosine"
        The distance between rows of scaled features.
    **params
        Further parameters of :class:`~sklearn.neighbors.KNeighborsRegressor`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps ``"features"`` (if given), ``"scale"`` and ``"model"``.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.pipelines import knn_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> knn_regressor().fit(X, y).predict(X[:3]).shape
    (3,)
    """
    model = ScoreNeighbors(n_neighbors, weights=weights, metric=metric, **params)
    return scaled(features, model)


def tree_regressor(
    features: Any = None,
    *,
    max_depth: int | None = 5,
    min_samples_leaf: float = 0.02,
    random_state: int | np.random.RandomState | None = None,
    **params: Any,
) -> Pipeline:
    """Return a baseline of the paper: (features,) scaling, and a decision tree.

    Section 3.1 of Squalli-Houssaini et al. (2018) tried it beside the SVR, which was
    better; no figure is given. The defaults are ours. A tree needs no scaling; the step
    is there so that the baselines can be exchanged.

    Parameters
    ----------
    features : transformer, optional
        From images to features, such as ``VGGFeatures()``. Without it the Pipeline
        takes features.
    max_depth : int or None, default=5
        How many questions to ask of a row at the most; None sets no limit.
    min_samples_leaf : int or float, default=0.02
        The fewest rows in a leaf; a float is a share of the training rows.
    random_state : int, RandomState instance or None, default=None
        Breaks ties between splits.
    **params
        Further parameters of :class:`~sklearn.tree.DecisionTreeRegressor`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps ``"features"`` (if given), ``"scale"`` and ``"model"``.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.pipelines import tree_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> tree_regressor(random_state=0).fit(X, y).predict(X[:3]).shape
    (3,)
    """
    model = ScoreTree(
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        random_state=random_state,
        **params,
    )
    return scaled(features, model)
