import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import zarr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score

from sklearn_memorability._rows import StoredFeatures, _stored_features, _zarr
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._linear_path import _PENALTIES, Ridge

N_ROWS, N_FEATURES = 1100, 20
SMALL = {"branch_sizes": (16,), "hidden_layer_sizes": (16,), "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    chance = np.random.default_rng(0)
    X = chance.normal(3, 2, size=(N_ROWS, N_FEATURES)).astype(np.float32)
    y = np.clip(0.7 + 0.05 * (X[:, 0] - 3) + 0.02 * chance.normal(size=N_ROWS), 0, 1)
    np.save(folder / "X.npy", X)
    np.save(folder / "double.npy", X.astype(float))
    array = zarr.create_array(str(folder / "X.zarr"), shape=X.shape, chunks=(64, 20), dtype="f4")
    array[:] = X
    return folder, X, y


@pytest.fixture(autouse=True)
def never_whole(monkeypatch):
    """Small blocks, and an error where all rows are loaded."""

    def load(*arguments, **options):
        raise AssertionError("All rows were loaded.")

    monkeypatch.setattr(StoredFeatures, "__array__", load)
    monkeypatch.setattr(_stored_features, "_BLOCK_BYTES", 4 * N_FEATURES * 100)
    monkeypatch.setattr(_zarr, "KEPT_BYTES", 4 * N_FEATURES * 64 * 4)
    monkeypatch.setattr(_stored_features, "KEPT_BYTES", 4 * N_FEATURES * 64 * 4)


def regressor(**params):
    return BalancedQuantileClassifierRegressor(**{**SMALL, **params})


FITS = {
    "plain": {},
    "early_stopping": {"early_stopping": True},
    "members": {"n_members": 3, "target": "soft", "n_classes": 8},
    "linear": {"linear_weight": 0.5, "input_dropout": "ridge"},
}


@pytest.mark.parametrize("params", FITS.values(), ids=FITS)
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_and_network_are_those_of_features_in_memory(data, params, weighted):
    folder, X, y = data
    weight = np.random.default_rng(1).integers(0, 4, N_ROWS) if weighted else None
    expected = regressor(**params).fit(X, y, weight)
    proba = expected.predict_class_proba(X)
    mapped = np.load(folder / "X.npy", mmap_mode="r")
    for stored in (StoredFeatures(folder / "X.npy"), mapped):
        found = regressor(**params).fit(stored, y, weight)
        assert found.n_features_in_ == N_FEATURES
        np.testing.assert_allclose(found.predict_class_proba(stored), proba, atol=1e-6)
        np.testing.assert_allclose(found.predict(X), expected.predict(X), atol=1e-6)


def test_values_of_other_types_are_converted_block_by_block(data):
    folder, X, y = data
    found = regressor(linear_weight=0.5).fit(StoredFeatures(folder / "double.npy"), y)
    np.testing.assert_allclose(
        found.predict(X), regressor(linear_weight=0.5).fit(X, y).predict(X), atol=1e-6
    )


def test_warm_start_quantiles_and_recalibration(data):
    folder, X, y = data
    found, expected = (
        regressor(linear_weight=0.5, warm_start=True)
        .fit(rows[200:], y[200:])
        .fit(rows[:200], y[:200])
        .recalibrate(rows, 0.1 + 0.5 * y)
        .predict_quantiles(rows)
        for rows in (StoredFeatures(folder / "X.npy"), X)
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("make", [mlp_regressor, recommended_regressor])
def test_pipelines_fit_from_disk_as_from_memory(data, make):
    folder, X, y = data
    model = make(
        random_state=0, max_epochs=2, **({"min_steps": 30} if make != mlp_regressor else {})
    )
    expected = model.fit(X, y).predict(X)
    stored = StoredFeatures(folder / "X.npy")
    np.testing.assert_allclose(model.fit(stored, y).predict(stored), expected, atol=1e-6)


def test_cross_validation_cuts_folds_without_reading_them(data):
    folder, X, y = data
    stored, model = StoredFeatures(folder / "X.npy"), mlp_regressor(random_state=0, max_epochs=1)
    np.testing.assert_allclose(
        cross_val_score(model, stored, y, cv=2), cross_val_score(model, X, y, cv=2), atol=1e-5
    )
    np.testing.assert_allclose(
        cross_val_predict(model, stored, y, cv=2), cross_val_predict(model, X, y, cv=2), atol=1e-6
    )
    search = GridSearchCV(model, {"model__lr": [1e-3, 1e-2]}, cv=2).fit(stored, y)
    assert search.predict(stored[:3]).shape == (3,)


def test_a_zarr_array_gives_another_network_that_is_as_good(data):
    folder, X, y = data
    settings = {"max_epochs": 8, "early_stopping": True, "linear_weight": 0.2}
    array = zarr.open_array(folder / "X.zarr", mode="r")
    found = regressor(**settings).fit(array, y)
    again = regressor(**settings).fit(StoredFeatures(folder / "X.zarr"), y)
    np.testing.assert_array_equal(found.predict(array), again.predict(X))
    in_memory = spearman_score(y, regressor(**settings).fit(X, y).predict(X))
    assert in_memory > 0.8
    assert spearman_score(y, found.predict(array)) == pytest.approx(in_memory, abs=0.05)


def test_errors_are_those_of_features_in_memory(data, tmp_path):
    folder, X, y = data
    stored = StoredFeatures(folder / "X.npy")
    for rows in (stored, X):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            regressor().fit(rows, y[1:])
        with pytest.raises(ValueError, match="y contains NaN"):
            regressor().fit(rows, np.full(N_ROWS, np.nan))
        with pytest.raises(ValueError, match="requires y to be passed"):
            regressor().fit(rows, None)
        with pytest.raises(ValueError, match="0 sample"):
            regressor().fit(rows[:0], y[:0])
    model = regressor().fit(X[:, 1:], y)
    with pytest.raises(ValueError, match="20 features, but Balanced.* is expecting 19"):
        model.predict(stored)
    broken = X.copy()
    broken[703, 2] = np.nan
    np.save(tmp_path / "X.npy", broken)
    for call in (regressor().fit, lambda X, y: regressor().fit(stored, y).predict(X)):
        with pytest.raises(ValueError, match=r"Input X contains NaN, first in row 703 of .*X\.npy"):
            call(StoredFeatures(tmp_path / "X.npy"), y)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("mean", [0, 1000])
def test_the_ridge_regression_is_that_of_scikit_learn(weighted, begun, mean):
    chance = np.random.default_rng(0)
    X = chance.normal(mean, 1, size=(900, N_FEATURES))
    X[:, 1], X[:, 2], X[:, 3] = X[:, 0], 2 * X[:, 0], 7
    y = 0.7 + 0.05 * (X[:, 0] - mean) + 0.1 * chance.normal(size=900)
    weight = chance.integers(1, 30, 900).astype(float) if weighted else np.ones(900)
    start = Ridge(0.01 * np.arange(20.0), 0.2, 1.0, 0.1) if begun else None
    found = Ridge.of(X, y, weight, start=start)
    before = X @ start.coef + start.intercept if begun else 0.0
    expected = RidgeCV(_PENALTIES).fit(X, y - before, sample_weight=weight / weight.mean())
    assert found.penalty == expected.alpha_
    assert found.error == pytest.approx(np.sqrt(-expected.best_score_), rel=1e-8)
    np.testing.assert_allclose(
        X @ found.coef + found.intercept, before + expected.predict(X), rtol=1e-8
    )


LIMITED = """
    import resource, sys
    import numpy as np
    from sklearn_memorability.features import StoredFeatures
    from sklearn_memorability import pipelines
    from sklearn_memorability._rows import _stored_features

    _stored_features._BLOCK_BYTES = 2**20  # a small file, small blocks
    X = StoredFeatures(sys.argv[1])
    y = np.random.default_rng(0).random(len(X))
    model = getattr(pipelines, sys.argv[4])(
        random_state=0, max_epochs=1, min_steps=0, batch_size=1024, branch_sizes=(8,), device="cpu"
    )
    model.fit(X[:3000], y[:3000]).predict(X[:10])
    kind = {"DATA": "VmData", "AS": "VmSize"}[sys.argv[2]]
    with open("/proc/self/status") as file:
        used = next(int(line.split()[1]) for line in file if line.startswith(kind))
    most = 1024 * used + int(sys.argv[3])
    resource.setrlimit(getattr(resource, "RLIMIT_" + sys.argv[2]), (most, most))
    try:
        np.ones(X.shape, dtype=np.float32)
    except MemoryError:
        assert np.isfinite(model.fit(X, y).predict(X)).all()
        print("fitted")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")
@pytest.mark.parametrize(
    ("kind", "model"), [("DATA", "recommended_regressor"), ("AS", "mlp_regressor")]
)
def test_features_larger_than_the_memory_allowed(tmp_path, kind, model):
    X = np.lib.format.open_memmap(
        tmp_path / "X.npy", mode="w+", dtype=np.float32, shape=(100_000, 256)
    )
    chance = np.random.default_rng(0)
    for start in range(0, len(X), 10_000):
        X[start : start + 10_000] = chance.standard_normal((10_000, 256), dtype=np.float32)
    X.flush()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(LIMITED),
            tmp_path / "X.npy",
            kind,
            str(2**26),
            model,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout == "fitted\n", done.stderr
