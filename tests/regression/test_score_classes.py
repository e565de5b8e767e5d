import warnings

import numpy as np
import pytest

from sklearn_memorability.regression._score_classes import ScoreClasses, resolve_score_range


def _classes(y, n_classes, weights=None, top=1.0):
    y = np.asarray(y, dtype=float)
    weights = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    return ScoreClasses.of(y, n_classes, weights, top)


@pytest.mark.parametrize("n_classes", [2, 3, 4, 7, 8, 49])
@pytest.mark.parametrize("n_samples", [49, 98, 100, 343])
def test_distinct_scores_give_the_thresholds_of_the_definition(n_classes, n_samples):
    # Independent: the smallest score with at least a share k / K of the scores up to it,
    # in whole numbers.
    y = np.random.default_rng(0).permutation(n_samples) / n_samples
    ranked = np.sort(y)
    expected = [ranked[-(-n_samples * k // n_classes) - 1] for k in range(1, n_classes)]
    classes = _classes(y, n_classes)
    assert classes.thresholds.tolist() == [*expected, 1.0]
    assert np.ptp(classes.counts) <= 1
    assert classes.counts.sum() == n_samples


def test_classes_are_right_closed_and_equal_scores_share_one():
    # Half of the eight scores are at most 0.2, so both lower quartiles fall there and
    # make one class.
    y = [0.1, 0.2, 0.2, 0.2, 0.3, 0.4, 0.5, 0.6]
    with pytest.warns(UserWarning, match="balanced class"):
        classes = _classes(y, 4)
    assert classes.thresholds.tolist() == [0.2, 0.4, 1.0]
    assert classes.labels.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]


def test_whole_weights_are_repeated_rows():
    rng = np.random.default_rng(1)
    y = rng.integers(30, size=80) / 30
    weights = rng.integers(1, 5, size=80)
    weighted, repeated = _classes(y, 5, weights), _classes(np.repeat(y, weights), 5)
    assert weighted.thresholds.tolist() == repeated.thresholds.tolist()
    for aggregation in ("upper", "mean", "median", "midpoint"):
        ones = np.ones(weights.sum())
        np.testing.assert_allclose(
            weighted.values(y, weights.astype(float), aggregation, 0.0),
            repeated.values(np.repeat(y, weights), ones, aggregation, 0.0),
        )


def test_class_values_of_each_aggregation():
    y = np.array([0.1, 0.2, 0.4, 0.5, 0.7, 0.8])
    classes, ones = _classes(y, 2), np.ones(6)
    assert classes.thresholds.tolist() == [0.4, 1.0]
    assert classes.values(y, ones, "upper", 0.0).tolist() == [0.4, 1.0]
    assert classes.values(y, ones, "mean", 0.0) == pytest.approx([0.7 / 3, 2.0 / 3])
    assert classes.values(y, ones, "median", 0.0).tolist() == [0.2, 0.7]
    assert classes.values(y, ones, "midpoint", 0.0) == pytest.approx([0.2, 0.7])


@pytest.mark.parametrize(("y", "found"), [([0.3, 0.3, 0.7, 0.7], 2), ([0.5] * 6, 1)])
def test_too_few_distinct_scores_give_fewer_classes_and_say_so(y, found):
    with pytest.warns(UserWarning, match=f"give {found} balanced.*n_classes=4"):
        classes = _classes(y, 4)
    assert len(classes.thresholds) == len(classes.counts) == found
    assert (classes.counts > 0).all()


def test_score_range_is_zero_to_one_where_the_scores_lie_in_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve_score_range(np.array([0.0, 0.4, 1.0]), "auto") == (0.0, 1.0)


def test_scores_outside_make_their_own_range_and_say_so():
    with pytest.warns(UserWarning, match=r"-0.1 to 0.9.*score_range=\(low, high\)"):
        assert resolve_score_range(np.array([-0.1, 0.9]), "auto") == (-0.1, 0.9)


@pytest.mark.parametrize(
    ("score_range", "message"),
    [
        ((0, 1), r"outside score_range=\(0, 1\); the first such is -0.5 in row 1"),
        ((-1, 0.5), "the first such is 0.9 in row 2"),
        ((1, 0), "from low to high"),
        ((0, 0.5, 1), "two numbers"),
        (("a", "b"), "two numbers"),
        ((np.nan, 1), "from low to high"),
    ],
)
def test_bad_ranges_and_scores_outside_are_refused(score_range, message):
    with pytest.raises(ValueError, match=message):
        resolve_score_range(np.array([0.2, -0.5, 0.9]), score_range)


def test_lamem_classes_are_as_balanced_as_its_ties_allow(lamem_splits):
    parts = [f"{part}_1.txt" for part in ("train", "val", "test")]
    y = np.concatenate([np.loadtxt(lamem_splits / part, usecols=1) for part in parts])
    assert _classes(y, 4).counts.tolist() == [14809, 14807, 14488, 14637]
