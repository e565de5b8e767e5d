import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sklearn_memorability.regression._linear_path import LinearPath, Ridge


@pytest.fixture
def noisy():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 10))
    return X, 0.5 + 0.1 * X[:, 0] + 0.1 * rng.normal(size=40)


def test_the_penalty_and_the_error_are_those_of_leaving_one_out(noisy):
    X, y = noisy
    found = Ridge.of(X, y, np.ones(40))
    errors = {}
    for penalty in (found.penalty / 10**0.25, found.penalty, found.penalty * 10**0.25):
        left_out = cross_val_predict(SklearnRidge(alpha=penalty), X, y, cv=LeaveOneOut())
        errors[penalty] = np.sqrt(np.mean((y - left_out) ** 2))
    assert min(errors, key=errors.get) == found.penalty
    assert found.error == pytest.approx(errors[found.penalty], rel=1e-6)
    expected = SklearnRidge(alpha=found.penalty).fit(X, y)
    np.testing.assert_allclose(found.coef, expected.coef_)


@pytest.mark.parametrize("weighted", [False, True])
def test_many_rows_give_what_scikit_learn_gives(weighted):
    # More than one block of rows, features far from zero, and two that are the same.
    rng = np.random.default_rng(0)
    X = (50 + rng.normal(size=(2500, 20))).astype(np.float32)
    X[:, 1] = X[:, 0]
    y = 0.5 + 0.01 * X[:, 0] + 0.1 * rng.normal(size=2500)
    weight = rng.integers(1, 5, size=2500).astype(float) if weighted else np.ones(2500)
    found = Ridge.of(X, y, weight)
    penalties = np.logspace(-2, 7, 37)
    expected = RidgeCV(penalties).fit(X.astype(float), y, sample_weight=weight / weight.mean())
    assert found.penalty == pytest.approx(expected.alpha_)
    np.testing.assert_allclose(found.coef, expected.coef_, rtol=1e-6, atol=1e-9)
    assert found.intercept == pytest.approx(expected.intercept_)
    assert found.error == pytest.approx(np.sqrt(-expected.best_score_))
    scaled = Ridge.of(X, y, 7 * weight)
    assert (scaled.penalty, scaled.error) == pytest.approx((found.penalty, found.error))


def test_input_dropout_is_the_share_that_penalises_as_much():
    # A rate of p adds noise of variance p / (1 - p), a penalty of n p / (1 - p).
    rate = Ridge(np.zeros(1), 0.0, penalty=300.0, error=1.0).input_dropout(100)
    assert 100 * rate / (1 - rate) == pytest.approx(300)


def test_probabilities_are_those_of_the_normal_distribution(noisy):
    X, y = noisy
    ridge = Ridge.of(X, y, np.ones(40))
    thresholds = np.quantile(y, [0.25, 0.5, 0.75])
    found = LinearPath(ridge, thresholds)(torch.from_numpy(X).float()).numpy()
    below = norm.cdf(thresholds, (X @ ridge.coef + ridge.intercept)[:, None], ridge.error)
    expected = np.diff(np.hstack([np.zeros((40, 1)), below, np.ones((40, 1))]), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_perfect_fit_and_a_single_class_are_distributions_too():
    X = torch.linspace(0, 1, 5)[:, None]
    perfect = Ridge(np.ones(1), 0.0, penalty=0.01, error=0.0)
    found = LinearPath(perfect, np.array([0.4, 0.6]))(X)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(5))
    assert torch.isfinite(found).all()
    assert LinearPath(perfect, np.array([]))(X).tolist() == [[1.0]] * 5
