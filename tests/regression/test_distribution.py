import numpy as np
import pytest
from scipy.stats import norm

from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._score_classes import ClassDistributions, ScoreClasses


@pytest.fixture
def normal_scores():
    """Scores that are normal around a known function of X, with standard deviation .1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 2)).astype(np.float32)
    return X, np.clip(0.5 + 0.1 * X[:, 0] + 0.1 * rng.normal(size=6000), 0, 1)


def _distributions(y, n_classes=12, **soft):
    ones = np.ones(len(y))
    classes = ScoreClasses.of(y, n_classes, ones, top=1.0)
    return classes, ClassDistributions.of(classes, y, ones, **soft)


@pytest.mark.parametrize("soft_share", [0.5, 1.0])
def test_the_spread_of_soft_targets_is_taken_out(normal_scores, soft_share):
    # What a network would learn without error: each row's classes, normal around its
    # expected score, and the same with the soft target's variance added.
    X, y = normal_scores
    classes, found = _distributions(y, soft=True, soft_share=soft_share)
    edges = np.r_[-np.inf, classes.thresholds[:-1], np.inf]
    expected = 0.5 + 0.1 * X[:200, :1]
    true = np.diff(norm.cdf(edges, expected, 0.1), axis=1)
    wide = np.diff(norm.cdf(edges, expected, np.hypot(0.1, 0.5 * y.std())), axis=1)
    seen = soft_share * wide + (1 - soft_share) * true
    sharpened = found._sharpened(seen)
    np.testing.assert_allclose(sharpened.sum(axis=1), 1)
    assert (sharpened >= 0).all()
    assert np.abs(sharpened - true).mean() < 0.5 * np.abs(seen - true).mean()
    without = _distributions(y)[1]
    truth = without.std(true)
    assert np.abs(without.std(seen) / truth - 1).mean() > 0.06
    assert np.abs(found.std(seen) / truth - 1).mean() < 0.04


def test_hard_targets_and_linear_probabilities_have_nothing_to_take_out(normal_scores):
    _, y = normal_scores
    proba = np.random.default_rng(1).dirichlet(np.ones(12), size=5)
    for soft in ({"soft": False}, {"soft": True, "soft_share": 0.0}):
        np.testing.assert_allclose(_distributions(y, **soft)[1]._sharpened(proba), proba)


def test_classes_ruled_out_stay_ruled_out(normal_scores):
    _, y = normal_scores
    sure = np.eye(12)[[0, 5, 11]]
    np.testing.assert_allclose(_distributions(y, soft=True)[1]._sharpened(sure), sure)


@pytest.mark.parametrize("target", ["hard", "soft"])
def test_intervals_hold_what_they_say_on_rows_not_seen(normal_scores, target):
    X, y = normal_scores
    model = BalancedQuantileClassifierRegressor(
        n_classes=12,
        target=target,
        branch_sizes=(16,),
        hidden_layer_sizes=(16,),
        dropout=0,
        max_epochs=30,
        batch_size=50,
        random_state=0,
    ).fit(X[:3000], y[:3000])
    for level in (0.5, 0.8, 0.9):
        low, high = model.predict_quantiles(X[3000:], [(1 - level) / 2, (1 + level) / 2]).T
        assert np.mean((low <= y[3000:]) & (y[3000:] <= high)) == pytest.approx(level, abs=0.05)
    # The truth: .1, whatever the row.
    assert np.median(model.predict(X[3000:], return_std=True)[1]) == pytest.approx(0.1, abs=0.012)
