"""Spaces to search: the paper's ranges, the names, and that both searches can use them."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import ParameterSampler
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from sklearn_memorability.pipelines import (
    knn_regressor,
    mlp_regressor,
    recommended_regressor,
    search_space,
    svr_regressor,
    tree_regressor,
)
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


def test_the_classifiers_space_is_the_papers():
    space = search_space(BalancedQuantileClassifierRegressor())
    # Section 2.2: from 32 to 1024 neurons a layer, dropout, ReLU or tanh, three optimisers.
    for name in ("branch_sizes", "hidden_layer_sizes"):
        assert space[name] == [(32,), (64,), (128,), (256,), (512,), (1024,)]
    assert space["activation"] == ["relu", "tanh"]
    assert space["optimizer"] == ["adam", "rmsprop", "sgd"]
    low, high = space["dropout"].support()
    assert 0 < low < 0.5 < high < 1
    # Layers, batch size and epochs were set by hand; classes are chosen apart.
    assert set(space) == {
        "branch_sizes",
        "hidden_layer_sizes",
        "dropout",
        "activation",
        "optimizer",
        "lr",
    }


def test_learning_rates_hold_what_suits_each_optimiser(scores):
    # Keras's defaults, and the larger one that plain SGD needs for ten passes.
    low, high = search_space(mlp_regressor())["model__lr"].support()
    assert low < 0.001 < 0.02 < high
    # The largest must not lead to numbers that are not finite.
    X, y = scores
    model = mlp_regressor(optimizer="sgd", lr=high, branch_sizes=(1024,), random_state=0)
    assert np.isfinite(model.fit(X, y).predict(X)).all()


def test_layers_stay_as_many_as_the_estimator_has():
    deeper = BalancedQuantileClassifierRegressor(branch_sizes=(), hidden_layer_sizes=(64, 32))
    space = search_space(deeper)
    assert "branch_sizes" not in space
    assert space["hidden_layer_sizes"][:2] == [(32, 32), (64, 64)]


def test_what_the_estimator_has_is_among_the_choices():
    space = search_space(recommended_regressor())
    assert space["model__activation"] == ["relu", "tanh", "gelu"]


def test_support_vectors_are_searched_around_the_features_and_the_scores():
    model = svr_regressor()
    space = search_space(model, score_std=0.02)  # the Pipeline's settings don't depend on it
    low, high = space["model__epsilon"].support()
    assert low <= 0.1 < model[-1].epsilon < high <= 1
    low, high = space["model__C"].support()
    assert low < model[-1].C < high
    low, high = space["model__gamma"].support()
    assert all(low < 1 / n < high for n in (66, 1280, 4096))

    low, high = search_space(model, n_features=50)["model__gamma"].support()
    assert np.sqrt(low * high) == pytest.approx(1 / 50)
    plain = [search_space(SVR(), score_std=std) for std in (1, 0.2)]
    for name in ("C", "epsilon"):
        assert plain[0][name].support() == space[f"model__{name}"].support()
        assert plain[0][name].support() == pytest.approx([5 * e for e in plain[1][name].support()])


def test_a_linear_kernel_has_no_gamma():
    assert set(search_space(SVR(kernel="linear"))) == {"C", "epsilon"}


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [
        (lambda model: model, ""),
        (lambda model: make_pipeline(StandardScaler(), model), "{}__"),
        (lambda model: TransformedTargetRegressor(make_pipeline(model)), "regressor__{}__"),
        (lambda model: Pipeline([("all", Pipeline([("last", model)]))]), "all__last__"),
        (
            lambda model: Pipeline([("outer", TransformedTargetRegressor(model))]),
            "outer__regressor__",
        ),
    ],
)
@pytest.mark.parametrize(
    "kind", [BalancedQuantileClassifierRegressor, SVR, KNeighborsRegressor, DecisionTreeRegressor]
)
def test_names_are_those_the_estimator_has(wrap, prefix, kind):
    estimator = wrap(kind())
    space = search_space(estimator)
    assert all(name.startswith(prefix.format(kind.__name__.lower())) for name in space)
    for drawn in ParameterSampler(space, 5, random_state=0):
        clone(estimator).set_params(**drawn)


@pytest.mark.parametrize("make", [mlp_regressor, svr_regressor, knn_regressor, tree_regressor])
def test_all_of_a_space_can_be_fitted(make, scores):
    X, y = scores
    for drawn in ParameterSampler(search_space(make()), 4, random_state=0):
        predicted = make().set_params(**drawn).fit(X, y).predict(X)
        assert np.isfinite(predicted).all()


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        make_pipeline(StandardScaler(), Ridge()),
        Pipeline([("model", "passthrough")]),
        TransformedTargetRegressor(),
        SVR,
        None,
    ],
)
def test_other_models_are_refused_by_name_with_those_that_are_known(estimator):
    with pytest.raises(TypeError, match="DecisionTreeRegressor") as error:
        search_space(estimator)
    assert re.search(r"Ridge\(|passthrough|None|class", str(error.value))
    assert "BalancedQuantileClassifierRegressor, SVR, KNeighborsRegressor" in str(error.value)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"n_features": 0}, ValueError, "n_features == 0"),
        ({"n_features": 2.5}, TypeError, "n_features"),
        ({"score_std": 0}, ValueError, "score_std == 0"),
        ({"score_std": "0.1"}, TypeError, "score_std"),
    ],
)
def test_what_describes_the_data_must_be_positive(given, error, message):
    with pytest.raises(error, match=message):
        search_space(svr_regressor(), **given)
