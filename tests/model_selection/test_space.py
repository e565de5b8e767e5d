import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.stats import geom, loguniform, norm, poisson, randint, rv_discrete, uniform
from sklearn.linear_model import Ridge

from sklearn_memorability.model_selection._space import SearchSpace


def drawn(values, n=2000):
    space = SearchSpace({"p": values})
    rng = np.random.default_rng(0)
    return [space.draw(rng).params["p"] for _ in range(n)]


@pytest.mark.parametrize(
    "prior", [uniform(-2, 5), loguniform(1e-4, 1e2), norm(3, 2), stats.expon()]
)
def test_random_candidates_follow_a_continuous_prior(prior):
    values = drawn(prior)
    assert all(type(value) is float for value in values)
    assert stats.kstest(values, prior.cdf).pvalue > 0.01


@pytest.mark.parametrize("prior", [randint(1, 6), geom(0.4), poisson(2.0)])
def test_random_candidates_follow_a_discrete_prior(prior):
    values = drawn(prior)
    assert all(type(value) is int for value in values)
    expected = prior.pmf(np.arange(6))
    shares = np.bincount(values, minlength=6)[:6] / len(values)
    assert_allclose(shares, expected, atol=4 * np.sqrt(0.25 / len(values)))


def test_elements_of_a_list_are_equally_likely_and_come_as_they_are():
    model = Ridge()
    listed = [model, None, "a", (1, 2), len]
    values = drawn(listed)
    shares = [sum(value is item for value in values) / len(values) for item in listed]
    assert_allclose(shares, 0.2, atol=0.04)


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        ([1, 2, 5], True),
        ([10.0, 1.0, 0.1], True),
        (np.array([1, 3, 9]), True),
        ([(50,), (50, 50), (100,)], True),
        ([(2, 1), (1, 5)], True),
        ([1, 3, 2], False),
        ([1, 1, 2], False),
        ([1, 2, None], False),
        ([False, True], False),
        ([1, (2,)], False),
        (["a", "b"], False),
        ([1.0, float("nan")], False),
        ([Ridge(), Ridge()], False),
    ],
)
def test_lists_of_numbers_that_go_up_or_down_are_ordered(values, ordered):
    assert SearchSpace({"p": values}).parts[0]["p"].ordered is ordered


def test_a_finite_space_is_counted_and_listed():
    space = SearchSpace([{"a": [1, 2, 3], "b": randint(4, 6)}, {"c": ["x", "y"]}, {}])
    assert space.size == 9
    listed = [candidate.params for candidate in space.listed()]
    assert len(listed) == 9
    for params in ({"a": 2, "b": 5}, {"a": 3, "b": 4}, {"c": "y"}, {}):
        assert params in listed
    assert len({candidate.key for candidate in space.listed()}) == 9


def test_a_distribution_of_given_values_is_finite():
    space = SearchSpace({"p": rv_discrete(values=([1, 4, 9], [0.2, 0.8, 0.0]))})
    assert [candidate.params["p"] for candidate in space.listed()] == [1, 4]


def test_continuous_and_unbounded_spaces_are_infinite():
    for values in (uniform(), poisson(3), geom(0.5)):
        space = SearchSpace({"p": values, "q": [1]})
        assert space.size == np.inf
        assert space.listed() is None


def test_spread_candidates_cover_each_share_of_the_prior():
    space = SearchSpace({"a": loguniform(1e-4, 1e4), "b": norm(), "c": [1, 2, 3, 4]})
    candidates = space.spread(8, np.random.default_rng(0))
    a = [np.log10(candidate.params["a"]) for candidate in candidates]
    assert_array_equal(np.sort(np.floor(np.add(a, 4))), np.arange(8))
    b = [norm.cdf(candidate.params["b"]) for candidate in candidates]
    assert_array_equal(np.sort(np.floor(np.multiply(b, 8))), np.arange(8))
    c = [candidate.params["c"] for candidate in candidates]
    assert sorted(c) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert len(space.spread(1, np.random.default_rng(0))) == 1


def test_an_estimators_own_parameters_are_found_in_the_space():
    space = SearchSpace([{"a": ["x", None]}, {"b": loguniform(0.1, 10), "c": randint(0, 4)}])
    assert space.holds({"a": None, "b": 1.0, "c": 2}).params == {"a": None}
    found = space.holds({"a": "z", "b": 2.0, "c": 3, "d": 0})
    assert found.part == 1
    assert_allclose(found.params["b"], 2.0, rtol=1e-12)
    assert found.params["c"] == 3
    for own in ({"b": 20.0, "c": 1}, {"b": "1", "c": 1}, {"b": 1.0, "c": 1.5}, {"b": 1.0}):
        assert space.holds(own) is None


@pytest.mark.parametrize(
    ("spaces", "error", "message"),
    [
        ([], ValueError, "empty list"),
        ([3], TypeError, "dict or a list of dicts"),
        ({"p": 3}, TypeError, "Put a single value into a list"),
        ({"p": "abc"}, TypeError, "neither a distribution nor a list"),
        ({"p": []}, ValueError, "empty list for 'p'"),
        ({"p": np.ones((2, 2))}, ValueError, r"shape \(2, 2\)"),
        ({3: [1]}, TypeError, "no string"),
        ({"p": stats.loguniform}, TypeError, "lacks its shape"),
        ({"p": loguniform(1, -1)}, ValueError, "out of range"),
        ({"p": stats.dirichlet([1, 2])}, TypeError, "no ppf"),
    ],
)
def test_spaces_that_can_not_be_searched_are_refused(spaces, error, message):
    with pytest.raises(error, match=message):
        SearchSpace(spaces)
