"""A matrix of features on disk: the rows that ``transform`` gives, whole or not there."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_memorability._utils._files import locked
from sklearn_memorability.features import (
    FeatureCache,
    ImageFeatures,
    UnreadableImagesWarning,
    write_features,
)
from sklearn_memorability.images import ImageReadError

N = 2500  # more than two blocks


class Mean(nn.Module):
    """Three features: the mean of each channel."""

    def forward(self, x):
        return x.mean(dim=(2, 3))


def small(image):
    return torch.from_numpy(np.array(image.resize((4, 4)))).permute(2, 0, 1).float()


def means(**params):
    return ImageFeatures(Mean(), preprocessing=small, **params)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)


def test_the_file_holds_the_rows_that_transform_gives(images, tmp_path, capsys):
    union = FeatureUnion([("one", means()), ("two", means())])
    transformer = make_pipeline(union, StandardScaler()).fit(images)
    path = tmp_path / "rows.npy"
    path.write_bytes(b"what was there before")
    rows = write_features(transformer, images, path, verbose=1)
    assert f"{N}/{N}" in capsys.readouterr().err
    assert isinstance(rows, np.memmap)
    assert (rows.dtype, rows.flags.writeable) == (np.float32, False)
    np.testing.assert_allclose(rows, transformer.transform(images), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.load(path), rows)
    frames = make_pipeline(means()).set_output(transform="pandas").fit(images)
    again = write_features(frames, list(images[:3]), str(path))
    np.testing.assert_allclose(again, images[:3].mean(axis=(1, 2)), rtol=1e-5)


def test_images_that_can_not_be_read_are_named_by_their_row_among_all(images, tmp_path):
    mixed = [*images[:1500], "none.png", *images[1501:2400], b"no image", *images[2401:]]
    fitted = means(on_error="nan").fit(images)
    union = FeatureUnion([("one", fitted), ("two", means(on_error="nan").fit(images))])
    with pytest.warns(UnreadableImagesWarning) as caught:
        rows = write_features(union, mixed, tmp_path / "rows.npy")
    assert len(caught) == 1
    errors = caught[0].message.errors
    assert [(error.row, error.path) for error in errors] == [(1500, "none.png"), (2400, None)]
    assert np.flatnonzero(np.isnan(rows).any(axis=1)).tolist() == [1500, 2400]
    with pytest.raises(ImageReadError, match=r"row 1500, 'none\.png': the file does not exist"):
        write_features(fitted.set_params(on_error="raise"), mixed, tmp_path / "other.npy")
    assert not [
        file for file in tmp_path.iterdir() if "other.npy" in file.name and file.stat().st_size
    ]


def test_a_killed_call_goes_on_where_the_cache_was(tmp_path):
    log = tmp_path / "log"
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from test_write import Mean, small
from sklearn_memorability.features import ImageFeatures, write_features
def slow(image):
    time.sleep(0.001)
    with open({str(log)!r}, "ab", buffering=0) as file:
        file.write(b".")
    return small(image)
images = np.random.default_rng(0).integers(0, 256, ({N}, 4, 4, 3), dtype=np.uint8)
transformer = ImageFeatures(Mean(), preprocessing=slow, cache={str(tmp_path)!r}).fit(images)
write_features(transformer, images, {str(tmp_path / "rows.npy")!r})
"""
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    process = subprocess.Popen([sys.executable, script])
    while process.poll() is None and (not log.exists() or log.stat().st_size < 1200):
        time.sleep(0.002)
    process.kill()
    assert process.wait() != 0
    assert not (tmp_path / "rows.npy").exists()
    assert len(FeatureCache(tmp_path)) > 1000
    subprocess.run([sys.executable, script], check=True)
    n_threads = 2 * (os.cpu_count() or 1)
    assert log.stat().st_size <= N + 4 * n_threads + 4
    images = np.random.default_rng(0).integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
    rows = np.load(tmp_path / "rows.npy")
    np.testing.assert_allclose(rows, images.mean(axis=(1, 2)), rtol=1e-5)
    assert not [file for file in tmp_path.iterdir() if "unfinished" in file.name]


def test_a_full_disk_is_an_error_at_once(images, tmp_path):
    resource = pytest.importorskip("resource")
    fitted = means().fit(images)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"features of shape \(2500, 3\), 3e-05 GB"):
            write_features(fitted, images, tmp_path / "rows.npy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "rows.npy").exists()
    assert not [file for file in tmp_path.iterdir() if file.stat().st_size]


def test_a_second_process_is_refused(images, tmp_path):
    fitted = means().fit(images)
    path = tmp_path / "rows.npy"
    with locked(path), pytest.raises(BlockingIOError, match=r"rows\.npy"):
        write_features(fitted, images[:3], path)
    write_features(fitted, images[:3], path)


def test_bad_arguments_are_refused(images, tmp_path):
    fitted = means().fit(images)
    with pytest.raises(ValueError, match=r"rows\.zarr' must end in \.npy"):
        write_features(fitted, images, tmp_path / "rows.zarr")
    assert not list(tmp_path.iterdir())
