"""What pickle, joblib and skops keep of a fitted regressor: settings and arrays."""

import copy
import io
import pickle
import tempfile

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone

from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor as Regressor

TRUSTED = [Regressor, *(type(make()["scale"]) for make in (mlp_regressor, recommended_regressor))]


def _by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return joblib.load(file)


def _by_a_mapped_file(model):
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(model, f"{folder}/model.joblib")
        return joblib.load(f"{folder}/model.joblib", mmap_mode="r")


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": _by_joblib,
    "joblib, read-only": _by_a_mapped_file,
    "skops": lambda model: skops.io.loads(skops.io.dumps(model), trusted=TRUSTED),
    "deepcopy": copy.deepcopy,
}


def _model(**params):
    small = {"branch_sizes": (16,), "hidden_layer_sizes": (16,), "max_epochs": 3}
    return Regressor(**{**small, "random_state": 0, **params})


@pytest.mark.parametrize(
    "model",
    [
        _model(branches={"first": [0, 1], "second": [5, 3]}, n_members=2, early_stopping=True),
        _model(max_epochs=10, device=torch.device("cpu"), random_state=np.random.RandomState(0)),
        mlp_regressor(random_state=0, max_epochs=3),
        recommended_regressor(random_state=0, max_epochs=3, activation="gelu"),
    ],
    ids=["branches and members", "device", "paper", "recommended"],
)
def test_copies_predict_the_same_to_the_last_bit(scores, model):
    X, y = scores
    model = clone(model).fit(X, y)
    was = model[-1] if hasattr(model, "steps") else model
    again = copy.copy(was).recalibrate(X, y / 2).set_params(warm_start=True, random_state=1)
    again.fit(X, y / 2)
    for way in COPIES.values():
        restored = way(model)
        assert np.array_equal(restored.predict(X), model.predict(X))
        head = restored[-1] if hasattr(restored, "steps") else restored
        assert np.array_equal(head.predict_quantiles(X), was.predict_quantiles(X))
        assert np.array_equal(head.net_.predict_proba(X), was.predict_class_proba(X))
        assert [dict(epoch) for epoch in head.history_] == [dict(epoch) for epoch in was.history_]
        # It goes on as the original does: a new calibration, a warm start.
        head.recalibrate(X, y / 2).set_params(warm_start=True, random_state=1).fit(X, y / 2)
        assert np.array_equal(head.predict(X), again.predict(X))


def test_the_state_holds_settings_and_arrays_alone(scores):
    model = _model(kernel_weight=0.5, input_dropout="ridge", device=torch.device("cpu"))
    plain = (type(None), bool, int, float, str, slice, np.ndarray, np.generic)

    def look(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            for item in value:
                look(item)
        else:
            assert isinstance(value, plain), value

    look(model.__getstate__())
    look(model.fit(*scores).__getstate__())


def test_copies_of_an_unfitted_regressor_can_be_fitted(scores):
    expected = _model().fit(*scores).predict(scores[0])
    for way in COPIES.values():
        assert np.array_equal(way(_model()).fit(*scores).predict(scores[0]), expected)


def test_files_hold_the_weights_once_and_do_not_grow_with_the_rows(scores):
    X, y = scores
    many = np.tile(X, (20, 1)), np.tile(y, 20)
    settings = {
        "random_state": 0,
        "max_epochs": 1,
        "early_stopping": True,
        "input_dropout": "ridge",
    }
    few, more = (Regressor(**settings).fit(*rows) for rows in ((X, y), many))
    n_weights = sum(parameter.numel() for parameter in few.net_.module_.parameters())
    for write in (pickle.dumps, skops.io.dumps):
        sizes = [len(write(model)) for model in (few, more)]
        assert abs(sizes[1] - sizes[0]) < 300
        assert sizes[0] < 4 * n_weights + 60_000


def test_a_model_of_another_machine_moves_to_the_best_device_there_is(scores):
    X, y = scores
    model = _model().fit(X, y)
    state = model.__getstate__() | {"device": "cuda:99", "device_": "cuda:99"}
    restored = Regressor.__new__(Regressor)
    restored.__setstate__(state)
    assert restored.device == "cuda:99"
    assert restored.device_.type in ("cpu", "cuda", "mps")
    np.testing.assert_allclose(restored.predict(X), model.predict(X), rtol=1e-5)


def _changed(state, **network):
    net = state["net_"]
    return state | {"net_": net | {"network": net["network"] | network}}


@pytest.mark.parametrize(
    "network",
    [
        {"hidden_layer_sizes": (10**12,)},
        {"n_members": 10**15},
        {"n_classes": 5},
        {"n_classes": 10**12},
        {"n_classes": -1},
        {"branches": [slice(0, 10**12)]},
        {"branches": [slice(None)]},
        {"branches": "all"},
        {"branch_sizes": ("many",)},
        {"activation": "eval"},
        {"surplus": 1},
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_the_arrays_are_refused_before_memory_is_taken(scores, network):
    state = _model(kernel_weight=0.5).fit(*scores).__getstate__()
    with pytest.raises(ValueError, match="stored network"):
        Regressor.__new__(Regressor).__setstate__(_changed(state, **network))


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(scores, weight):
    state = _model().fit(*scores).__getstate__()
    broken = {k: np.full_like(v, weight) for k, v in state["net_"]["weights"].items()}
    with pytest.raises(ValueError, match="not finite"):
        Regressor.__new__(Regressor).__setstate__(
            state | {"net_": state["net_"] | {"weights": broken}}
        )
