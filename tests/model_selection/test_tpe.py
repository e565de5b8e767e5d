import numpy as np
import pytest
from scipy.stats import randint, uniform

from sklearn_memorability.model_selection._space import SearchSpace
from sklearn_memorability.model_selection._tpe import CandidateSampler

pytest.importorskip("optuna")


def searched(space, score, n, seed=0, n_initial=4, batch_size=1):
    sampler = CandidateSampler(SearchSpace(space), seed, n_initial, None)
    found = []
    while len(found) < n and (batch := sampler.batch(min(batch_size, n - len(found)))):
        for candidate in batch:
            sampler.tell(candidate, score(candidate.params))
        found += [candidate.params for candidate in batch]
    return found


def test_candidates_gather_where_scores_are_good():
    found = searched({"a": uniform(0, 1)}, lambda params: -abs(params["a"] - 0.3), 30)
    assert np.mean([abs(params["a"] - 0.3) < 0.1 for params in found[-15:]]) > 0.5


def test_the_order_of_a_list_is_used():
    values = list(range(100))
    found = searched({"a": values}, lambda params: -abs(params["a"] - 70), 30)
    assert np.mean([abs(params["a"] - 70) < 10 for params in found[-15:]]) > 0.35


def test_a_better_dict_is_tried_more_often():
    spaces = [{"a": uniform()}, {"b": uniform()}]
    found = searched(spaces, lambda params: params.get("a", params.get("b", 0) + 2), 30)
    assert sum("b" in params for params in found[-15:]) > 9


def test_failures_are_kept_away_from_and_may_come_first():
    found = searched({"a": uniform()}, lambda params: np.nan, 8)
    assert len({params["a"] for params in found}) == 8
    found = searched({"a": uniform()}, lambda p: np.nan if p["a"] < 0.5 else -p["a"], 30)
    assert min(params["a"] for params in found if params["a"] >= 0.5) < 0.53


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_finite_space_is_gone_through_once(batch_size):
    space = {"a": randint(0, 4), "b": ["x", "y", "z"]}
    found = searched(space, lambda params: params["a"], 50, batch_size=batch_size)
    assert len({tuple(params.items()) for params in found}) == len(found) == 12


def test_a_space_of_one_has_one_candidate():
    assert searched({"a": [3]}, lambda params: 0.0, 5) == [{"a": 3}]
    assert searched({}, lambda params: 0.0, 5) == [{}]


def test_what_comes_next_depends_on_scores_and_seed_alone():
    space = {"a": uniform(), "b": ["x", "y"], "c": [1, 2, 3]}

    def score(params):
        return params["a"]

    assert searched(space, score, 12) == searched(space, score, 12)
    assert searched(space, score, 12)[:8] == searched(space, score, 8)
    assert searched(space, score, 12) != searched(space, score, 12, seed=1)
    assert searched(space, score, 12) != searched(space, lambda params: -params["a"], 12)


def test_the_candidates_of_a_batch_keep_apart():
    space = {"a": uniform()}
    found = searched(space, lambda params: -abs(params["a"] - 0.5), 24, batch_size=4)
    for start in range(4, 24, 4):
        batch = sorted(params["a"] for params in found[start : start + 4])
        assert np.diff(batch).min() > 0
    assert len({params["a"] for params in found}) == 24
