"""The scaler of the ready Pipelines is StandardScaler, in less memory."""

import tracemalloc

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from sklearn_memorability.pipelines import mlp_regressor

# Those of array API fail for scikit-learn's own StandardScaler too where torch finds no GPU.
CHECKS = [
    (estimator, check)
    for estimator, check in estimator_checks_generator(mlp_regressor()["scale"])
    if "array_api" not in check.func.__name__
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=[c.func.__name__ for _, c in CHECKS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_it_is_standard_scaler_without_the_copies_of_its_fit():
    X = np.random.default_rng(0).normal(3, 2, size=(20_000, 50)).astype(np.float32)
    tracemalloc.start()
    scaler = mlp_regressor()["scale"].fit(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.6 * X.nbytes
    expected = StandardScaler().fit(X)
    np.testing.assert_allclose(scaler.mean_, expected.mean_, rtol=1e-6)
    np.testing.assert_allclose(scaler.scale_, expected.scale_, rtol=1e-6)
    assert scaler.n_samples_seen_ == 20_000
