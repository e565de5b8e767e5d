import warnings

import numpy as np
import pytest
import zarr
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklearn_memorability._rows import StoredFeatures, _stored_features
from sklearn_memorability.pipelines import IncrementalScaler


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 100 rows of ten features."""
    monkeypatch.setattr(_stored_features, "_BLOCK_BYTES", 4000)


def features(dtype="float32"):
    X = np.random.default_rng(0).normal(50, 20, size=(730, 10))
    X[:, 3] = 7
    return X.astype(dtype)


def test_all_of_check_estimator():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        results = check_estimator(IncrementalScaler(), on_fail=None)
    # Whether arrays on other devices can be checked depends on the machine.
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    assert {name for name in failed if not name.startswith("check_array_api")} == set()
    assert len(results) > 40


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("settings", [{}, {"with_mean": False}, {"with_std": False}], ids=str)
def test_features_on_disk_are_scaled_as_those_in_memory(dtype, settings, tmp_path, small_blocks):
    X = features(dtype)
    np.save(tmp_path / "X.npy", X)
    expected = StandardScaler(**settings).fit_transform(X)
    for source in (StoredFeatures(tmp_path / "X.npy"), np.load(tmp_path / "X.npy", mmap_mode="r")):
        scaler = IncrementalScaler(**settings)
        found = scaler.fit_transform(source)
        assert isinstance(found, StoredFeatures)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=2e-6, atol=2e-6)
        assert (scaler.n_features_in_, scaler.n_samples_seen_) == (10, 730)


def test_a_zarr_array_and_weights(tmp_path, small_blocks):
    X = features()
    array = zarr.create_array(str(tmp_path / "X.zarr"), shape=X.shape, chunks=(64, 10), dtype="f4")
    array[:] = X
    weight = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    found = IncrementalScaler().fit(array, sample_weight=weight)
    expected = StandardScaler().fit(X, sample_weight=weight)
    np.testing.assert_allclose(found.mean_, expected.mean_)
    np.testing.assert_allclose(found.scale_, expected.scale_)


def test_in_memory_it_is_the_standard_scaler():
    X = features()
    found, expected = IncrementalScaler().fit(X), StandardScaler().fit(X)
    np.testing.assert_array_equal(found.scale_, expected.scale_)
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))
    assert type(found.transform(X)) is np.ndarray


def test_a_second_fit_forgets_the_first(tmp_path):
    np.save(tmp_path / "X.npy", features())
    X = StoredFeatures(tmp_path / "X.npy")
    found = IncrementalScaler().fit(X).fit(X[:100])
    np.testing.assert_allclose(found.mean_, features()[:100].mean(axis=0, dtype=float))


def test_what_does_not_fit_is_refused(tmp_path):
    np.save(tmp_path / "X.npy", features())
    X = StoredFeatures(tmp_path / "X.npy")
    with pytest.raises(NotFittedError):
        IncrementalScaler().transform(X)
    with pytest.raises(ValueError, match="10 features, but IncrementalScaler is expecting 9"):
        IncrementalScaler().fit(features()[:, 1:]).transform(X)
    with pytest.raises(ValueError, match="0 sample"):
        IncrementalScaler().fit(X[:0])
    with pytest.raises(ValueError, match="inconsistent|sample_weight"):
        IncrementalScaler().fit(X, sample_weight=np.ones(3))


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_container_in_memory_is_refused_for_features_on_disk(container, tmp_path):
    np.save(tmp_path / "X.npy", features())
    scaler = IncrementalScaler().set_output(transform=container)
    with pytest.raises(ValueError, match="would load all of"):
        scaler.fit_transform(StoredFeatures(tmp_path / "X.npy"))
