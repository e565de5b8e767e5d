"""What happens between images and rows: batches, order, errors, memory, workers, devices."""

import numpy as np
import pytest
import torch
from joblib import parallel_config
from PIL import Image
from torch import nn
from torchvision import transforms

from sklearn_memorability.features import FeatureCache, ImageFeatures, UnreadableImagesWarning
from sklearn_memorability.images import ImageReadError

TINY = transforms.Compose([transforms.Resize(8), transforms.CenterCrop(8), transforms.ToTensor()])


class Mean(nn.Module):
    """Three features: the mean of each channel."""

    def forward(self, x):
        return x.mean(dim=(2, 3))


@pytest.fixture
def grey():
    """Forty images whose features are their own number."""
    return [Image.new("RGB", (10, 10), (i, i, i)) for i in range(40)]


def _means(**params):
    return ImageFeatures(Mean(), preprocessing=TINY, **params)


def _numbers(features):
    return np.rint(features[:, 0] * 255).astype(int).tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 40, 1000])
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_are_in_order_whatever_runs_side_by_side(grey, batch_size, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = _means(batch_size=batch_size).fit_transform(grey)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert _numbers(found) == list(range(40))


def test_processes_give_what_one_gives_and_fill_one_cache(photographs, grey, tmp_path):
    images = [*grey[:10], *(str(path) for path in photographs)]
    expected = ImageFeatures().fit_transform(images)
    transformer = ImageFeatures(n_jobs=2, batch_size=1, cache=tmp_path / "cache")
    found = transformer.fit_transform(images)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert len(FeatureCache(tmp_path / "cache")) == 12
    images = [photographs[0], b"no image", photographs[1], tmp_path / "none.jpg"]
    with pytest.warns(UnreadableImagesWarning) as caught:
        found = transformer.set_params(on_error="nan").transform(images)
    assert [error.row for error in caught[0].message.errors] == [1, 3]
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False, True]


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_threads_of_joblib_give_what_one_gives(grey, batch_size, tmp_path):
    with parallel_config("threading", n_jobs=3):
        assert _numbers(_means(batch_size=batch_size).fit_transform(grey)) == list(range(40))
        images = [*grey, tmp_path / "first.png", *grey, tmp_path / "second.png"]
        with pytest.raises(ImageReadError, match=r"row 40, '.*first\.png'"):
            _means(batch_size=batch_size).fit_transform(images)


def test_bad_images_become_rows_of_nan_and_one_warning(photographs, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    images = [photographs[0], bad, photographs[1], tmp_path / "none.jpg"]
    with pytest.warns(UnreadableImagesWarning) as caught:
        found = ImageFeatures(on_error="nan", batch_size=3).fit_transform(images)
    assert len(caught) == 1
    facts = [(error.row, error.path) for error in caught[0].message.errors]
    assert facts == [(1, str(bad)), (3, str(tmp_path / "none.jpg"))]
    assert str(caught[0].message).startswith("2 image(s)")
    assert f"row 1, '{bad}'" in str(caught[0].message)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False, True]
    assert np.isfinite(found[[0, 2]]).all()


def test_the_first_bad_image_is_named_and_what_was_computed_before_it_is_kept(
    photographs, tmp_path
):
    images = [*photographs, *(tmp_path / f"{i}.jpg" for i in range(20)), *photographs]
    transformer = ImageFeatures(batch_size=2, cache=tmp_path / "cache").fit(images)
    with pytest.raises(ImageReadError, match=r"row 2, '.*/0\.jpg': the file does not exist"):
        transformer.transform(images)
    assert len(FeatureCache(tmp_path / "cache")) == 2


SIZES = []  # of the batches that went through


class Hungry(Mean):
    """Has memory for one image at a time."""

    def forward(self, x):
        if len(x) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().forward(x)


def test_errors_of_a_network_or_a_preprocessing_are_passed_on(grey):
    with pytest.raises(RuntimeError, match="out of memory"):
        ImageFeatures(Hungry(), preprocessing=TINY, batch_size=8).fit_transform(grey)

    def broken(image):
        if image.size == (10, 10):
            raise OverflowError("a fault of the user's own")
        return TINY(image)

    for n_jobs in (1, 2):
        with parallel_config("threading"), pytest.raises(OverflowError, match="user's own"):
            ImageFeatures(Mean(), preprocessing=broken, n_jobs=n_jobs).fit_transform(grey)
    uneven = transforms.Compose([transforms.Resize(8), transforms.ToTensor()])
    with pytest.raises(ValueError, match="different shapes"):
        ImageFeatures(Mean(), preprocessing=uneven).fit_transform(
            [grey[0], Image.new("RGB", (20, 10))]
        )


class Interrupted(Mean):
    """Meets Ctrl-C at its third batch."""

    def forward(self, x):
        SIZES.append(len(x))
        if len(SIZES) == 3:
            raise KeyboardInterrupt
        return super().forward(x)


def test_an_interrupt_is_passed_on_and_what_was_computed_is_kept(grey, tmp_path):
    params = {"preprocessing": TINY, "batch_size": 4, "cache": tmp_path / "cache"}
    transformer = ImageFeatures(Interrupted(), **params).fit(grey)
    SIZES.clear()
    with pytest.raises(KeyboardInterrupt):
        transformer.transform(grey)
    assert len(FeatureCache(tmp_path / "cache")) >= 8
    assert _numbers(transformer.transform(grey)) == list(range(40))


def test_a_file_of_weights_that_changes_is_read_again(photographs, tmp_path):
    from torchvision.models import get_model

    path, cache = tmp_path / "weights.pth", FeatureCache(tmp_path / "cache")
    found = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            torch.save(get_model("squeezenet1_1").state_dict(), path)
        transformer = ImageFeatures("squeezenet1_1", weights=path, cache=cache)
        found.append(transformer.fit_transform(photographs))
    assert not np.allclose(*found)
    assert len(cache.contents()) == 2


def test_auto_takes_what_the_hardware_is_made_for(photographs, monkeypatch):
    for native, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda native=native: native)
        fitted = ImageFeatures(precision="auto", device="cpu").fit(photographs)
        assert fitted.precision_ == expected


def _devices():
    yield "cpu"
    if torch.cuda.is_available():
        yield "cuda"
    if torch.backends.mps.is_available():
        yield "mps"


@pytest.mark.parametrize("device", list(_devices()))
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_devices_and_precisions_agree(photographs, device, precision):
    expected = ImageFeatures(device="cpu").fit_transform(photographs)
    transformer = ImageFeatures(device=device, precision=precision, batch_size=1).fit(photographs)
    assert transformer.device_.type == device
    assert transformer.precision_ == precision
    found = transformer.transform(photographs)
    assert found.dtype == np.float32
    tolerance = 1e-2 if precision == "float32" else 0.2
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()
    for one, other in zip(found, expected, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.99
