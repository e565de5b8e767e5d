"""What a search tries: through settings with a known score, on data that don't matter."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.stats import geom, loguniform, norm, randint, rv_discrete, uniform
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge

from sklearn_memorability.model_selection import BayesSearchCV

pytest.importorskip("optuna")
NOT_GIVEN = "not given"


class Scored(RegressorMixin, BaseEstimator):
    """Has the parameters a, b and c, and a score that is a function of those given."""

    def __init__(self, a=NOT_GIVEN, b=NOT_GIVEN, c=NOT_GIVEN, function=None):
        self.a = a
        self.b = b
        self.c = c
        self.function = function

    def fit(self, X, y=None):
        given = {name: getattr(self, name) for name in "abc"}
        given = {name: value for name, value in given.items() if value is not NOT_GIVEN}
        self.score_ = 0.0 if self.function is None else self.function(given)
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def score(self, X, y=None):
        return self.score_


def tried(space, function=None, n=30, **options):
    """Return the settings that a search tries, in their order."""
    options = {"random_state": 0, **options}
    search = BayesSearchCV(
        Scored(function=function), space, n_iter=n, cv=[([0], [1])], refit=False, **options
    )
    return search.fit(np.zeros((2, 1)), [0.0, 1.0]).cv_results_["params"]


def spread(values, n=40):
    """Return n candidates that are spread over a prior, before scores guide."""
    return [params["a"] for params in tried({"a": values}, n=n, n_initial=n)]


@pytest.mark.parametrize(
    "prior", [uniform(-2, 5), loguniform(1e-4, 1e2), norm(3, 2), stats.expon()]
)
def test_first_candidates_have_one_in_each_share_of_a_continuous_prior(prior):
    values = spread(prior)
    assert all(type(value) is float for value in values)
    assert_array_equal(np.sort(np.floor(40 * prior.cdf(values))), np.arange(40))


@pytest.mark.parametrize("prior", [randint(0, 5000), geom(0.001)])
def test_first_candidates_follow_a_discrete_prior(prior):
    values = spread(prior)
    assert all(type(value) is int for value in values)
    assert stats.kstest(values, lambda x: prior.cdf(x)).statistic < 0.1


def test_elements_of_a_list_come_as_they_are():
    listed = [Ridge(), None, "a", (1, 2), len, 3]
    values = spread(listed)
    assert len(values) == 6
    assert all(any(value is item for item in listed) for value in values)


def test_a_finite_space_is_gone_through_once():
    space = [{"a": [1, 2, 3], "b": randint(4, 6)}, {"c": ["x", "y"]}, {}]
    for batch_size in (1, 4):
        settings = tried(space, batch_size=batch_size)
        assert len({tuple(params.items()) for params in settings}) == len(settings) == 9
    assert [params["a"] for params in tried({"a": [3]})] == [3]
    given = rv_discrete(values=([1, 4, 9], [0.2, 0.8, 0.0]))
    assert sorted(params["a"] for params in tried({"a": given})) == [1, 4]


def test_an_estimators_own_parameters_are_tried_first_if_they_lie_in_the_space():
    space = [{"fit_intercept": [None]}, {"alpha": loguniform(0.1, 10), "max_iter": randint(1, 9)}]

    def first(**own):
        search = BayesSearchCV(Ridge(**own), space, n_iter=1, cv=3, random_state=0, refit=False)
        return search.fit(np.eye(6), np.arange(6.0)).cv_results_["params"][0]

    found = first(alpha=2.0, max_iter=3)
    assert found.keys() == {"alpha", "max_iter"}
    assert_allclose(found["alpha"], 2.0, rtol=1e-12)
    assert found["max_iter"] == 3
    assert first(alpha=20.0, max_iter=3).get("alpha") != 20.0


def test_candidates_gather_where_scores_are_good_and_depend_on_nothing_else():
    def score(params):
        return -abs(params["a"] - 0.3)

    space = {"a": uniform(0, 1), "b": ["x", "y"], "c": [1, 2, 3]}
    settings = tried(space, score, 12)
    assert settings == tried(space, score, 12)
    assert settings[:8] == tried(space, score, 8)
    assert settings != tried(space, lambda params: params["a"], 12)
    found = tried({"a": uniform(0, 1)}, score)
    assert np.mean([abs(p["a"] - 0.3) < 0.1 for p in found[-15:]]) > 0.5


@pytest.mark.parametrize(
    "values", [list(range(100))[::-1], [(n, 1) for n in range(100)], np.arange(100)]
)
def test_the_order_of_a_list_is_used(values):
    def score(params):
        return -abs(np.ravel(params["a"])[0] - 70)

    found = [tried({"a": values}, score, random_state=seed)[-15:] for seed in range(3)]
    near = [score(params) > -15 for settings in found for params in settings]
    assert np.mean(near) > 0.4  # .29 of the values


def test_a_better_dict_is_tried_more_often():
    spaces = [{"a": uniform()}, {"b": uniform()}]
    found = tried(spaces, lambda p: p.get("a", p.get("b", 0) + 2))
    assert sum("b" in params for params in found[-15:]) > 9


def test_failures_are_kept_away_from_and_may_come_first():
    def score(params):
        if params["a"] < 0.5:
            raise ValueError("it is meant to fail")
        return -params["a"]

    with pytest.warns((FitFailedWarning, UserWarning)):
        found = tried({"a": uniform()}, score)
    assert min(params["a"] for params in found if params["a"] >= 0.5) < 0.53


@pytest.mark.parametrize(
    ("spaces", "error", "message"),
    [
        ([], ValueError, "empty list"),
        ([3], TypeError, "dict or a list of dicts"),
        ({"p": 3}, TypeError, "Put a single value into a list"),
        ({"p": []}, ValueError, "empty list for 'p'"),
        ({"p": stats.loguniform}, TypeError, "no quantiles.*frozen"),
        ({"p": loguniform(1, -1)}, ValueError, "out of range"),
        ({"p": stats.dirichlet([1, 2])}, TypeError, "no quantiles.*one dimension"),
    ],
)
def test_spaces_that_can_not_be_searched_are_refused(spaces, error, message):
    with pytest.raises(error, match=message):
        tried(spaces)
