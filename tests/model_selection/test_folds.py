"""Folds by score: what they promise, for any scores."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn import config_context
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate

from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.model_selection import StratifiedGroupScoreKFold, StratifiedScoreKFold


@pytest.fixture(scope="module")
def photographs():
    return load_things_photographs()


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return rng.normal(size=(103, 3)), rng.binomial(20, 0.7, size=103) / 20


# Few different values, so that many scores are equal.
SCORES = st.lists(st.integers(0, 30).map(lambda i: i / 30), min_size=6, max_size=80)


@settings(max_examples=60, deadline=None)
@given(y=SCORES, n_splits=st.integers(2, 6), seed=st.none() | st.integers(0, 99))
def test_every_image_is_tested_once_and_every_fold_has_its_share_of_every_range(y, n_splits, seed):
    folds = StratifiedScoreKFold(n_splits, shuffle=seed is not None, random_state=seed)
    found = list(folds.split(np.zeros(len(y)), y))
    assert len(found) == n_splits
    assert sorted(np.concatenate([test for _, test in found])) == list(range(len(y)))
    sizes = [len(test) for _, test in found]
    assert max(sizes) - min(sizes) <= 1
    y = np.array(y)
    for train, test in found:
        assert sorted([*train, *test]) == list(range(len(y)))
        for bound in np.unique(y):
            # A whole block gives each fold one, and two blocks at most are cut by a bound
            # and by the images left over.
            expected = np.count_nonzero(y <= bound) / n_splits
            assert abs(np.count_nonzero(y[test] <= bound) - expected) < 2


@settings(max_examples=60, deadline=None)
@given(
    y=SCORES,
    n_groups=st.integers(2, 30),
    n_splits=st.integers(2, 5),
    n_bins=st.integers(1, 40),
    seed=st.none() | st.integers(0, 99),
)
def test_no_group_is_split_and_no_warning_given(y, n_groups, n_splits, n_bins, seed):
    groups = np.random.default_rng(len(y)).integers(n_groups, size=len(y))
    folds = StratifiedGroupScoreKFold(
        n_splits, n_bins=n_bins, shuffle=seed is not None, random_state=seed
    )
    if len(np.unique(groups)) < n_splits:
        with pytest.raises(ValueError, match="greater than the number of groups"):
            list(folds.split(y, y, groups))
        return
    tested = []
    for train, test in folds.split(y, y, groups):
        assert len(test)
        assert not set(groups[train]) & set(groups[test])
        tested.extend(test)
    assert sorted(tested) == list(range(len(y)))


def test_folds_are_closer_to_the_whole_than_random_ones(scores):
    _, y = scores

    def farthest(folds):
        return max(ks_2samp(y[test], y).statistic for _, test in folds.split(y, y))

    for seed in range(5):
        ours = farthest(StratifiedScoreKFold(shuffle=True, random_state=seed))
        # Each fold has about 21 images, and at most one too many or too few of a range.
        assert ours < 2 / 20
        assert ours < farthest(KFold(shuffle=True, random_state=seed))


def test_folds_of_groups_are_closer_to_the_whole_than_groups_alone_make_them(photographs):
    y, groups = photographs.target, photographs.groups
    means = [y[test].mean() for _, test in StratifiedGroupScoreKFold().split(y, y, groups)]
    # Random fifths of 189 images would have means that far apart once in a thousand times.
    assert np.std(means) < y.std() / np.sqrt(len(y) / 5) / 2


@pytest.mark.parametrize("kind", [StratifiedScoreKFold, StratifiedGroupScoreKFold])
def test_random_state_decides_the_folds_whatever_form_scores_have(kind, scores):
    _, y = scores
    groups = np.arange(len(y)) // 2 if kind is StratifiedGroupScoreKFold else None

    def tested(y=y, **parameters):
        return [test.tolist() for _, test in kind(**parameters).split(y, y, groups)]

    seeded = tested(shuffle=True, random_state=1)
    assert seeded == tested(shuffle=True, random_state=1) != tested(shuffle=True, random_state=2)
    rng = np.random.RandomState(0)
    assert tested(shuffle=True, random_state=rng) != tested(shuffle=True, random_state=rng)
    assert tested() == tested(list(y)) == tested(pd.Series(y))


def test_equal_scores_are_spread_and_ranges_are_never_too_small():
    y = np.full(10, 0.5)
    for folds in (StratifiedScoreKFold(3), StratifiedGroupScoreKFold(3)):
        groups = np.arange(10) if isinstance(folds, StratifiedGroupScoreKFold) else None
        assert sorted(len(test) for _, test in folds.split(y, y, groups)) == [3, 3, 4]
    # Ten bins of 40 scores would have four each, too few for five folds.
    y = np.concatenate([np.full(20, 0.2), np.linspace(0.3, 0.9, 20)])
    for _, test in StratifiedGroupScoreKFold(5, n_bins=10).split(y, y, np.arange(40)):
        assert (np.count_nonzero(y[test] == 0.2), len(test)) == (4, 8)


def test_they_serve_wherever_scikit_learn_takes_cv(scores, photographs):
    X, y = scores
    folds = StratifiedScoreKFold(n_splits=3)
    assert folds.get_n_splits() == folds.get_n_splits(X, y) == 3
    assert repr(folds) == "StratifiedScoreKFold(n_splits=3, random_state=None, shuffle=False)"
    by_hand = [
        Ridge().fit(X[train], y[train]).score(X[test], y[test]) for train, test in folds.split(X, y)
    ]
    assert cross_val_score(Ridge(), X, y, cv=folds) == pytest.approx(by_hand)
    X, y, groups = photographs.data[:, :3], photographs.target, photographs.groups
    grouped = StratifiedGroupScoreKFold(n_splits=3)
    assert grouped.get_n_splits() == 3
    assert repr(grouped).startswith("StratifiedGroupScoreKFold(n_bins=10, n_splits=3, ")
    search = GridSearchCV(Ridge(), {"alpha": [1.0, 10.0]}, cv=grouped).fit(X, y, groups=groups)
    assert search.n_splits_ == 3
    expected = cross_val_score(Ridge(), X, y, cv=grouped, groups=groups)
    with config_context(enable_metadata_routing=True):  # to the one that asks for groups
        found = cross_validate(Ridge(), X, y, cv=grouped, params={"groups": groups})
        assert found["test_score"] == pytest.approx(expected)
        with pytest.raises(TypeError, match="groups"):
            cross_validate(Ridge(), X, y, cv=folds, params={"groups": groups})


@pytest.mark.parametrize("kind", [StratifiedScoreKFold, StratifiedGroupScoreKFold])
def test_what_can_not_be_split_is_refused(kind):
    y, groups = np.linspace(0, 1, 12), np.arange(12)
    more = (groups,) if kind is StratifiedGroupScoreKFold else ()
    with pytest.raises(ValueError, match="n_splits=2 or more"):
        kind(n_splits=1)
    with pytest.raises(ValueError, match="random_state"):
        kind(random_state=0)
    with pytest.raises(ValueError, match="n_splits=13 greater"):
        list(kind(n_splits=13).split(y, y, *more))
    with pytest.raises(ValueError, match="Input y contains NaN"):
        kind().split(y, np.where(y > 0.9, np.nan, y), *more)
    with pytest.raises(ValueError, match="1d array"):
        kind().split(y, np.ones((12, 2)), *more)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        list(kind().split(y[:-1], y, *more))
    if not more:
        with pytest.warns(UserWarning, match="groups parameter is ignored by StratifiedScoreKFold"):
            list(kind().split(y, y, groups))
        return
    with pytest.raises(ValueError, match="needs groups="):
        kind().split(y, y)
    with pytest.raises(ValueError, match="n_splits=5 greater than the number of groups: 4"):
        list(kind().split(y, y, groups % 4))
    with pytest.raises(ValueError, match="n_bins == 0"):
        kind(n_bins=0)
