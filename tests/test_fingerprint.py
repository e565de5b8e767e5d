"""What results are known by."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability._fingerprint import fingerprint

X = np.arange(2000.0)


@pytest.mark.parametrize(
    "thing",
    [
        None,
        1.5,
        "text",
        Path("a/b"),
        X,
        np.array(["a", "bc"]),
        [1, (2, {"a": X})],
        Ridge(alpha=2.0),
        make_pipeline(StandardScaler(), Ridge()),
        Ridge,
    ],
    ids=repr,
)
def test_equal_things_have_equal_fingerprints(thing):
    assert fingerprint(thing) == fingerprint(thing)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        (X, X + 1e-9),
        (X, X.astype(np.float32)),
        (X, X.reshape(2, -1)),
        # Printed in short, these two look the same.
        (X, np.where(X == 1000, 0, X)),
        ([1, 2], [2, 1]),
        (["ab"], ["a", "b"]),
        (Ridge(), Ridge(alpha=2.0)),
        (make_pipeline(Ridge()), make_pipeline(Ridge(alpha=2.0))),
        (np.array(["a", "b"], dtype=object), np.array(["a", "c"], dtype=object)),
    ],
    ids=repr,
)
def test_different_things_have_different_fingerprints(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_a_view_has_the_fingerprint_of_its_values():
    assert fingerprint(X[::2]) == fingerprint(X[::2].copy())


@pytest.mark.parametrize(
    "thing",
    [
        Ridge().fit(X[:, None], X),
        FrozenEstimator(Ridge().fit(X[:, None], X)),
        make_pipeline(StandardScaler(), FrozenEstimator(Ridge().fit(X[:, None], X))),
        object(),
        np.random.default_rng(0),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_can_not_be_known_by_its_parameters_is_never_the_same(thing):
    assert fingerprint(thing) != fingerprint(thing)
