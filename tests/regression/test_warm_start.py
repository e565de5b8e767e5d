import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


def _model(**params):
    small = {"branch_sizes": (16,), "hidden_layer_sizes": (16,), "max_epochs": 3}
    return BalancedQuantileClassifierRegressor(**{**small, "random_state": 0, **params})


def _weights(model):
    return [weight.detach().clone() for weight in model.net_.module_.parameters()]


@pytest.fixture
def own():
    """40 rows whose scores, measured in another way, depend on a second feature too."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 6)).astype(np.float32)
    y = 1 / (1 + np.exp(-X[:, 0] - X[:, 1] - 0.3 * rng.normal(size=40)))
    return X, 0.1 + 0.4 * y


def test_a_first_fit_and_one_after_a_constant_score_are_plain_fits(scores):
    X, y = scores
    warm, plain = (_model(warm_start=warm).fit(X, y) for warm in (True, False))
    assert np.array_equal(warm.predict(X), plain.predict(X))
    assert np.array_equal(clone(warm).fit(X, y).predict(X), plain.predict(X))
    with pytest.warns(UserWarning, match="distinct"):
        constant = _model(warm_start=True).fit(X, np.full(150, 0.7))
    assert np.array_equal(constant.fit(X, y).predict(X), plain.predict(X))


@pytest.mark.parametrize("params", [{}, {"branches": (2, 4), "n_members": 3}], ids=str)
def test_training_starts_from_the_present_weights(scores, params):
    # One step of plain gradient descent over all rows, without dropout, is what another
    # such step started from.
    X, y = scores
    step = {"optimizer": "sgd", "max_epochs": 1, "batch_size": 150, "dropout": 0}
    first = _model(**step, lr=0.3, **params).fit(X, y)
    before = _weights(first)
    second = copy.deepcopy(first).set_params(warm_start=True, lr=1e-9, random_state=5).fit(X, y)
    for start, found in zip(before, _weights(second), strict=True):
        torch.testing.assert_close(found, start, rtol=1e-6, atol=1e-7)
    both = _model(**step, lr=0.3, **params).set_params(max_epochs=2).fit(X, y)
    second.set_params(lr=0.3).fit(X, y)
    for expected, found in zip(_weights(both), _weights(second), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_classes_and_the_copied_network_are_kept_and_rows_counted_anew(scores):
    X, y = scores
    first = _model(aggregation="mean").fit(X, y)
    before, few = first.predict(X), np.argsort(y)[-20:]
    model = copy.copy(first).set_params(warm_start=True, max_epochs=1)
    with pytest.warns(UserWarning, match="recalibrate"):
        model.fit(X[few], y[few])
    assert np.array_equal(model.thresholds_, first.thresholds_)
    assert np.array_equal(model.class_values_, first.class_values_)
    assert np.array_equal(model.predict_quantiles(X, [0, 1]), first.predict_quantiles(X, [0, 1]))
    assert model.class_counts_.tolist() == [0, 0, 0, 20]
    assert (len(first.history_), len(model.history_)) == (3, 1)
    # The network of the copied model is not changed.
    assert not np.array_equal(model.predict(X), before)
    assert np.array_equal(first.predict(X), before)


@pytest.mark.parametrize("kernel_weight", [0, 0.5])
def test_own_rows_teach_what_the_first_fit_could_not_know(scores, own, kernel_weight):
    settings = {"n_classes": 16, "target": "soft", "aggregation": "mean", "max_epochs": 30}
    model = _model(dropout=0.1, kernel_weight=kernel_weight, **settings).fit(*scores)
    rng = np.random.default_rng(2)
    X = rng.normal(size=(2000, 6)).astype(np.float32)
    y = 0.1 + 0.4 / (1 + np.exp(-X[:, 0] - X[:, 1]))
    recalibrated = copy.deepcopy(model).recalibrate(*own)
    warm = copy.deepcopy(recalibrated).set_params(warm_start=True).fit(*own)
    ranks = [spearman_score(y, m.predict(X)) for m in (recalibrated, warm)]
    assert ranks[1] > ranks[0] + 0.1
    errors = [np.mean((m.predict(X) - y) ** 2) for m in (model, recalibrated, warm)]
    assert errors[2] < errors[1] < errors[0]


def test_scores_of_another_level_are_told_to_recalibrate(scores, own):
    model = _model().fit(*scores).set_params(warm_start=True)
    with pytest.warns(UserWarning, match="recalibrate") as caught:
        copy.deepcopy(model).fit(own[0], own[1] / 4)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.recalibrate(own[0], own[1] / 4).fit(own[0], own[1] / 4)


# The kernel path --------------------------------------------------------------------


def test_the_kernel_path_is_held_to_the_one_before(scores, own):
    X, y = scores
    model = _model(kernel_weight=0.5, n_classes=8).fit(X, y)
    before = model.net_.module_.kernel_path
    model.recalibrate(*own).set_params(warm_start=True).fit(*own)
    path = model.net_.module_.kernel_path
    assert torch.equal(path.landmarks, before.landmarks)
    assert torch.equal(path.thresholds, before.thresholds)
    # The same rows again leave next to nothing over.
    change = copy.deepcopy(model).fit(*own).net_.module_.kernel_path.coef - path.coef
    assert change.norm() < 0.3 * (path.coef - before.coef).norm()


def test_the_kernel_path_can_be_added_and_left_out(scores):
    X, y = scores
    expected = _model(kernel_weight=1).fit(X, y).predict(X)
    model = _model().fit(X, y).set_params(warm_start=True, kernel_weight=1).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)
    assert model.set_params(kernel_weight=0).fit(X, y).net_.module_.kernel_path is None


def test_input_dropout_by_the_ridge_is_kept(scores, own):
    model = _model(input_dropout="ridge").fit(*scores)
    first = model.input_dropout_
    assert _model(input_dropout="ridge").fit(*own).input_dropout_ > 2 * first
    model.recalibrate(*own).set_params(warm_start=True).fit(*own)
    assert model.input_dropout_ == first == model.net_.module_.input_dropout
    assert model.set_params(input_dropout=0.25).fit(*own).input_dropout_ == 0.25


# What can't go on -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_classes": 2}, "n_classes was 4; now it is 2"),
        ({"aggregation": "mean"}, "aggregation was 'upper'"),
        ({"score_range": (-1, 1)}, r"score_range was 'auto'; now it is \(-1, 1\)"),
        ({"target": "soft"}, "target was 'hard'"),
        ({"branch_sizes": (8,)}, r"branch_sizes was \(16,\)"),
        ({"n_members": 2}, "n_members was 1"),
        ({"branches": (2, 4)}, "branches"),
    ],
)
def test_what_defines_the_network_can_not_change(scores, params, message):
    X, y = scores
    model = _model(warm_start=True).fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=f"{message}.*warm_start=False"):
        model.set_params(**params).fit(X, y)
    assert np.array_equal(model.predict(X), before)


def test_the_same_settings_in_other_words_are_no_change(scores):
    X, y = scores
    model = _model(warm_start=True, branches=(2, 4), score_range=(0, 1)).fit(X, y)
    branches = {"cnn": slice(0, 2), "ic": slice(2, None)}
    model.set_params(branch_sizes=[16], branches=branches, score_range=[0.0, 1.0]).fit(X, y)
    fresh = model.set_params(warm_start=False, n_classes=2).fit(X, y)
    assert fresh.n_classes_ == 2


def test_other_features_and_scores_outside_the_range_in_use_are_refused(scores):
    X, y = scores
    model = _model(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="5 features.*6 features"):
        model.fit(X[:, :5], y)
    model = _model(warm_start=True).fit(pd.DataFrame(X, columns=list("abcdef")), y)
    with pytest.raises(ValueError, match="feature names"):
        model.fit(pd.DataFrame(X, columns=list("abcdeg")), y)
    with pytest.raises(ValueError, match=r"outside score_range=\(0, 1\)"):
        model.fit(pd.DataFrame(X, columns=list("abcdef")), y - 0.9)


# In other company -------------------------------------------------------------------


def test_weights_groups_and_early_stopping_go_with_it(scores):
    X, y = scores
    model = _model(early_stopping=True).fit(X, y).set_params(warm_start=True)
    weights = np.r_[np.ones(100), np.zeros(50)]
    model.fit(X, y, sample_weight=weights, groups=np.repeat(np.arange(30), 5))
    assert model.class_counts_.sum() == 90
    assert "valid_spearman" in model.history_[-1]
