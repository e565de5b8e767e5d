import copy

import numpy as np
import pytest
import torch

from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._stored import put_network, take_network


@pytest.fixture(scope="module")
def fitted():
    chance = np.random.default_rng(0)
    X = chance.normal(size=(60, 5)).astype(np.float32)
    model = BalancedQuantileClassifierRegressor(
        3, branches=(2, -1), branch_sizes=(4,), hidden_layer_sizes=(3,), linear_weight=0.5,
        n_members=2, max_epochs=1, random_state=0, device="cpu",
    )  # fmt: skip
    return model.fit(X, 1 / (1 + np.exp(-X[:, 0]))), X


def without_network(model):
    bare = copy.copy(model)
    bare.__dict__.pop("net_")
    return bare


@pytest.mark.parametrize("share_weights", [True, False])
@pytest.mark.parametrize("n_members", [1, 3])
def test_a_network_built_again_predicts_the_same(n_members, share_weights, fitted):
    model, X = fitted
    settings = {"n_members": n_members, "share_weights": share_weights}
    model = copy.copy(model).set_params(**settings).fit(X, model.predict(X))
    settings, tensors = take_network(model)
    again = without_network(model)
    put_network(again, settings, tensors, "cpu")
    np.testing.assert_array_equal(again.predict_class_proba(X), model.predict_class_proba(X))
    assert list(again.history_[:, "train_loss"]) == list(model.history_[:, "train_loss"])


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("branch_sizes", (10**9,), "numbers in branches.0.0.weight"),
        ("n_members", 10**9, "numbers in"),
        ("hidden_layer_sizes", (3, 3), "numbers in shared.1.weight"),
        ("hidden_layer_sizes", (-3,), "sizes of its network are none"),
        ("widths", [3, 2], "sizes of its network are none"),
        ("branches", [slice(0, 2), slice(4, 7)], "column 6 of 5"),
        ("n_classes", 4, "numbers in output"),
        ("share_weights", "yes", "settings of its network are none"),
        ("another", 1, "settings of its network are none"),
    ],
)
def test_settings_that_are_not_the_tensors_take_no_memory(fitted, name, value, match):
    model, _ = fitted
    settings, tensors = take_network(model)
    settings["network"][name] = value
    with pytest.raises(ValueError, match=match):
        put_network(without_network(model), settings, tensors, "cpu")


def test_tensors_that_are_missing_or_not_finite_are_refused(fitted):
    model, _ = fitted
    settings, tensors = take_network(model)
    with pytest.raises(ValueError, match=r"output\.bias"):
        put_network(
            without_network(model),
            settings,
            {k: v for k, v in tensors.items() if k != "output.bias"},
            "cpu",
        )
    with pytest.raises(ValueError, match="not finite"):
        put_network(
            without_network(model),
            settings,
            tensors | {"linear_path.coef": torch.full((5,), float("nan"))},
            "cpu",
        )
