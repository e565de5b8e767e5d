"""What happens between images and rows: batches, order, errors, memory, workers."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from joblib import parallel_config
from PIL import Image
from torch import nn
from torchvision import transforms

from sklearn_memorability.features import (
    ImageFeatures,
    UnreadableImagesWarning,
    release_networks,
)
from sklearn_memorability.features import _networks as networks
from sklearn_memorability.features._networks import Network
from sklearn_memorability.images import ImageReadError

TINY = transforms.Compose([transforms.Resize(8), transforms.CenterCrop(8), transforms.ToTensor()])


class Mean(nn.Module):
    """Three features: the mean of each channel."""

    def forward(self, x):
        return x.mean(dim=(2, 3))


@pytest.fixture
def grey():
    """Forty pictures whose features are their own number."""
    return [Image.new("RGB", (10, 10), (i, i, i)) for i in range(40)]


def _means(**params):
    return ImageFeatures(Mean(), preprocessing=TINY, **params)


def _numbers(features):
    return np.rint(features[:, 0] * 255).astype(int).tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 40, 1000])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_rows_are_in_order_whatever_runs_side_by_side(grey, batch_size, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = _means(batch_size=batch_size).fit_transform(grey)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert _numbers(found) == list(range(40))


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_processes_give_what_one_gives(photographs, tmp_path, n_jobs):
    paths = [str(path) for path in photographs] * 5
    expected = ImageFeatures().fit_transform(paths)
    transformer = ImageFeatures(n_jobs=n_jobs, batch_size=2, cache=tmp_path / "cache")
    for _ in range(2):
        found = transformer.fit_transform(paths)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert len(transformer._cache()) == 2


def test_threads_of_joblib_give_what_one_gives(grey):
    with parallel_config("threading", n_jobs=3):
        found = _means(batch_size=4).fit_transform(grey)
    assert _numbers(found) == list(range(40))


def test_a_dask_cluster_gives_what_one_gives(photographs):
    from distributed import Client, LocalCluster

    paths = [str(path) for path in photographs] * 3
    expected = ImageFeatures().fit_transform(paths)
    with (
        warnings.catch_warnings(),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as c,
        Client(c),
        parallel_config("dask"),
    ):
        warnings.simplefilter("ignore", ResourceWarning)
        found = ImageFeatures(batch_size=1, n_jobs=-1).fit_transform(paths)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_open_files_stay_in_this_process(photographs):
    with photographs[0].open("rb") as file:
        found = ImageFeatures(n_jobs=1).fit_transform([file, file])
        assert np.array_equal(found[0], found[1])
        with pytest.raises(ValueError, match=r"row 0 is an open file.*n_jobs=1"):
            ImageFeatures(n_jobs=2).fit([file]).transform([file, file])


def test_bad_images_become_rows_of_nan_and_one_warning(photographs, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    images = [photographs[0], bad, photographs[1], tmp_path / "none.jpg"]
    transformer = ImageFeatures(on_error="nan", batch_size=1).fit(images)
    for n_jobs in (1, 2):
        with pytest.warns(UnreadableImagesWarning) as caught:
            found = transformer.set_params(n_jobs=n_jobs).transform(images)
        assert len(caught) == 1
        message = str(caught[0].message)
        assert message.startswith("2 image(s)")
        assert f"row 1, '{bad}'" in message
        assert "row 3" in message
        assert np.isnan(found).all(axis=1).tolist() == [False, True, False, True]
        assert np.isfinite(found[[0, 2]]).all()


def test_a_long_list_of_bad_images_is_cut(tmp_path):
    images = [tmp_path / f"{i}.jpg" for i in range(50)]
    with pytest.warns(UnreadableImagesWarning, match=r"(?s)50 image.*row 19.*and 30 more\.$"):
        found = _means(on_error="nan").fit_transform(images)
    assert np.isnan(found).all()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_first_bad_image_is_the_one_named(photographs, tmp_path, n_jobs):
    images = [*photographs, *(tmp_path / f"{i}.jpg" for i in range(20)), *photographs]
    with pytest.raises(ImageReadError, match=r"row 2, '.*/0\.jpg': the file does not exist"):
        ImageFeatures(batch_size=3, n_jobs=n_jobs).fit_transform(images)


def test_what_was_computed_before_a_bad_image_is_kept(photographs, tmp_path):
    from sklearn_memorability.features import FeatureCache

    transformer = ImageFeatures(batch_size=1, cache=tmp_path / "cache").fit(photographs)
    with pytest.raises(ImageReadError):
        transformer.transform([*photographs, tmp_path / "none.jpg"])
    assert len(FeatureCache(tmp_path / "cache")) == 2


class Hungry(Mean):
    """Has memory for two pictures at a time."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.sizes = []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > 2:
            raise self.error
        return super().forward(x)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_where_memory_is_short_the_batch_is_halved_and_it_is_said_once(grey, error):
    transformer = ImageFeatures(Hungry(error), preprocessing=TINY, batch_size=8).fit(grey)
    with pytest.warns(RuntimeWarning, match="batch is halved") as caught:
        found = transformer.transform(grey)
    assert len(caught) == 1
    assert _numbers(found) == list(range(40))
    sizes = transformer._network.module.sizes[1:]  # behind the look at its width
    assert sizes[:3] == [8, 4, 2]
    assert set(sizes[3:]) == {2}  # what was learnt is kept


def test_memory_for_not_even_one_picture_is_an_error(grey):
    class Starved(Mean):
        def forward(self, x):
            if x.mean() > 0.01 and len(x) == 1 and self.fitted:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            if len(x) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(x)

        fitted = False

    transformer = ImageFeatures(Starved(), preprocessing=TINY, batch_size=4).fit(grey)
    transformer._network.module.fitted = True
    with (
        pytest.warns(RuntimeWarning, match="halved"),
        pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"),
    ):
        transformer.transform(grey)


def test_other_errors_of_a_network_are_passed_on(grey):
    network = Hungry(RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        ImageFeatures(network, preprocessing=TINY, batch_size=8).fit_transform(grey)


def test_an_interrupt_is_passed_on_and_what_was_computed_is_kept(
    photographs, tmp_path, monkeypatch
):
    from sklearn_memorability.features import FeatureCache

    features = Network.features
    calls = []

    def interrupted(self, views):
        calls.append(len(views))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return features(self, views)

    images = [Image.open(photographs[0]).rotate(i) for i in range(8)]
    transformer = ImageFeatures(batch_size=1, cache=tmp_path / "cache").fit(images)
    monkeypatch.setattr(Network, "features", interrupted)
    with pytest.raises(KeyboardInterrupt):
        transformer.transform(images)
    assert len(FeatureCache(tmp_path / "cache")) >= 2
    monkeypatch.undo()
    assert np.isfinite(transformer.transform(images)).all()


def test_a_process_keeps_the_last_networks_ready(photographs, monkeypatch):
    release_networks()
    loaded = []
    of = Network.of.__func__
    monkeypatch.setattr(
        Network, "of", classmethod(lambda cls, recipe: loaded.append(recipe) or of(cls, recipe))
    )
    for _ in range(3):
        transformer = ImageFeatures().fit(photographs)
        transformer.transform(photographs)
        pickle.loads(pickle.dumps(transformer)).transform(photographs)
    assert len(loaded) == 1
    release_networks()
    transformer.transform(photographs)
    assert len(loaded) == 2


def test_a_file_of_weights_that_changes_is_read_again(photographs, tmp_path):
    from torchvision.models import get_model

    path = tmp_path / "weights.pth"
    found = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            torch.save(get_model("squeezenet1_1").state_dict(), path)
        found.append(ImageFeatures("squeezenet1_1", weights=path).fit_transform(photographs))
    assert not np.allclose(*found)


def test_few_networks_are_kept(photographs, tmp_path):
    from torchvision.models import get_model

    torch.save(get_model("squeezenet1_1").state_dict(), tmp_path / "weights.pth")
    for crops in (1, 5, 10):
        ImageFeatures("squeezenet1_1", weights=tmp_path / "weights.pth", crops=crops).fit(
            photographs
        )
    assert len(networks._KEPT_NETWORKS._networks) == 2


@pytest.mark.parametrize("crops", [5, 10])
def test_crops_are_averaged(photographs, crops):
    plain = ImageFeatures().fit(photographs)
    network = plain._recipe.load()
    with Image.open(photographs[0]) as picture:
        views = network.preprocess.views(picture, crops)
    with torch.inference_mode():
        expected = network.module(network.preprocess.normalize(views)).mean(dim=0)
    found = ImageFeatures(crops=crops, batch_size=2).fit_transform(photographs)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-3)
    assert not np.allclose(found, plain.transform(photographs), atol=1e-2)


def test_bfloat16_is_close_and_says_so(photographs):
    plain = ImageFeatures().fit_transform(photographs)
    half = ImageFeatures(precision="bfloat16").fit(photographs)
    assert half.precision_ == "bfloat16"
    found = half.transform(photographs)
    assert found.dtype == np.float32
    assert not np.array_equal(found, plain)
    for one, other in zip(found, plain, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.99


def test_auto_takes_what_the_hardware_is_made_for(photographs, monkeypatch):
    for native, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda native=native: native)
        fitted = ImageFeatures(precision="auto", device="cpu").fit(photographs)
        assert fitted.precision_ == expected


def test_the_layout_in_memory_changes_nothing_but_rounding(photographs):
    found = [
        ImageFeatures(channels_last=layout).fit_transform(photographs) for layout in (True, False)
    ]
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-3)


def test_networks_get_single_precision(grey):
    # Also for MPS, which has no double precision.
    class Typed(Mean):
        def forward(self, x):
            assert x.dtype == torch.float32
            return super().forward(x)

    def double(picture):
        return TINY(picture).double()

    found = ImageFeatures(Typed(), preprocessing=double).fit_transform(grey)
    assert _numbers(found) == list(range(40))


def _devices():
    yield "cpu"
    if torch.cuda.is_available():
        yield "cuda"
    if torch.backends.mps.is_available():
        yield "mps"


@pytest.mark.parametrize("device", list(_devices()))
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_devices_agree(photographs, device, precision):
    expected = ImageFeatures(device="cpu").fit_transform(photographs)
    transformer = ImageFeatures(device=device, precision=precision, batch_size=1).fit(photographs)
    assert transformer.device_.type == device
    found = transformer.transform(photographs)
    tolerance = 1e-2 if precision == "float32" else 0.2
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


def test_a_pickle_from_a_gpu_works_where_there_is_none(photographs):
    import dataclasses

    fitted = ImageFeatures().fit(photographs)
    fitted._recipe = dataclasses.replace(fitted._recipe, device="cuda:7")
    found = pickle.loads(pickle.dumps(fitted))
    expected = ImageFeatures().fit_transform(photographs)
    np.testing.assert_allclose(found.transform(photographs), expected, rtol=1e-4, atol=1e-4)
    assert found.device_ == ImageFeatures().fit(photographs).device_
