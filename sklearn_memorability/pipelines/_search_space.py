"""Where to search for a model's settings: the paper's space, and one for each baseline."""

from numbers import Integral, Real
from typing import Any

from scipy.stats import loguniform, randint, uniform
from sklearn.compose import TransformedTargetRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_scalar

from sklearn_memorability._utils._estimators import steps_of
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._baselines import ScoreSVR

_UNITS = (32, 64, 128, 256, 512, 1024)


def search_space(
    estimator: Any, *, n_features: int | None = None, score_std: float = 0.1
) -> dict[str, Any]:
    """Return the settings to search for an estimator, under the names they have in it.

    For the classifier, what section 2.2 of Squalli-Houssaini et al. (2018) searched:
    units of each layer from 32 to 1024, dropout, ReLU or tanh, three optimisers. What it
    set by hand (number of layers, batch size, passes) is left as the estimator has it.
    For its baselines (section 3.1) the paper gives no ranges; these are ours.

    The values are lists and frozen distributions of SciPy, as
    :class:`~sklearn_memorability.model_selection.BayesSearchCV` and
    :class:`~sklearn.model_selection.RandomizedSearchCV` take them.

    Parameters
    ----------
    estimator : estimator
        A :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`,
        :class:`~sklearn.svm.SVR`, :class:`~sklearn.neighbors.KNeighborsRegressor` or
        :class:`~sklearn.tree.DecisionTreeRegressor`, or one at the end of a Pipeline or
        in a TransformedTargetRegressor, nested in any way.
    n_features : int, optional
        How many features the model sees. The ``gamma`` of an SVR is then searched
        around 1 / n_features, which suits scaled features; without it, over the values
        that suit 60 to 5,000 of them.
    score_std : float, default=0.1
        Standard deviation of the scores that a plain SVR sees, which its ``C`` and
        ``epsilon`` are searched in proportion to. Those of :func:`svr_regressor` are in
        standard deviations, and don't depend on it.

    Returns
    -------
    dict of str to list or distribution
        The parameters' names, such as ``"model__C"``, and what to choose from. It is the
        caller's: take settings out, or put others in with ``space | {...}``.

    Raises
    ------
    TypeError
        If the model is another, which has no space here.
    ValueError
        If ``n_features`` or ``score_std`` is not positive.

    Notes
    -----
    The paper states no learning rates. One range serves its three optimisers: the best
    for Adam and RMSprop lie around .001 and the best for plain SGD around .03, both inside
    it. Who searches SGD alone takes ``"model__lr": loguniform(1e-2, 1e-1)``.

    The activation that the estimator has now is among the choices even where it is not
    one of the paper's. Every branch, and every layer of a kind, gets the
    same number of units.

    The paper tried 2 to 8 classes one after the other: add
    ``"model__n_classes": list(range(2, 9))`` to search them too.

    A search for neighbours goes up to 80; :func:`knn_regressor` takes all rows of a
    training fold where there are fewer, a plain KNeighborsRegressor fails.

    Examples
    --------
    >>> from sklearn.model_selection import RandomizedSearchCV
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.metrics import spearman_scorer
    >>> from sklearn_memorability.pipelines import search_space, svr_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> space = search_space(svr_regressor(), n_features=66)
    >>> sorted(space)
    ['model__C', 'model__epsilon', 'model__gamma']
    >>> search = RandomizedSearchCV(
    ...     svr_regressor(), space, n_iter=5, scoring=spearman_scorer, cv=3, random_state=0
    ... )
    >>> bool(search.fit(X, y).best_score_ > 0.5)
    True
    """
    if n_features is not None:
        check_scalar(n_features, "n_features", Integral, min_val=1)
    check_scalar(score_std, "score_std", Real, min_val=0, include_boundaries="neither")
    prefix, model = _innermost(estimator)
    if isinstance(model, BalancedQuantileClassifierRegressor):
        space = _classifier(model)
    elif isinstance(model, SVR):
        scaled = isinstance(model, ScoreSVR)
        space = _support_vectors(model, n_features, 1.0 if scaled else score_std)
    elif isinstance(model, KNeighborsRegressor):
        space = {
            "n_neighbors": [1, 2, 3, 5, 8, 12, 20, 30, 50, 80],
            "weights": ["uniform", "distance"],
            "metric": ["euclidean", "cosine"],
        }
    elif isinstance(model, DecisionTreeRegressor):
        space = {
            "max_depth": randint(2, 13),
            "min_samples_leaf": loguniform(1e-3, 1e-1),
            "max_features": uniform(0.1, 0.9),
        }
    else:
        raise TypeError(
            f"search_space has no space for {model!r}; it knows instances of "
            "BalancedQuantileClassifierRegressor, SVR, KNeighborsRegressor and "
            "DecisionTreeRegressor, also at the end of a Pipeline or in a "
            "TransformedTargetRegressor. For others write the dict yourself."
        )
    return {prefix + name: choices for name, choices in space.items()}


def _innermost(estimator: Any) -> tuple[str, Any]:
    """Return the last model inside, and what stands before its parameters' names."""
    steps = steps_of(estimator)
    name, model = steps[-1] if steps else ("", estimator)
    prefix = f"{name}__" if name else ""
    if isinstance(model, TransformedTargetRegressor):
        inner, model = _innermost(model.regressor)
        prefix += f"regressor__{inner}"
    return prefix, model


def _classifier(model: BalancedQuantileClassifierRegressor) -> dict[str, Any]:
    space: dict[str, Any] = {}
    for name in ("branch_sizes", "hidden_layer_sizes"):
        n_layers = len(getattr(model, name))
        if n_layers:
            space[name] = [(units,) * n_layers for units in _UNITS]
    # What the estimator has now comes last, or is one of the paper's.
    activations = dict.fromkeys(["relu", "tanh", model.activation])
    return space | {
        "dropout": uniform(0.1, 0.6),
        "activation": list(activations),
        "optimizer": ["adam", "rmsprop", "sgd"],
        "lr": loguniform(3e-4, 3e-2),
    }


def _support_vectors(model: SVR, n_features: int | None, score_std: float) -> dict[str, Any]:
    space = {
        "C": loguniform(0.1 * score_std, 100 * score_std),
        "epsilon": loguniform(0.05 * score_std, score_std),
    }
    if model.kernel != "linear":
        low, high = (1e-5, 1e-1) if n_features is None else (0.1 / n_features, 10 / n_features)
        space["gamma"] = loguniform(low, high)
    return space
