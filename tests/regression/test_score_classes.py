"""How scores become balanced classes, and what score each class stands for."""

import numpy as np
import pytest

from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


def _fitted(y, n_classes=4, sample_weight=None, **params):
    """Fit a network without hidden layers to one constant feature; its classes are what counts."""
    model = BalancedQuantileClassifierRegressor(
        n_classes=n_classes,
        branch_sizes=(),
        hidden_layer_sizes=(),
        max_epochs=1,
        batch_size=50_000,
        random_state=0,
        **params,
    )
    return model.fit(np.ones((len(y), 1), dtype=np.float32), y, sample_weight=sample_weight)


def test_lamem_scores_give_the_papers_thresholds(lamem_splits):
    parts = [
        np.loadtxt(lamem_splits / f"{part}_1.txt", usecols=1) for part in ("train", "val", "test")
    ]
    model = _fitted(parts[0])
    assert model.thresholds_.round(2).tolist() == [0.68, 0.77, 0.85, 1.0]
    assert np.array_equal(model.class_values_, model.thresholds_)
    # As balanced as ties allow.
    assert _fitted(np.concatenate(parts)).class_counts_.tolist() == [14809, 14807, 14488, 14637]


@pytest.mark.parametrize("n_samples", [49, 100, 343])
def test_distinct_scores_give_the_thresholds_of_the_definition(n_samples):
    # Independent: the smallest score with at least a share k / K of the scores up to it,
    # in whole numbers.
    y = np.random.default_rng(0).permutation(n_samples) / n_samples
    ranked = np.sort(y)
    for n_classes in (2, 3, 7, 8, 49):
        expected = [ranked[-(-n_samples * k // n_classes) - 1] for k in range(1, n_classes)]
        model = _fitted(y, n_classes)
        assert model.thresholds_.tolist() == [*expected, 1.0]
        assert np.ptp(model.class_counts_) <= 1
        assert model.class_counts_.sum() == n_samples


@pytest.mark.parametrize(
    ("y", "thresholds", "counts"),
    [
        # Half of the scores are at most 0.2: both lower quartiles fall there.
        ([0.1, 0.2, 0.2, 0.2, 0.3, 0.4, 0.5, 0.6], [0.2, 0.4, 1.0], [4, 2, 2]),
        ([0.3, 0.3, 0.7, 0.7], [0.3, 1.0], [2, 2]),
        ([0.5] * 6, [1.0], [6]),
    ],
)
def test_equal_scores_share_a_right_closed_class_and_fewer_classes_are_warned_of(
    y, thresholds, counts
):
    with pytest.warns(UserWarning, match=f"give {len(counts)} balanced class.*n_classes=4"):
        model = _fitted(y)
    assert model.n_classes_ == len(counts)
    assert model.thresholds_.tolist() == thresholds
    assert model.class_counts_.tolist() == counts


@pytest.mark.parametrize("aggregation", ["upper", "mean"])
def test_one_distinct_score_is_predicted_always(scores, aggregation):
    settings = {"aggregation": aggregation, "kernel_weight": 0.5, "max_epochs": 1}
    with pytest.warns(UserWarning, match="balanced class"):
        model = BalancedQuantileClassifierRegressor(**settings).fit(scores[0], np.full(150, 0.7))
    np.testing.assert_allclose(model.predict(scores[0]), 0.7)


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("upper", [0.4, 1.0]), ("mean", [0.7 / 3, 2.0 / 3])],
)
def test_class_values_by_hand_and_whole_weights_are_repeated_rows(aggregation, expected):
    settings = {"n_classes": 2, "aggregation": aggregation}
    y = np.array([0.1, 0.2, 0.4, 0.5, 0.7, 0.8])
    assert _fitted(y, **settings).class_values_ == pytest.approx(expected)
    rng = np.random.default_rng(1)
    y, weights = rng.integers(30, size=80) / 30, rng.integers(1, 5, size=80)
    weighted = _fitted(y, sample_weight=weights, **settings)
    repeated = _fitted(np.repeat(y, weights), **settings)
    assert weighted.thresholds_.tolist() == repeated.thresholds_.tolist()
    np.testing.assert_allclose(weighted.class_values_, repeated.class_values_)


def test_score_range_sets_the_top(scores):
    _, y = scores
    assert _fitted(y).score_range_ == (0.0, 1.0)
    assert _fitted(y, score_range=(-1, 2)).class_values_[-1] == 2
    with pytest.warns(UserWarning, match=r"-0.1 to 0.9.*\(low, high\).*hit rate"):
        model = _fitted(np.r_[-0.1, y[:9] / 2, 0.9])
    assert model.score_range_ == (-0.1, 0.9)
    assert model.class_values_[-1] == 0.9


@pytest.mark.parametrize(
    ("score_range", "message"),
    [
        ((0, 1), r"outside score_range=\(0, 1\); the first such is -0.5 in row 1"),
        ((-1, 0.5), "the first such is 0.9 in row 2"),
        ((1, 0), "from low to high"),
        ((np.nan, 1), "from low to high"),
    ],
)
def test_bad_ranges_and_scores_outside_are_refused(score_range, message):
    with pytest.raises(ValueError, match=message):
        _fitted([0.2, -0.5, 0.9, 0.4], score_range=score_range)
