"""Searches: what scikit-learn's own ones promise, guided, and resumed from a file."""

import json
import logging
import os
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform, norm, uniform
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, mean_squared_error, r2_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.model_selection import BayesSearchCV

optuna = pytest.importorskip("optuna")

ALPHA = {"alpha": loguniform(1e-3, 1e3)}
FITS = []  # one entry for each fit of Known in this process


class Known(RegressorMixin, BaseEstimator):
    """Scores what a known function of its parameters is, on any data, and counts its fits."""

    def __init__(self, a=0.5, b=0.5, kind="good", fail=False):
        self.a = a
        self.b = b
        self.kind = kind
        self.fail = fail

    def fit(self, X, y=None, sample_weight=None):
        FITS.append(self.a)
        if self.fail is True or (self.fail == "some" and self.a > 0.6):
            raise ValueError("it is meant to fail")
        self.n_samples_ = len(X)
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def score(self, X, y=None):
        return -((self.a - 0.8) ** 2) - (self.b - 0.25) ** 2 - (self.kind != "good") / 5


def two_scores(estimator, X, y):
    return {"r2": r2_score(y, estimator.predict(X)), "size": len(y)}


def assert_same_results(one, other, times=False):
    assert one.keys() == other.keys()
    assert one["params"] == other["params"]
    for name in one.keys() - {"params"}:
        if times or not name.endswith("_time"):
            assert_array_equal(np.ma.getmaskarray(one[name]), np.ma.getmaskarray(other[name]))
            # What is behind a mask is anything.
            assert_array_equal(*(np.ma.compressed(results[name]) for results in (one, other)))


@pytest.fixture(scope="module")
def data():
    return make_regression(60, 4, noise=10.0, random_state=0)


@pytest.fixture(scope="module")
def ridge(data):
    return BayesSearchCV(Ridge(), ALPHA, n_iter=10, cv=3, random_state=0).fit(*data)


@parametrize_with_checks(
    [
        # Lists, as a distribution's address would be part of each test's name; this solver,
        # as it is the one that scikit-learn's ridge has for PyTorch.
        BayesSearchCV(model, space, n_iter=3, cv=2, error_score="raise", random_state=0)
        for model, space in (
            (Ridge(solver="svd"), {"alpha": [0.1, 1.0, 10.0]}),
            (LogisticRegression(), {"C": [0.1, 1.0, 10.0]}),
        )
    ],
    # scikit-learn expects the same of its own searches.
    expected_failed_checks=lambda search: (
        {"check_supervised_y_2d": "a ridge takes a y of two dimensions as it is"}
        if isinstance(search.estimator, Ridge)
        else {}
    ),
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_it_is_a_scikit_learn_estimator(estimator, check):
    if "cuda" in repr(check) and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    check(estimator)


def test_the_results_have_all_that_a_random_search_has(data, ridge):
    random = RandomizedSearchCV(Ridge(), ALPHA, n_iter=10, cv=3, random_state=0).fit(*data)
    assert ridge.cv_results_.keys() == random.cv_results_.keys()
    for name, values in random.cv_results_.items():
        assert len(ridge.cv_results_[name]) == len(values)
        if name != "params":
            assert ridge.cv_results_[name].dtype == values.dtype
    assert set(vars(random)) - set(vars(ridge)) == {"param_distributions"}


def test_scores_are_those_of_cross_validation_and_the_best_candidate_is_refitted(data, ridge):
    for i, params in enumerate(ridge.cv_results_["params"]):
        scores = cross_val_score(Ridge(**params), *data, cv=3)
        assert_allclose([ridge.cv_results_[f"split{k}_test_score"][i] for k in range(3)], scores)
    means = ridge.cv_results_["mean_test_score"]
    assert (ridge.best_index_, ridge.best_score_) == (np.argmax(means), means.max())
    expected = Ridge(**ridge.best_params_).fit(*data)
    assert_array_equal(ridge.predict(data[0]), expected.predict(data[0]))
    copy = clone(ridge).set_params(estimator__fit_intercept=False, n_iter=4).fit(*data)
    assert copy.best_estimator_.fit_intercept is False
    assert len(copy.cv_results_["params"]) == 4


def test_the_number_of_jobs_decides_nothing(data):
    space = {**ALPHA, "fit_intercept": [True, False]}
    search = BayesSearchCV(Ridge(), space, n_iter=9, cv=2, batch_size=4, random_state=3)
    one, two = (clone(search).set_params(n_jobs=n).fit(*data).cv_results_ for n in (None, 2))
    assert_same_results(one, two)


def test_a_seed_decides_the_candidates_and_the_global_generator_is_left_alone(data):
    np.random.seed(5)
    before = np.random.get_state()[1].copy()

    def params(seed):
        search = BayesSearchCV(Ridge(), ALPHA, n_iter=5, n_initial=3, cv=2, random_state=seed)
        return search.fit(*data).cv_results_["params"]

    first = params(0)
    assert params(np.int64(0)) == first != params(1)
    assert_array_equal(np.random.get_state()[1], before)
    random = np.random.RandomState(0)
    assert params(random) != params(random)
    drawn = params(None)  # by NumPy's global generator
    np.random.seed(5)
    assert params(None) == drawn


def test_several_metrics_are_computed_and_one_guides(data):
    search = BayesSearchCV(
        Ridge(),
        ALPHA,
        n_iter=8,
        n_initial=3,
        scoring=["r2", "neg_mean_squared_error"],
        random_state=0,
        refit="r2",
    ).fit(*data)
    alone, function = (
        clone(search).set_params(scoring=scoring).fit(*data) for scoring in ("r2", two_scores)
    )
    for one in (search, function):
        assert one.cv_results_["params"] == alone.cv_results_["params"]
        assert_array_equal(one.cv_results_["mean_test_r2"], alone.cv_results_["mean_test_score"])
        assert one.best_index_ == alone.best_index_
    assert "rank_test_neg_mean_squared_error" in search.cv_results_
    assert_array_equal(function.cv_results_["mean_test_size"], np.full(8, 12.0))


@pytest.mark.parametrize("scoring", [["r2", "neg_mean_squared_error"], two_scores])
def test_with_several_metrics_one_must_be_named(data, scoring):
    for refit in (False, True, lambda results: 0):
        search = BayesSearchCV(Ridge(), ALPHA, n_iter=2, scoring=scoring, refit=refit)
        with pytest.raises(ValueError, match="refit must name the one that guides"):
            search.fit(*data)


def test_settings_that_fail_have_the_error_score_and_are_kept_too(data, tmp_path):
    space = {"a": uniform(0, 1)}
    search = BayesSearchCV(Known(fail="some"), space, n_iter=14, random_state=0)
    with pytest.warns((UserWarning, FitFailedWarning)) as caught:
        search.fit(*data)
    # One warning that scores are not finite, as from a random search.
    assert [w.category for w in caught].count(UserWarning) == 1
    assert [w.category for w in caught].count(FitFailedWarning) >= 1
    a = np.array(search.cv_results_["param_a"], dtype=float)
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), a > 0.6)
    assert 0 < np.isnan(search.cv_results_["mean_test_score"]).sum() < 14
    assert search.best_params_["a"] == a[a <= 0.6].max()
    search.set_params(scoring=two_scores, refit="r2", error_score=-9.0, return_train_score=True)
    found = []
    for storage in (None, tmp_path / "kept"):
        with pytest.warns(FitFailedWarning):
            found.append(search.set_params(storage=storage).fit(*data).cv_results_)
    found.append(search.fit(*data).cv_results_)
    failed = np.array(found[0]["param_a"], dtype=float) > 0.6
    for name in ("r2", "size"):
        assert_array_equal(found[0][f"mean_test_{name}"] == -9.0, failed)
    assert_same_results(found[0], found[1])
    assert_same_results(found[1], found[2], times=True)


def test_errors_are_raised_on_request_and_where_all_fits_fail(data):
    with pytest.raises(ValueError, match="^it is meant to fail"):
        BayesSearchCV(Known(fail=True), {"a": uniform(0, 1)}, error_score="raise").fit(*data)
    search = BayesSearchCV(Known(fail=True), {"a": uniform(0, 1)}, n_iter=3)
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match="All the 5 fits failed"):
        search.fit(*data)
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        BayesSearchCV(Ridge(), {"nothing": [1, 2]}).fit(*data)


def test_several_dicts_mask_what_a_candidate_does_not_have(data):
    spaces = [{"alpha": loguniform(1e-2, 1e2)}, {"solver": ["svd", "lsqr"]}]
    search = BayesSearchCV(Ridge(), spaces, n_iter=10, random_state=0).fit(*data)
    alpha, solver = search.cv_results_["param_alpha"], search.cv_results_["param_solver"]
    assert_array_equal(alpha.mask, ~solver.mask)
    assert 0 < alpha.mask.sum() <= 2
    for params in search.cv_results_["params"]:
        assert params.keys() in ({"alpha"}, {"solver"})


def test_metadata_are_routed(data):
    X, y = data
    groups, weight = np.arange(60) % 6, np.linspace(1, 2, 60)
    with sklearn.config_context(enable_metadata_routing=True):
        search = BayesSearchCV(
            Ridge().set_fit_request(sample_weight=True),
            search_spaces=ALPHA,
            n_iter=3,
            cv=GroupKFold(3),
            random_state=0,
            scoring=make_scorer(r2_score).set_score_request(sample_weight=True),
        ).fit(X, y, groups=groups, sample_weight=weight)
        with pytest.raises(TypeError, match="unexpected argument"):
            search.fit(X, y, nothing=weight, groups=groups)
    train, test = next(GroupKFold(3).split(X, y, groups))
    model = Ridge(**search.cv_results_["params"][1]).fit(X[train], y[train], weight[train])
    assert_allclose(
        search.cv_results_["split0_test_score"][1],
        r2_score(y[test], model.predict(X[test]), sample_weight=weight[test]),
    )


def test_all_candidates_get_the_same_splits(data):
    space = {"max_iter": [10, 20, 30, 40]}  # without effect on an exact solution
    search = BayesSearchCV(
        Ridge(solver="cholesky"), space, cv=KFold(3, shuffle=True), random_state=0
    ).fit(*data)
    assert np.ptp(search.cv_results_["split0_test_score"]) == 0
    again = BayesSearchCV(Ridge(), ALPHA, n_iter=3, cv=KFold(3).split(*data), random_state=0)
    fixed = BayesSearchCV(Ridge(), ALPHA, n_iter=3, cv=KFold(3), random_state=0)
    assert_same_results(again.fit(*data).cv_results_, fixed.fit(*data).cv_results_)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_iter": 0}, ValueError, "n_iter"),
        ({"search_spaces": "alpha"}, ValueError, "search_spaces"),
        ({"storage": "kept.jsonl"}, ValueError, "Give random_state an integer"),
    ],
)
def test_parameters_are_checked(data, tmp_path, monkeypatch, options, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        BayesSearchCV(**{"estimator": Ridge(), "search_spaces": ALPHA, **options}).fit(*data)
    assert not list(tmp_path.iterdir())


def test_without_optuna_the_error_names_the_extra(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"sklearn-memorability\[search\]"):
        BayesSearchCV(Ridge(), ALPHA, n_iter=2).fit(*data)


def test_optuna_says_nothing_and_its_log_stays_as_it_was(data, capfd, caplog, monkeypatch):
    level = optuna.logging.get_verbosity()
    BayesSearchCV(Ridge(), ALPHA, n_iter=8, n_initial=2, batch_size=2).fit(*data)
    assert optuna.logging.get_verbosity() == level
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    # Optuna 4 keeps its log from others, and writes to the stderr of its first use.
    monkeypatch.setattr(logging.getLogger("optuna"), "handlers", [caplog.handler])
    optuna.create_study()
    assert "A new study" in caplog.text


def test_it_finds_an_optimum_faster_than_a_random_search(data):
    space = {"a": uniform(0, 1), "b": uniform(0, 1), "kind": ["good", "bad", "worse"]}
    one = [([0], [1])]

    def best(search, seed):
        found = search(Known(a=None), space, n_iter=30, cv=one, random_state=seed, refit=False)
        return -found.fit(*data).best_score_

    guided = [best(BayesSearchCV, seed) for seed in range(5)]
    random = [best(RandomizedSearchCV, seed) for seed in range(5)]
    # The distance to the optimum, squared; 0 is the best that can be.
    assert np.median(guided) < np.median(random) / 2


# A search that is interrupted goes on, and takes nothing from another search -------


class StopAt:
    """A metric that stands for a user's Ctrl-C at one of its calls."""

    calls = 0
    last = None

    def __call__(self, estimator, X, y):
        StopAt.calls += 1
        if StopAt.calls == StopAt.last:
            raise KeyboardInterrupt
        return estimator.score(X, y)


def test_an_interrupted_search_goes_on(data, tmp_path):
    space = [{"a": uniform(0, 1), "kind": ["good", "bad"]}, {"b": norm(0.3, 0.2)}]
    storage = tmp_path / "kept" / "trials.jsonl"

    def search(storage, **options):
        options = {"n_iter": 14, "cv": 3, "scoring": StopAt(), "random_state": 0, **options}
        return BayesSearchCV(Known(), space, storage=storage, **options)

    whole = search(None).fit(*data).cv_results_
    StopAt.calls, StopAt.last = 0, 3 * 8 + 1
    interrupted = search(storage)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(*data)
    assert not hasattr(interrupted, "cv_results_")
    StopAt.last = None
    FITS.clear()
    resumed = search(storage).fit(*data).cv_results_
    assert len(FITS) == 3 * (14 - 8) + 1
    assert_same_results(resumed, whole)

    FITS.clear()
    again = search(storage).fit(*data).cv_results_
    assert len(FITS) == 3 + 1  # scikit-learn wants to see one candidate's scores
    assert_same_results(again, resumed, times=True)

    FITS.clear()
    further = search(storage, n_iter=16).fit(*data).cv_results_
    assert len(FITS) == 3 * 2 + 1
    assert_same_results(further, search(None, n_iter=16).fit(*data).cv_results_)


def n_fitted(path, X, y, fit_params=None, estimator=None, **options):
    """Return how many candidates a search fits, with a file that others wrote to."""
    FITS.clear()
    options = {"n_iter": 3, "cv": 3, "random_state": 0, "refit": False, **options}
    options = {"search_spaces": {"a": uniform(0, 1)}, "storage": path, **options}
    search = BayesSearchCV(estimator or Known(), **options)
    search.fit(X, y, **(fit_params or {}))
    return len(FITS) / search.n_splits_


def test_nothing_is_reused_once_anything_is_different(data, tmp_path):
    X, y = data
    path = tmp_path / "kept"
    assert n_fitted(path, X, y) == 3
    assert n_fitted(path, X.copy(), y.copy()) == 1  # the one that scikit-learn wants to see
    other = X.copy()
    other[7, 2] += 1e-9
    assert n_fitted(path, other, y) == 3
    assert n_fitted(path, X, y + 1e-9) == 3
    with pytest.warns(UserWarning, match="does not support sample_weight"):
        assert n_fitted(path, X, y, fit_params={"sample_weight": np.ones(60)}) == 3
    for options in (
        {"estimator": Known(b=0.6)},
        {"cv": KFold(3, shuffle=True, random_state=0)},
        {"cv": 4},
        {"search_spaces": {"a": uniform(0, 2)}},
        {"scoring": "r2"},
        {"scoring": make_scorer(mean_squared_error)},
        {"scoring": make_scorer(r2_score)},
        {"return_train_score": True},
        {"random_state": 1},
    ):
        assert n_fitted(path, X, y, **options) == 3
    assert n_fitted(path, X, y) == 1
    assert n_fitted(path, X, y, scoring=make_scorer(r2_score)) == 1


def test_frames_pipelines_and_files_named_as_input_are_known_again(data, tmp_path):
    X, kept = pd.DataFrame(data[0], columns=list("abcd")), tmp_path / "kept"
    pipeline = make_pipeline(StandardScaler(), Known())
    options = {"estimator": pipeline, "search_spaces": {"known__a": uniform(0, 1)}}
    for rows, expected in ((X, 3), (X.copy(), 1), (X + 1, 3)):
        assert n_fitted(kept, rows, data[1], **options) == expected
    paths = [tmp_path / f"{i}.png" for i in range(60)]
    for path in paths:
        path.write_bytes(b"one")
    for expected in (3, 1):
        assert n_fitted(kept, paths, data[1]) == expected
    paths[7].write_bytes(b"two")
    os.utime(paths[7], ns=(1, 1))
    assert n_fitted(kept, paths, data[1]) == 3


def test_outer_folds_share_a_file_and_nothing_else(data, tmp_path):
    def scores(storage, n_jobs):
        search = BayesSearchCV(
            make_pipeline(StandardScaler(), Ridge()),
            {"ridge__alpha": loguniform(1e-2, 1e2)},
            n_iter=5,
            cv=3,
            random_state=0,
            storage=storage,
        )
        found = cross_validate(
            search, *data, cv=ShuffleSplit(4, random_state=0), n_jobs=n_jobs, return_estimator=True
        )
        return found["test_score"], [e.cv_results_ for e in found["estimator"]]

    kept = tmp_path / "kept"
    expected, results = scores(None, None)
    # Two processes write to the file at once; a later pass reads what they wrote.
    for n_jobs in (2, None):
        found, kept_results = scores(kept, n_jobs)
        assert_array_equal(found, expected)
        for one, other in zip(results, kept_results, strict=True):
            assert_same_results(one, other)
    # Optuna reads it: four searches of five candidates each, as lines of JSON.
    assert all(json.loads(line) for line in kept.read_text().splitlines())
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(kept)))
    names = optuna.get_all_study_names(storage)
    counts = [len(optuna.load_study(study_name=n, storage=storage).trials) for n in names]
    assert counts == [5] * 4


def test_an_unfinished_line_costs_its_candidate_and_nothing_else(data, tmp_path):
    kept = tmp_path / "kept"
    assert n_fitted(kept, *data) == 3
    kept.write_bytes(kept.read_bytes()[:-50])
    assert n_fitted(kept, *data) == 1
    assert n_fitted(kept, *data, n_iter=4) == 1
    assert n_fitted(kept, *data, n_iter=4) == 1


@pytest.mark.parametrize(
    "content",
    [b"name,score\na,1\n", b"name,score\na,1", b"\x89PNG\x00\x01", b"{}", b"[1]\n", b"[" * 9999],
)
def test_another_programs_file_is_refused_and_left_as_it_is(data, tmp_path, content):
    kept = tmp_path / "kept"
    kept.write_bytes(content)
    with pytest.raises(ValueError, match=r"storage=.*kept' is damaged, or no file of a search"):
        n_fitted(kept, *data)
    assert kept.read_bytes() == content
    with pytest.raises(ValueError, match="is a folder"):
        n_fitted(tmp_path, *data)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_where_no_candidate_has_a_score_the_search_says_so(data):
    X, y = data[0], np.r_[np.full(30, 0.5), np.linspace(0, 1, 30)]
    search = BayesSearchCV(Ridge(), ALPHA, n_iter=2, cv=2, scoring=spearman_scorer, random_state=0)
    with pytest.warns(UserWarning, match="No candidate has a score.*StratifiedScoreKFold"):
        search.fit(X, y)
    with pytest.raises(ValueError, match="No candidate has a score"):
        search.set_params(error_score="raise").fit(X, y)
