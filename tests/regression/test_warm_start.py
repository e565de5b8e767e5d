import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._linear_path import Ridge


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


def test_a_first_fit_is_a_plain_fit(scores):
    X, y = scores
    warm, plain = (_model(warm_start=warm).fit(X, y) for warm in (True, False))
    assert np.array_equal(warm.predict(X), plain.predict(X))
    assert np.array_equal(clone(warm).fit(X, y).predict(X), plain.predict(X))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"branches": (2, 4)},
        {"n_members": 3},
    ],
    ids=str,
)
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


def test_the_network_that_was_copied_is_not_changed(scores, own):
    X, y = scores
    first = _model().fit(X, y)
    before = first.predict(X)
    second = copy.copy(first).set_params(warm_start=True).fit(own[0], own[1] + 0.3)
    assert not np.array_equal(second.predict(X), before)
    assert np.array_equal(first.predict(X), before)


def test_classes_are_kept_and_rows_counted_anew(scores):
    X, y = scores
    model = _model(aggregation="mean").fit(X, y)
    thresholds, values = model.thresholds_, model.class_values_
    extremes, history = model.predict_quantiles(X, [0, 1]), model.history_
    few = np.argsort(y)[-20:]
    with pytest.warns(UserWarning, match="recalibrate"):
        model.set_params(warm_start=True, max_epochs=1).fit(X[few], y[few])
    assert np.array_equal(model.thresholds_, thresholds)
    assert np.array_equal(model.class_values_, values)
    assert np.array_equal(model.predict_quantiles(X, [0, 1]), extremes)
    assert model.class_counts_.tolist() == [0, 0, 0, 20]
    assert (len(history), len(model.history_)) == (3, 1)


@pytest.mark.parametrize("linear_weight", [0, 0.5])
def test_own_rows_teach_what_the_first_fit_could_not_know(scores, own, linear_weight):
    settings = {"n_classes": 16, "target": "soft", "aggregation": "mean", "max_epochs": 30}
    model = _model(dropout=0.1, linear_weight=linear_weight, **settings).fit(*scores)
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


# The linear path --------------------------------------------------------------------


def test_the_ridge_is_held_to_the_one_before():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 30))
    coef = rng.normal(size=30)
    start = Ridge(coef, 0.3, penalty=1.0, error=0.1)
    y = X @ coef + 0.3 + 0.1 * X[:, 0] + 0.2 * rng.normal(size=40)
    found = Ridge.of(X, y, np.ones(40), start)
    left_over = y - (X @ coef + 0.3)
    expected = SklearnRidge(alpha=found.penalty).fit(X, left_over)
    np.testing.assert_allclose(found.coef, coef + expected.coef_)
    assert found.intercept == pytest.approx(0.3 + expected.intercept_)
    left_out = cross_val_predict(SklearnRidge(alpha=found.penalty), X, left_over, cv=LeaveOneOut())
    assert found.error == pytest.approx(np.sqrt(np.mean((left_over - left_out) ** 2)), rel=1e-6)
    # Where nothing but noise is left over, next to nothing is changed.
    noise = X @ coef + 0.3 + 0.2 * rng.normal(size=40)
    kept = Ridge.of(X, noise, np.ones(40), start)
    assert np.abs(kept.coef - coef).max() < 0.1 * np.abs(found.coef - coef).max()


def test_the_linear_path_alone_goes_on_in_the_new_scale(scores, own):
    X, y = scores
    model = _model(linear_weight=1, n_classes=32, aggregation="mean").fit(X, y)
    ridge = Ridge.of(X, y, np.ones(150))
    model.recalibrate(*own)
    slope = np.ptp(model.thresholds_[:-1]) / np.ptp(np.quantile(y, [1 / 32, 31 / 32]))
    model.set_params(warm_start=True).fit(*own)
    assert 0.1 < slope < 1
    path = model.net_.module_.linear_path
    np.testing.assert_allclose(path.thresholds, model.thresholds_[:-1], rtol=1e-5)
    np.testing.assert_allclose(path.coef, model._ridge.coef, rtol=1e-5)
    # The first feature's weight stays near what many rows said, in the new scale; the
    # second's comes from the own rows.
    assert model._ridge.coef[0] == pytest.approx(slope * ridge.coef[0], rel=0.5)
    assert model._ridge.coef[1] > 0.3 * model._ridge.coef[0] > 10 * abs(slope * ridge.coef[1])


def test_input_dropout_by_the_ridge_is_kept(scores, own):
    model = _model(input_dropout="ridge", linear_weight=0.5).fit(*scores)
    first = model.input_dropout_
    assert _model(input_dropout="ridge").fit(*own).input_dropout_ > 2 * first
    model.recalibrate(*own).set_params(warm_start=True).fit(*own)
    assert model.input_dropout_ == first == model.net_.module_.input_dropout
    assert model.set_params(input_dropout=0.25).fit(*own).input_dropout_ == 0.25


def test_the_linear_path_can_be_added_and_left_out(scores):
    X, y = scores
    model = _model().fit(X, y).set_params(warm_start=True, linear_weight=1).fit(X, y)
    expected = Ridge.of(X, y, np.ones(150))
    np.testing.assert_allclose(model.net_.module_.linear_path.coef, expected.coef, rtol=1e-5)
    assert model.set_params(linear_weight=0).fit(X, y).net_.module_.linear_path is None


# What can't go on -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_classes": 2}, "n_classes was 4; now it is 2"),
        ({"aggregation": "mean"}, "aggregation was 'upper'"),
        ({"score_range": (-1, 1)}, r"score_range was 'auto'; now it is \(-1, 1\)"),
        ({"target": "soft"}, "target was 'hard'"),
        ({"branch_sizes": (8,)}, r"branch_sizes was \(16,\)"),
        ({"hidden_layer_sizes": (16, 16)}, "hidden_layer_sizes"),
        ({"activation": "tanh"}, "activation"),
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
    changed = model.set_params(warm_start=False).fit(X, y)
    assert np.array_equal(changed.predict(X), _model(**params).fit(X, y).predict(X))


def test_the_same_settings_in_other_words_are_no_change(scores):
    X, y = scores
    model = _model(warm_start=True, branches=(2, 4), score_range=(0, 1)).fit(X, y)
    branches = {"cnn": slice(0, 2), "ic": slice(2, None)}
    model.set_params(branch_sizes=[16], branches=branches, score_range=[0.0, 1.0]).fit(X, y)
    assert len(model.history_) == 3


def test_other_features_are_refused(scores):
    X, y = scores
    model = _model(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="5 features.*6 features"):
        model.fit(X[:, :5], y)
    model = _model(warm_start=True).fit(pd.DataFrame(X, columns=list("abcdef")), y)
    with pytest.raises(ValueError, match="feature names"):
        model.fit(pd.DataFrame(X, columns=list("abcdeg")), y)
    assert model.n_features_in_ == 6


def test_scores_outside_the_range_in_use_are_refused(scores):
    X, y = scores
    model = _model(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"outside score_range=\(0, 1\)"):
        model.fit(X, y - 0.9)
    assert model.predict(X).shape == (150,)


def test_a_constant_model_has_nothing_to_go_on_from(scores):
    X, y = scores
    with pytest.warns(UserWarning, match="distinct"):
        model = _model(warm_start=True).fit(X, np.full(150, 0.7))
    assert np.array_equal(model.fit(X, y).predict(X), _model().fit(X, y).predict(X))


# In other company -------------------------------------------------------------------


def test_weights_groups_and_early_stopping_go_with_it(scores):
    X, y = scores
    model = _model(early_stopping=True).fit(X, y).set_params(warm_start=True)
    weights = np.r_[np.ones(100), np.zeros(50)]
    model.fit(X, y, sample_weight=weights, groups=np.repeat(np.arange(30), 5))
    assert model.class_counts_.sum() == 90
    assert "valid_spearman" in model.history_[-1]
