"""Models to be saved, fitted once."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sklearn_memorability import BalancedQuantileClassifierRegressor
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor

TINY = {"n_classes": 2, "max_epochs": 1, "branch_sizes": (4,), "hidden_layer_sizes": (4,)}


@pytest.fixture(scope="session")
def tiny():
    """Make a regressor that is fitted in no time."""

    def make(**settings):
        settings = {"random_state": 0, "device": "cpu", **TINY, **settings}
        return BalancedQuantileClassifierRegressor(**settings)

    return make


@pytest.fixture(scope="session")
def rows():
    """120 rows of 6 features, with scores in (0, 1)."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 6)).astype(np.float32)
    return X, 1 / (1 + np.exp(-X[:, 0] - 0.3 * rng.normal(size=120)))


@pytest.fixture(scope="session")
def recommended(rows):
    """Members of their own, soft targets, a kernel path: all that the regressor has."""
    model = recommended_regressor(random_state=0, max_epochs=1, branch_sizes=(8,), device="cpu")
    return model.fit(*rows)


@pytest.fixture(scope="session")
def small(rows):
    """The smallest of the paper's models."""
    model = mlp_regressor(
        n_classes=2, max_epochs=1, branch_sizes=(2,), hidden_layer_sizes=(2,), random_state=0
    )
    return model.set_params(model__device="cpu").fit(*rows)


@pytest.fixture(scope="session")
def search(small, rows):
    """A search around it."""
    return GridSearchCV(small, {"model__dropout": [0.0, 0.5]}, cv=2).fit(*rows)
