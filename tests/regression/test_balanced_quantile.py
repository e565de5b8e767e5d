import builtins
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import noop

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

TWO_BRANCHES = {"cnn": slice(0, 1), "ic": slice(1, None)}
WEIGHTS_CHECK = "check_sample_weight_equivalence_on_dense_data"
# fit refuses NaN, so allow_nan is False; but what predict gives for an image that could not be
# read is NaN, not an error: tests/pipelines/test_baselines.py.
NAN_CHECK = {"check_estimators_nan_inf": "predict gives NaN for a row of NaN."}


def _model(**params):
    small = {"branch_sizes": (16,), "hidden_layer_sizes": (16,), "max_epochs": 3}
    return BalancedQuantileClassifierRegressor(**{**small, "random_state": 0, **params})


# What scikit-learn checks ---------------------------------------------------------


def _check(estimator, **expected_failures):
    with warnings.catch_warnings():
        # scikit-learn's check data have two or three distinct scores in many checks, and
        # scores outside (0, 1) in most; both are said by these warnings, as they should.
        warnings.simplefilter("ignore", UserWarning)
        results = check_estimator(estimator, on_fail=None, expected_failed_checks=expected_failures)
    failed = {
        result["check_name"]: str(result["exception"])
        for result in results
        if result["status"] not in ("passed", "xfail")
    }
    assert failed == {}
    excused = [r["check_name"] for r in results if r["status"] == "xfail"]
    assert sorted(excused) == sorted(expected_failures)
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        assert len(results) >= 59
    return results


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"branches": TWO_BRANCHES, "aggregation": "mean"},
        {"n_members": 4},
        {"kernel_weight": 0.5, "input_dropout": "ridge", "target": "soft"},
        {"early_stopping": True, "target": "soft", "aggregation": "mean"},
        {"warm_start": True, "kernel_weight": 0.5},
    ],
    ids=str,
)
def test_all_of_check_estimator(params):
    reason = (
        "Rows of weight two and rows given twice fall into different mini-batches, as in "
        "scikit-learn's own MLP. With one batch and no dropout the check passes: below."
    )
    if "kernel_weight" in params:
        reason += " Leaving one row out, too, leaves out both or one of them."
    excused = NAN_CHECK | {WEIGHTS_CHECK: reason}
    if "warm_start" in params:
        excused["check_supervised_y_2d"] = "It fits twice, and the second fit goes on."
    _check(BalancedQuantileClassifierRegressor(**params), **excused)


@pytest.mark.parametrize("params", [{"branches": TWO_BRANCHES}, {"target": "soft"}], ids=str)
def test_all_of_check_estimator_with_one_batch(params):
    _check(BalancedQuantileClassifierRegressor(dropout=0, batch_size=1000, **params), **NAN_CHECK)


def test_members_treat_whole_weights_as_repeated_rows(scores):
    # To single precision: the check above wants 1e-7, one rounding of it.
    X, y = scores
    weights = np.random.default_rng(0).integers(0, 4, size=150)
    settings = {"dropout": 0, "batch_size": 1000, "n_members": 3}
    weighted = _model(**settings).fit(X, y, sample_weight=weights)
    repeated = _model(**settings).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5)


# The paper ------------------------------------------------------------------------


def test_prediction_is_equation_one(scores):
    X, y = scores
    model = _model().fit(X, y)
    proba = model.predict_class_proba(X)
    assert proba.shape == (150, 4)
    assert np.array_equal(model.predict_class(X), proba.argmax(axis=1))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    by_hand = [sum(p * s for p, s in zip(row, model.thresholds_, strict=True)) for row in proba]
    np.testing.assert_allclose(model.predict(X), by_hand, rtol=1e-6)
    assert model.thresholds_[-1] == 1.0


def test_a_score_never_leaves_the_range_of_the_class_values(scores):
    # A network that is nearly sure of the last class, whose probabilities add up to a
    # little more than 1 in single precision for some rows.
    X, y = scores
    model = _model(dropout=0, max_epochs=1).fit(X, y)
    with torch.no_grad():
        model.net_.module_.output.bias += torch.tensor([0.0, 3.0, 9.0, 14.0])
    many = np.random.default_rng(0).normal(size=(20_000, 6))
    assert (model.predict_class_proba(many).sum(axis=1) > 1).any()
    predicted = model.predict(many)
    assert predicted.max() <= 1.0
    assert predicted.min() >= model.class_values_[0]


def test_defaults_are_the_papers():
    model = BalancedQuantileClassifierRegressor()
    assert (model.n_classes, model.aggregation) == (4, "upper")
    assert (model.batch_size, model.max_epochs, model.optimizer) == (16, 10, "adam")


def test_means_take_the_bias_away_and_keep_the_order():
    X, y = load_things_concepts(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    upper = BalancedQuantileClassifierRegressor(random_state=0).fit(X[::2], y[::2])
    mean = clone(upper).set_params(aggregation="mean").fit(X[::2], y[::2])
    assert abs(np.mean(mean.predict(X[1::2]) - y[1::2])) < 0.01
    assert np.mean(upper.predict(X[1::2]) - y[1::2]) > 0.02
    assert spearman_score(y[1::2], upper.predict(X[1::2])) == pytest.approx(
        spearman_score(y[1::2], mean.predict(X[1::2])), abs=0.03
    )
    assert mean.score(X[1::2], y[1::2]) > 0.2


# Steps ----------------------------------------------------------------------------


def test_few_rows_get_more_passes(scores):
    X, y = scores
    settings = {"max_epochs": "auto", "branch_sizes": (), "hidden_layer_sizes": ()}
    # Steps: one a row, but no more than 500; passes: no fewer than ten.
    for n_rows, batch_size, n_passes in ((24, 64, 24), (150, 10, 10), (900, 60, 34), (1500, 7, 10)):
        many = np.resize(X, (n_rows, X.shape[1])), np.resize(y, n_rows)
        assert len(_model(batch_size=batch_size, **settings).fit(*many).history_) == n_passes


# Early stopping, callbacks ----------------------------------------------------------


def test_early_stopping_restores_the_best_epoch(scores):
    X, y = scores
    rng = np.random.default_rng(0)
    model = _model(early_stopping=0.3, max_epochs=100, lr=0.03, dropout=0).fit(
        X, np.clip(y + 0.2 * rng.normal(size=150), 0, 1)
    )
    found = model.history_[:, "valid_spearman"]
    assert len(found) < 100
    best = int(np.argmax(found))
    assert len(found) == best + 1 + 5
    # The same fit ended at the best epoch has the same weights.
    ended = clone(model).set_params(max_epochs=best + 1)
    ended.fit(X, np.clip(y + 0.2 * np.random.default_rng(0).normal(size=150), 0, 1))
    assert np.array_equal(ended.predict(X), model.predict(X))


def test_early_stopping_holds_out_whole_groups(scores):
    X, y = scores
    groups = np.repeat(np.arange(30), 5)
    model = _model(early_stopping=0.2).fit(X, y, groups=groups)
    assert model.class_counts_.sum() == 120
    assert _model(early_stopping=np.True_).fit(X, y).class_counts_.sum() == 135
    with pytest.raises(ValueError, match="two groups"):
        _model(early_stopping=True).fit(X, y, groups=np.zeros(150))
    with pytest.raises(ValueError, match="inconsistent"):
        _model(early_stopping=True).fit(X, y, groups=groups[:10])
    with pytest.raises(ValueError, match="at least 3 rows"):
        _model(early_stopping=True).fit(np.zeros((2, 1)), [0.1, 0.2])


class _CountEpochs(Callback):
    n_epochs_ = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs_ += 1


def test_net_callbacks_are_heard_and_copied_first(scores):
    callback = _CountEpochs()
    model = _model(net_callbacks=[("count", callback)])
    model.fit(*scores)
    assert dict(model.net_.callbacks_)["count"].n_epochs_ == 3
    assert callback.n_epochs_ == 0
    assert clone(model).fit(*scores).net_ is not None


def test_a_callback_may_stop_training_as_skorch_lets_it(scores):
    stopping = EarlyStopping("train_loss", patience=1, lower_is_better=False, sink=noop)
    model = _model(net_callbacks=[stopping], max_epochs=50).fit(*scores)
    assert len(model.history_) < 50
    assert model.predict(scores[0]).shape == (150,)


# Distributions, recalibration -------------------------------------------------------


def test_quantiles_are_those_of_the_mixed_training_scores(scores):
    # Independent: every training score, weighted by its class's probability.
    X, y = scores
    model = _model().fit(X, y)
    labels = np.searchsorted(model.thresholds_[:-1], y)
    proba = model.predict_class_proba(X[:5]).astype(float)
    levels = [0.05, 0.25, 0.5, 0.9]
    found = model.predict_quantiles(X[:5], levels)
    assert found.shape == (5, 4)
    assert (np.diff(found, axis=1) >= 0).all()
    for row, p in zip(found, proba, strict=True):
        weights = p[labels] / np.bincount(labels)[labels]
        expected = np.quantile(y, levels, method="inverted_cdf", weights=weights)
        np.testing.assert_allclose(row, expected, atol=0.03)
    means, stds = model.predict(X[:5], return_std=True)
    assert np.array_equal(means, model.predict(X[:5]))
    for std, p in zip(stds, proba, strict=True):
        weights = p[labels] / np.bincount(labels)[labels]
        mean = np.average(y, weights=weights)
        expected = np.sqrt(np.average((y - mean) ** 2, weights=weights))
        assert std == pytest.approx(expected, rel=1e-4)
    assert model.predict_quantiles(X[:2]).shape == (2, 3)
    extremes = model.predict_quantiles(X[:2], [0, 1])
    assert extremes.min() >= y.min()
    assert extremes.max() <= y.max()


@pytest.mark.parametrize(
    "params",
    [{"target": "hard"}, {"target": "soft"}, {"target": "soft", "kernel_weight": 0.5}],
    ids=str,
)
def test_intervals_hold_what_they_say_on_rows_not_seen(params):
    # Normal around a known function of X, with a standard deviation of .1; what soft targets
    # add to it is taken out.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 2)).astype(np.float32)
    y = np.clip(0.5 + 0.1 * X[:, 0] + 0.1 * rng.normal(size=6000), 0, 1)
    settings = {"n_classes": 12, "dropout": 0, "max_epochs": 30, "batch_size": 50, **params}
    model = _model(**settings).fit(X[:3000], y[:3000])
    for level in (0.5, 0.8, 0.9):
        low, high = model.predict_quantiles(X[3000:], [(1 - level) / 2, (1 + level) / 2]).T
        assert np.mean((low <= y[3000:]) & (y[3000:] <= high)) == pytest.approx(level, abs=0.05)
    assert np.median(model.predict(X[3000:], return_std=True)[1]) == pytest.approx(0.1, abs=0.012)


def test_levels_outside_zero_to_one_are_refused(scores):
    model = _model().fit(*scores)
    for quantiles in ([-0.1], [0.5, 1.1], [np.nan], [[0.5]]):
        with pytest.raises(ValueError, match="levels in"):
            model.predict_quantiles(scores[0], quantiles)


def test_recalibration_moves_the_level_and_keeps_the_order(scores):
    X, y = scores
    model = _model(max_epochs=30, dropout=0.1).fit(X, y)
    before, spread = model.predict(X, return_std=True)
    thresholds = model.thresholds_[:-1]
    model.recalibrate(X[:60], 0.2 + 0.3 * y[:60])
    after = model.predict(X)
    assert spearman_score(before, after) == pytest.approx(1)
    assert np.mean(after - (0.2 + 0.3 * y)) == pytest.approx(0, abs=0.02)
    slope = np.polyfit(before[:60], 0.2 + 0.3 * y[:60], 1)[0]
    np.testing.assert_allclose(np.diff(after), slope * np.diff(before), atol=1e-6)
    # Upper thresholds are not what the scores in a class are on average.
    labels = np.searchsorted(thresholds, y)
    expected = model.predict_class_proba(X) @ [y[labels == k].mean() for k in range(4)]
    slope, offset = np.polyfit(expected[:60], 0.2 + 0.3 * y[:60], 1)
    np.testing.assert_allclose(model.thresholds_[:-1], offset + slope * thresholds, rtol=1e-5)
    np.testing.assert_allclose(model.predict(X, return_std=True)[1], slope * spread, rtol=1e-5)
    with pytest.warns(UserWarning, match="do not rise"):
        model.recalibrate(X[:60], 1 - y[:60])
    assert spearman_score(before, model.predict(X)) == pytest.approx(1)
    with pytest.raises(ValueError, match="outside score_range"):
        model.recalibrate(X[:60], y[:60] + 2)
    with pytest.raises(NotFittedError):
        _model().recalibrate(X, y)


# Input ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float64, pd.DataFrame, pl.DataFrame, list])
def test_kinds_of_tables(scores, kind):
    X, y = scores
    expected = _model().fit(X, y).predict(X)
    assert np.array_equal(_model().fit(kind(X), y).predict(kind(X)), expected)


def test_a_memory_mapped_file_is_an_array_like_any(scores, tmp_path):
    X, y = scores
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for params in ({}, {"kernel_weight": 0.5, "early_stopping": True}):
        expected = _model(**params).fit(X, y).predict(X)
        assert np.array_equal(_model(**params).fit(mapped, y).predict(mapped), expected)


def test_no_copy_is_made_of_features_in_single_precision():
    X = np.random.default_rng(0).normal(size=(4000, 2000)).astype(np.float32)
    y = np.linspace(0, 1, 4000)
    _model(max_epochs=1).fit(X[:100], y[:100])  # what torch and skorch load once
    tracemalloc.start()
    try:
        model = _model(max_epochs=1).fit(X, y)
        model.predict(X)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 0.6 * X.nbytes  # a batch of 1,024 rows at prediction, and its copy


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_classes": 1}, "'n_classes'"),
        ({"aggregation": "max"}, "'aggregation'"),
        ({"score_range": "all"}, "'score_range'"),
        ({"input_dropout": "auto"}, "'input_dropout'"),
        ({"early_stopping": 1.0}, "'early_stopping'"),
        ({"max_epochs": "all"}, "'max_epochs'"),
        ({"branch_sizes": (0,)}, "branch_sizes"),
        ({"dropout": 1.0}, "'dropout'"),
        ({"lr": 0}, "'lr'"),
        ({"device": "abacus"}, "not a device"),
    ],
)
def test_bad_parameters_are_refused_by_name(scores, params, message):
    with pytest.raises(ValueError, match=message):
        _model(**params).fit(*scores)


def test_weights_without_sense_are_refused(scores):
    for weights, message in ((-np.ones(150), "[Nn]egative"), (np.zeros(150), "zero")):
        with pytest.raises(ValueError, match=message):
            _model().fit(*scores, sample_weight=weights)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_an_error_that_says_what_to_do(scores):
    X, y = scores
    with pytest.raises(ValueError, match="diverged.*StandardScaler"):
        _model(optimizer="sgd", lr=1e30, dropout=0).fit(1e10 * X, y)


# Sample weights -------------------------------------------------------------------


def test_weights_of_one_change_nothing_and_rows_of_weight_zero_are_left_out(scores):
    X, y = scores
    plain = _model().fit(X, y).predict(X)
    assert np.array_equal(_model().fit(X, y, sample_weight=np.full(150, 3.0)).predict(X), plain)
    weights = np.r_[np.ones(100), np.zeros(50)]
    left_out = _model().fit(X, y, sample_weight=weights)
    assert np.array_equal(left_out.predict(X), _model().fit(X[:100], y[:100]).predict(X))
    assert left_out.class_counts_.sum() == 100


# Randomness, copies, interruption -------------------------------------------------


class _SeeThreads(Callback):
    def on_batch_begin(self, net, **kwargs):
        net.history.record("threads", torch.get_num_threads())


def test_global_generators_and_threads_are_left_alone_and_one_thread_trains(scores):
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    torch.set_num_threads(2)
    try:
        model = _model(net_callbacks=[_SeeThreads()]).fit(*scores)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert set(model.history_[:, "threads"]) == {1}
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_the_same_seed_gives_the_same_fit_and_another_another(scores):
    X, y = scores
    first = _model().fit(X, y).predict(X)
    assert np.array_equal(_model().fit(X, y).predict(X), first)
    assert not np.array_equal(_model(random_state=1).fit(X, y).predict(X), first)
    states = [_model(random_state=np.random.RandomState(0)).fit(X, y).predict(X) for _ in range(2)]
    assert np.array_equal(*states)


def test_fits_side_by_side_give_what_fits_in_turn_give(scores):
    X, y = scores
    models = [_model(random_state=seed) for seed in range(4)]
    in_turn = [clone(model).fit(X, y).predict(X) for model in models]
    with Parallel(n_jobs=2, backend="threading") as parallel:
        fitted = parallel(delayed(model.fit)(X, y) for model in models)
    for model, expected in zip(fitted, in_turn, strict=True):
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)


def test_refit_after_set_params_uses_them(scores):
    X, y = scores
    model = _model().fit(X, y)
    model.set_params(n_classes=2, hidden_layer_sizes=(8, 8), aggregation="mean").fit(X, y)
    assert model.predict_class_proba(X).shape == (150, 2)
    assert len(model.net_.module_.shared) == 2
    fresh = _model(n_classes=2, hidden_layer_sizes=(8, 8), aggregation="mean").fit(X, y)
    assert np.array_equal(model.predict(X), fresh.predict(X))


class _Interrupt(Callback):
    """Lets the network raise what the keyboard would, after some steps."""

    def on_train_begin(self, net, **kwargs):
        steps = iter(range(5))

        def interrupt(*_):
            if next(steps, None) is None:
                raise KeyboardInterrupt

        net.module_.register_forward_hook(interrupt)


def test_an_interrupted_fit_is_passed_on_and_leaves_the_model_unfitted(scores):
    X, y = scores
    model = _model().fit(X, y)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(n_classes=2, net_callbacks=[_Interrupt()]).fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert model.set_params(net_callbacks=None).fit(X, y).predict_class_proba(X).shape == (150, 2)


def test_verbose_shows_the_epochs_and_silence_is_the_default(scores, capsys, monkeypatch):
    _model(verbose=1).fit(*scores)
    assert "train_loss" in capsys.readouterr().out
    # Ray, for one, replaces print; skorch takes that for a wish to print.
    written = print
    for replaced in (written, lambda *args, **kwargs: written(*args, **kwargs)):
        monkeypatch.setattr(builtins, "print", replaced)
        _model().fit(*scores)
        assert capsys.readouterr().out == ""
