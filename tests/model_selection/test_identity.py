import functools
import os

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image
from scipy import sparse
from scipy.stats import loguniform, randint, rv_discrete, uniform
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_squared_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.model_selection._identity import identity


def scaled(factor):
    return lambda X: X * factor


def picture(value, mode="RGB"):
    return Image.fromarray(np.full((2, 3, 3), value, dtype=np.uint8)).convert(mode)


# Each makes a new object at each call, as a new session would.
DIFFERENT = {
    "arrays": [
        lambda: np.arange(6.0),
        lambda: np.arange(6.0).reshape(2, 3),
        lambda: np.arange(6),
        lambda: np.arange(6.0) + 1e-12,
    ],
    "lists of arrays": [
        lambda: [np.zeros((2, 2)), np.zeros((3, 2))],
        lambda: [np.zeros((3, 2)), np.zeros((2, 2))],
        lambda: np.array(["a", None, 2.5], dtype=object),
        lambda: np.array(["a", None, 2.0], dtype=object),
    ],
    "tables": [
        lambda: pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
        lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        lambda: pd.DataFrame({"a": [1, 2], "c": ["x", None]}),
        lambda: pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 6]),
        lambda: pd.Series([1, 2]),
        lambda: pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
        lambda: pl.DataFrame({"a": [1, 3], "b": ["x", None]}),
    ],
    "sparse matrices": [
        lambda: sparse.csr_matrix([[0.0, 1.0]]),
        lambda: sparse.csr_matrix([[1.0, 0.0]]),
        lambda: sparse.csr_matrix([[0.0, 2.0]]),
    ],
    "pictures": [
        lambda: [picture(1)],
        lambda: [picture(2)],
        lambda: [picture(1, "L")],
        lambda: [b"12"],
        lambda: [b"13"],
        lambda: "12",
    ],
    "distributions": [
        lambda: {"a": uniform(0, 1)},
        lambda: {"a": uniform(0, 2)},
        lambda: {"a": uniform(loc=0, scale=1)},
        lambda: {"b": uniform(0, 1)},
        lambda: {"a": loguniform(1e-3, 1)},
        lambda: {"a": randint(0, 3)},
        lambda: {"a": rv_discrete(values=([0, 1], [0.5, 0.5]))()},
        lambda: {"a": rv_discrete(values=([0, 1], [0.4, 0.6]))()},
    ],
    "scorers": [
        lambda: "r2",
        lambda: make_scorer(r2_score),
        lambda: make_scorer(mean_squared_error),
        lambda: make_scorer(mean_squared_error, greater_is_better=False),
        lambda: spearman_scorer,
        lambda: scaled(1),
        lambda: scaled(2),
        lambda: functools.partial(np.add, 1),
        lambda: functools.partial(np.add, 2),
    ],
    "estimators": [
        lambda: make_pipeline(StandardScaler(), Ridge()),
        lambda: make_pipeline(StandardScaler(), Ridge(2.0)),
        lambda: make_pipeline(FunctionTransformer(scaled(1)), Ridge()),
        lambda: make_pipeline(FunctionTransformer(scaled(2)), Ridge()),
        lambda: make_pipeline(FunctionTransformer(np.log1p), Ridge()),
        lambda: RandomForestRegressor(random_state=0),
        lambda: Ridge().set_fit_request(sample_weight=True),
        lambda: Ridge(),
    ],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", DIFFERENT)
def test_equal_things_have_one_identity_and_others_another(kind):
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        hashes = [identity(make()) for make in DIFFERENT[kind]]
        assert len(set(hashes)) == len(hashes)
        assert [identity(make()) for make in DIFFERENT[kind]] == hashes


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ridge().fit([[0.0], [1.0]], [0.0, 1.0]),
        lambda: Ridge(random_state=np.random.RandomState(0)),
        lambda: {"a", "b"},
        object,
    ],
)
def test_what_can_not_be_known_is_never_the_same(make):
    thing = make()
    assert identity(thing) != identity(thing)


def test_what_contains_itself_is_never_the_same():
    thing = []
    thing.append(thing)
    assert identity(thing) != identity(thing)

    def recursive(n):
        return recursive(n - 1) if n else 0

    assert identity(recursive) != identity(recursive)


@pytest.mark.parametrize("path", [str, lambda path: path])
def test_a_file_that_is_written_anew_is_another(tmp_path, path):
    file = tmp_path / "picture.png"
    before = identity([path(file)])
    file.write_bytes(b"one")
    os.utime(file, ns=(1, 1))
    one = identity([path(file)])
    assert one == identity([path(file)]) != before
    file.write_bytes(b"two")
    assert identity([path(file)]) != one
