import logging
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform, randint, uniform
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier, is_regressor
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_memorability.model_selection import BayesSearchCV

ALPHA = {"alpha": loguniform(1e-3, 1e3)}
TIMES = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time")


class Known(RegressorMixin, BaseEstimator):
    """Scores what a known function of its parameters is, on any data."""

    def __init__(self, a=0.5, b=0.5, kind="good", fail=False):
        self.a = a
        self.b = b
        self.kind = kind
        self.fail = fail

    def fit(self, X, y=None):
        if self.fail is True or (self.fail == "some" and self.a > 0.6):
            raise ValueError("it is meant to fail")
        self.n_samples_ = len(X)
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def score(self, X, y=None):
        penalty = 0.0 if self.kind == "good" else 0.2
        return -((self.a - 0.8) ** 2) - (self.b - 0.25) ** 2 - penalty


def assert_same_results(one, other, times=False):
    assert one.keys() == other.keys()
    assert one["params"] == other["params"]
    for name in one.keys() - {"params"} - (set() if times else set(TIMES)):
        assert_array_equal(np.ma.getmaskarray(one[name]), np.ma.getmaskarray(other[name]))
        # What is behind a mask is anything.
        there = [np.ma.compressed(results[name]) for results in (one, other)]
        assert_array_equal(*there, err_msg=name)


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
        BayesSearchCV(
            Ridge(solver="svd"),
            {"alpha": [0.1, 1.0, 10.0]},
            n_iter=3,
            cv=2,
            error_score="raise",
            random_state=0,
        ),
        BayesSearchCV(
            LogisticRegression(),
            {"C": [0.1, 1.0, 10.0]},
            n_iter=3,
            cv=2,
            error_score="raise",
            random_state=0,
        ),
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


def test_scores_are_those_of_cross_validation(data, ridge):
    for i, params in enumerate(ridge.cv_results_["params"]):
        scores = cross_val_score(Ridge(**params), *data, cv=3)
        assert_allclose([ridge.cv_results_[f"split{k}_test_score"][i] for k in range(3)], scores)
        assert_allclose(ridge.cv_results_["mean_test_score"][i], scores.mean())
        assert_allclose(ridge.cv_results_["std_test_score"][i], scores.std())


def test_the_best_candidate_is_refitted(data, ridge):
    means = ridge.cv_results_["mean_test_score"]
    assert ridge.best_index_ == np.argmax(means)
    assert ridge.best_score_ == means.max()
    assert ridge.cv_results_["rank_test_score"][ridge.best_index_] == 1
    assert ridge.best_params_ == ridge.cv_results_["params"][ridge.best_index_]
    expected = Ridge(**ridge.best_params_).fit(*data)
    assert_array_equal(ridge.predict(data[0]), expected.predict(data[0]))
    assert ridge.score(*data) == expected.score(*data)
    assert is_regressor(ridge)
    assert ridge.n_splits_ == 3
    assert ridge.n_features_in_ == 4


def test_without_refit_there_is_no_best_estimator(data):
    search = BayesSearchCV(Ridge(), ALPHA, n_iter=3, refit=False, random_state=0).fit(*data)
    assert not hasattr(search, "best_estimator_")
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    with pytest.raises(AttributeError, match="predict"):
        search.predict(data[0])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_number_of_jobs_decides_nothing(data, batch_size):
    def fitted(n_jobs):
        # Few and small fits: starting processes is what takes time.
        return BayesSearchCV(
            Ridge(),
            {**ALPHA, "fit_intercept": [True, False]},
            n_iter=9,
            cv=2,
            batch_size=batch_size,
            n_jobs=n_jobs,
            random_state=3,
        ).fit(*data)

    assert_same_results(fitted(None).cv_results_, fitted(2).cv_results_)


def test_a_seed_decides_the_candidates_and_the_global_generator_is_left_alone(data):
    np.random.seed(5)
    before = np.random.get_state()[1].copy()

    def params(seed):
        search = BayesSearchCV(Ridge(), ALPHA, n_iter=8, n_initial=3, random_state=seed)
        return search.fit(*data).cv_results_["params"]

    assert params(0) == params(0) == params(np.int64(0))
    assert params(0) != params(1)
    assert_array_equal(np.random.get_state()[1], before)
    random = np.random.RandomState(0)
    assert params(random) != params(random)
    np.random.seed(5)
    drawn = params(None)
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
    alone = BayesSearchCV(Ridge(), ALPHA, n_iter=8, n_initial=3, scoring="r2", random_state=0).fit(
        *data
    )
    assert search.multimetric_
    assert search.cv_results_["params"] == alone.cv_results_["params"]
    assert_array_equal(search.cv_results_["mean_test_r2"], alone.cv_results_["mean_test_score"])
    assert "rank_test_neg_mean_squared_error" in search.cv_results_
    assert search.best_index_ == alone.best_index_


def two_scores(estimator, X, y):
    return {"r2": r2_score(y, estimator.predict(X)), "size": len(y)}


def test_scoring_can_be_a_function_of_one_or_several_scores(data):
    def one(estimator, X, y):
        return two_scores(estimator, X, y)["r2"]

    alone = BayesSearchCV(Ridge(), ALPHA, n_iter=7, scoring=one, random_state=0).fit(*data)
    both = BayesSearchCV(
        Ridge(), ALPHA, n_iter=7, scoring=two_scores, refit="r2", random_state=0
    ).fit(*data)
    assert_array_equal(both.cv_results_["mean_test_r2"], alone.cv_results_["mean_test_score"])
    assert_array_equal(both.cv_results_["mean_test_size"], np.full(7, 12.0))


@pytest.mark.parametrize("scoring", [["r2", "neg_mean_squared_error"], two_scores])
@pytest.mark.parametrize("refit", [False, True, lambda results: 0])
def test_with_several_metrics_one_must_be_named(data, scoring, refit):
    search = BayesSearchCV(Ridge(), ALPHA, n_iter=2, scoring=scoring, refit=refit)
    with pytest.raises(ValueError, match="refit must name the one that guides"):
        search.fit(*data)


def test_training_scores_are_returned_on_request(data):
    search = BayesSearchCV(Ridge(), ALPHA, n_iter=3, return_train_score=True, random_state=0).fit(
        *data
    )
    assert np.all(search.cv_results_["mean_train_score"] > search.cv_results_["mean_test_score"])


def test_settings_that_fail_have_the_error_score(data):
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


def test_errors_are_raised_on_request_and_where_all_fits_fail(data):
    with pytest.raises(ValueError, match="^it is meant to fail"):
        BayesSearchCV(Known(fail=True), {"a": uniform(0, 1)}, error_score="raise").fit(*data)
    search = BayesSearchCV(Known(fail=True), {"a": uniform(0, 1)}, n_iter=3)
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match="All the 5 fits failed"):
        search.fit(*data)
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        BayesSearchCV(Ridge(), {"nothing": [1, 2]}).fit(*data)


def test_a_small_space_is_searched_once_and_no_setting_twice(data):
    space = {"alpha": [0.1, 1.0, 10.0], "fit_intercept": [True, False]}
    search = BayesSearchCV(Ridge(), space, n_iter=30, batch_size=4, random_state=0).fit(*data)
    tried = {tuple(sorted(params.items())) for params in search.cv_results_["params"]}
    assert len(search.cv_results_["params"]) == len(tried) == 6
    search.set_params(search_spaces={"max_iter": randint(1, 20)}, n_iter=12).fit(*data)
    assert len({params["max_iter"] for params in search.cv_results_["params"]}) == 12


def test_several_dicts_mask_what_a_candidate_does_not_have(data):
    spaces = [{"alpha": loguniform(1e-2, 1e2)}, {"solver": ["svd", "lsqr"]}]
    search = BayesSearchCV(Ridge(), spaces, n_iter=10, random_state=0).fit(*data)
    alpha, solver = search.cv_results_["param_alpha"], search.cv_results_["param_solver"]
    assert_array_equal(alpha.mask, ~solver.mask)
    assert 0 < alpha.mask.sum() <= 2
    for params in search.cv_results_["params"]:
        assert params.keys() in ({"alpha"}, {"solver"})


def test_steps_of_a_pipeline_can_be_exchanged(data):
    space = {"scale": [StandardScaler(), MinMaxScaler(), None], "model__alpha": [0.1, 1, 10]}
    pipeline = Pipeline([("scale", None), ("model", Ridge())])
    search = BayesSearchCV(pipeline, space, n_iter=9, random_state=0).fit(*data)
    assert len(search.cv_results_["params"]) == 9
    assert search.best_estimator_["scale"] is not search.best_params_["scale"] or (
        search.best_params_["scale"] is None
    )


def test_the_estimators_own_parameters_are_the_first_candidate(data):
    search = BayesSearchCV(Ridge(alpha=7.0), ALPHA, n_iter=2, random_state=0).fit(*data)
    assert_allclose(search.cv_results_["params"][0]["alpha"], 7.0, rtol=1e-12)
    search.set_params(estimator__alpha=1e6).fit(*data)
    assert search.cv_results_["params"][0]["alpha"] < 1e3


def test_data_frames_reach_the_estimator(data):
    X = pd.DataFrame(data[0], columns=["one", "two", "three", "four"])
    search = BayesSearchCV(Ridge(), ALPHA, n_iter=3, random_state=0).fit(X, pd.Series(data[1]))
    assert list(search.feature_names_in_) == list(X.columns)
    assert list(search.best_estimator_.feature_names_in_) == list(X.columns)


def test_weights_and_groups_are_passed_on(data):
    X, y = data
    groups = np.arange(60) % 6
    weight = np.linspace(1, 2, 60)
    search = BayesSearchCV(
        Ridge(), ALPHA, n_iter=3, scoring="r2", cv=GroupKFold(3), random_state=0
    ).fit(X, y, groups=groups, sample_weight=weight)
    train, test = next(GroupKFold(3).split(X, y, groups))
    model = Ridge(**search.cv_results_["params"][1]).fit(X[train], y[train], weight[train])
    predicted = model.predict(X[test])
    weighted = r2_score(y[test], predicted, sample_weight=weight[test])
    possible = [r2_score(y[test], predicted), weighted]
    # Whether scorers get weights without routing depends on scikit-learn's version.
    assert np.isclose(search.cv_results_["split0_test_score"][1], possible).any()
    assert_allclose(
        search.best_estimator_.coef_, Ridge(**search.best_params_).fit(X, y, weight).coef_
    )


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


def test_classifiers_get_stratified_folds():
    X, y = make_classification(60, random_state=0)
    search = BayesSearchCV(
        LogisticRegression(), {"C": loguniform(1e-3, 1e3)}, n_iter=4, random_state=0
    ).fit(X, y)
    assert is_classifier(search)
    assert_array_equal(search.classes_, [0, 1])
    assert search.predict_proba(X).shape == (60, 2)
    assert search.decision_function(X).shape == (60,)


def test_callbacks_see_each_batch_and_fit(data):
    pytest.importorskip("sklearn.callback")

    class Recorder:
        def __init__(self):
            self.begun, self.ended = [], []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            self.begun.append(context.task_name)

        def on_fit_task_end(self, estimator, context):
            self.ended.append(context.task_name)

        def teardown(self, estimator, context):
            pass

    recorder = Recorder()
    search = BayesSearchCV(Ridge(), ALPHA, n_iter=5, batch_size=2, cv=3, random_state=0)
    search.set_callbacks(recorder).fit(*data)
    assert recorder.begun.count("batch") == recorder.ended.count("batch") == 3
    assert recorder.begun.count("candidate-split-evaluation") == 15
    assert recorder.ended.count("search") == recorder.ended.count("fit") == 1
    assert "refit-with-best-params" in recorder.ended


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_iter": 0}, ValueError, "n_iter"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"n_initial": 0}, ValueError, "n_initial"),
        ({"storage": 3}, ValueError, "storage"),
        ({"search_spaces": "alpha"}, ValueError, "search_spaces"),
        ({"search_spaces": []}, ValueError, "empty list"),
        ({"search_spaces": {"alpha": 3}}, TypeError, "Put a single value into a list"),
        ({"storage": "kept.jsonl"}, ValueError, "Give random_state an integer"),
        ({"n_iter": "many"}, ValueError, "n_iter"),
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
    optuna = pytest.importorskip("optuna")
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

    def best(search, seed):
        found = search(Known(a=None), space, n_iter=30, cv=2, random_state=seed, refit=False)
        return -found.fit(*data).best_score_

    guided = [best(BayesSearchCV, seed) for seed in range(5)]
    random = [best(RandomizedSearchCV, seed) for seed in range(5)]
    # The distance to the optimum, squared; 0 is the best that can be.
    assert np.median(guided) < np.median(random) / 2


def test_an_error_score_that_is_a_number_guides_and_stands_in_each_metric(data):
    search = BayesSearchCV(
        Known(fail="some"),
        {"a": uniform(0, 1)},
        n_iter=6,
        scoring=two_scores,
        refit="r2",
        random_state=0,
        error_score=-9.0,
    )
    with pytest.warns(FitFailedWarning):
        search.fit(*data)
    failed = np.array(search.cv_results_["param_a"], dtype=float) > 0.6
    for name in ("r2", "size"):
        assert_array_equal(search.cv_results_[f"mean_test_{name}"] == -9.0, failed)


def test_what_is_set_between_fits_counts(data, ridge):
    copy = clone(ridge).set_params(estimator__fit_intercept=False, n_iter=4)
    assert not hasattr(copy, "cv_results_")
    copy.fit(*data)
    assert copy.best_estimator_.fit_intercept is False
    assert len(copy.cv_results_["params"]) == 4
