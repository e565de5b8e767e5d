"""A search that is interrupted goes on, and takes nothing from another search."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import loguniform, norm, uniform
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_squared_error, r2_score
from sklearn.model_selection import KFold, ShuffleSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability.model_selection import BayesSearchCV

optuna = pytest.importorskip("optuna")

FITS = []  # one entry for each fit of Counted in this process


class Counted(RegressorMixin, BaseEstimator):
    """Scores what a known function of its parameters is, and counts its fits."""

    def __init__(self, a=0.5, b=0.5, kind="good", stop_at=None):
        self.a = a
        self.b = b
        self.kind = kind
        self.stop_at = stop_at

    def fit(self, X, y=None, sample_weight=None):
        FITS.append(self.a)
        if self.kind == "some fail" and self.a > 0.6:
            raise ValueError("it is meant to fail")
        self.n_samples_ = len(X)
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def score(self, X, y=None):
        return -((self.a - 0.8) ** 2) - (self.b - 0.25) ** 2 - (self.kind == "bad") / 5


class StopAt:
    """A metric that stands for a user's Ctrl-C at one of its calls."""

    calls = 0
    last = None

    def __call__(self, estimator, X, y):
        StopAt.calls += 1
        if StopAt.calls == StopAt.last:
            raise KeyboardInterrupt
        return estimator.score(X, y)


def two_scores(estimator, X, y):
    return {"r2": r2_score(y, estimator.predict(X)), "size": len(y)}


def assert_same_results(one, other, times=False):
    assert one.keys() == other.keys()
    assert one["params"] == other["params"]
    for name in one.keys() - {"params"}:
        if times or not name.endswith("_time"):
            assert_array_equal(np.ma.getmaskarray(one[name]), np.ma.getmaskarray(other[name]))
            assert_array_equal(*(np.ma.compressed(results[name]) for results in (one, other)))


@pytest.fixture(scope="module")
def data():
    return make_regression(60, 4, noise=10.0, random_state=0)


def test_an_interrupted_search_goes_on(data, tmp_path):
    space = [{"a": uniform(0, 1), "kind": ["good", "bad"]}, {"b": norm(0.3, 0.2)}]
    storage = tmp_path / "kept" / "trials.jsonl"

    def search(storage, **options):
        options = {"n_iter": 14, "cv": 3, "scoring": StopAt(), "random_state": 0, **options}
        return BayesSearchCV(Counted(), space, storage=storage, **options)

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


def test_failures_and_several_metrics_are_kept_too(data, tmp_path):
    found = []
    for storage in (None, tmp_path / "kept", tmp_path / "kept"):
        search = BayesSearchCV(
            Counted(kind="some fail"),
            {"a": uniform(0, 1)},
            n_iter=7,
            scoring=two_scores,
            refit="r2",
            random_state=0,
            storage=storage,
            return_train_score=True,
        )
        with pytest.warns((UserWarning, FitFailedWarning)):
            found.append(search.fit(*data).cv_results_)
    assert np.isnan(found[0]["mean_test_r2"]).any()
    assert_same_results(found[0], found[1])
    assert_same_results(found[1], found[2], times=True)


def n_fitted(path, X, y, fit_params=None, estimator=None, **options):
    """Return how many candidates a search fits, with a file that others wrote to."""
    FITS.clear()
    options = {"n_iter": 3, "cv": 3, "random_state": 0, "refit": False, **options}
    options = {"search_spaces": {"a": uniform(0, 1)}, "storage": path, **options}
    search = BayesSearchCV(estimator or Counted(), **options)
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
        {"estimator": Counted(b=0.6)},
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


def test_frames_sparse_rows_and_pipelines_are_known_again(data, tmp_path):
    X = pd.DataFrame(data[0], columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), Counted())
    space = {"counted__a": uniform(0, 1)}
    for expected in (3, 1):
        kept = tmp_path / "kept"
        found = n_fitted(kept, X.copy(), data[1], estimator=pipeline, search_spaces=space)
        assert found == expected
    assert n_fitted(kept, X + 1, data[1], estimator=pipeline, search_spaces=space) == 3


def test_files_named_as_input_are_the_same_until_one_changes(data, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(60)]
    for path in paths:
        path.write_bytes(b"one")
    for expected in (3, 1):
        assert n_fitted(tmp_path / "kept", paths, data[1]) == expected
    paths[7].write_bytes(b"two")
    os.utime(paths[7], ns=(1, 1))
    assert n_fitted(tmp_path / "kept", paths, data[1]) == 3


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
