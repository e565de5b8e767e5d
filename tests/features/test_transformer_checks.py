"""The contract of transformers whose X is images: a suite of checks, for each of them.

scikit-learn's own generator yields a single check for such a transformer: the others feed
tables of numbers, and are left out with a warning. A green ``parametrize_with_checks``
would state nothing. A new transformer is a new row of ``TRANSFORMERS``.
"""

import pickle
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator
from torch import nn
from torchvision import transforms

from sklearn_memorability.features import CaptionEmbedding, FeatureCache, ImageFeatures, VGGFeatures
from sklearn_memorability.images import ImageReadError


class Own(nn.Module):
    """A network such as a user may have."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 8, stride=4)

    def forward(self, x):
        return self.layer(x).relu().mean(dim=(2, 3))


SQUARE = transforms.Compose(
    [transforms.Resize(40), transforms.CenterCrop(32), transforms.ToTensor()]
)


def _own():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ImageFeatures(Own(), preprocessing=SQUARE)


# Name: how to make it, its width, whether its weights stay out of pickles.
TRANSFORMERS = {
    "efficientnet_lite0": (lambda files: ImageFeatures(), 1280, True),
    "vgg16": (lambda files: VGGFeatures(layer="pool", weights=files["vgg16"]), 512, True),
    "torchvision": (
        lambda files: ImageFeatures("squeezenet1_1", weights=files["squeezenet"]),
        512,
        True,
    ),
    "own": (lambda files: _own(), 4, False),
    "caption_embedding": (lambda files: CaptionEmbedding(), 1024, True),
}


class Case:
    """A transformer, what it gives, and pictures."""

    def __init__(self, name, files, pictures):
        make, self.width, self.is_light = TRANSFORMERS[name]
        self.transformer = make(files)
        self.pictures = pictures
        self.features = clone(self.transformer).fit_transform(pictures)

    def new(self, **params):
        return clone(self.transformer).set_params(**params)

    def same(self, found, expected=None):
        expected = self.features if expected is None else expected
        scale = np.abs(self.features).max()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * scale)


@pytest.fixture(scope="module")
def pictures(photographs):
    with Image.open(photographs[0]) as china:
        half = china.resize((320, 213))
        mirrored = np.ascontiguousarray(np.asarray(china)[:, ::-1])
    return [*photographs, half, mirrored, str(photographs[1])]


@pytest.fixture(scope="module", params=TRANSFORMERS)
def case(request, pictures, vgg16_weights, squeezenet_weights):
    files = {"vgg16": vgg16_weights, "squeezenet": squeezenet_weights}
    return Case(request.param, files, pictures)


def check_shape_and_type(case):
    assert case.features.shape == (5, case.width)
    assert case.features.dtype == np.float32
    assert np.isfinite(case.features).all()
    case.same(case.features[1], case.features[4])
    assert not np.allclose(case.features[0], case.features[1])


def check_batch_size_invariance(case):
    for batch_size in (1, 2, 100):
        case.same(case.new(batch_size=batch_size).fit_transform(case.pictures))


def check_a_row_depends_on_its_picture_alone(case):
    fitted = case.new().fit(case.pictures)
    for order in ([2], [3, 0, 4]):
        found = fitted.transform([case.pictures[i] for i in order])
        case.same(found, case.features[order])


def check_containers(case):
    # Each kind is tested where images are collected.
    path = str(case.pictures[1])
    for container in (pd.DataFrame({"image": [path]}), np.array([path]), pl.Series([path])):
        case.same(case.new().fit_transform(container), case.features[[1]])
    case.same(case.new().fit_transform(case.pictures[3][None]), case.features[[3]])
    for call in (case.new().fit, case.new().fit(case.pictures).transform):
        with pytest.raises(TypeError, match="Put it in a list"):
            call(path)
        with pytest.raises(ValueError, match="minimum of 1 sample"):
            call([])


def check_fit_and_clone(case):
    transformer = case.new(batch_size=3)
    before = {k: v for k, v in transformer.get_params().items() if not isinstance(v, nn.Module)}
    assert transformer.fit(case.pictures, [0, 1, 0, 1, 0]) is transformer  # y is ignored
    after = {k: v for k, v in transformer.get_params().items() if not isinstance(v, nn.Module)}
    assert after == before
    assert clone(transformer).batch_size == 3
    for call in (lambda t: t.transform(case.pictures), lambda t: t.get_feature_names_out()):
        with pytest.raises(NotFittedError):
            call(clone(transformer))


def check_input_is_not_changed(case):
    picture, array = case.pictures[2].copy(), case.pictures[3].copy()
    case.new().fit_transform([picture, array])
    assert picture.tobytes() == case.pictures[2].tobytes()
    assert np.array_equal(array, case.pictures[3])


def check_set_output(case):
    for kind, frame in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        transformer = case.new().set_output(transform=kind)
        found = transformer.fit_transform(case.pictures)
        assert isinstance(found, frame)
        assert list(found.columns) == list(transformer.get_feature_names_out())
        prefix = type(case.transformer).__name__.lower()
        assert list(found.columns) == [f"{prefix}{i}" for i in range(case.width)]
        case.same(found.to_numpy())


def check_pickle_is_small_and_works(case):
    fitted = case.new().fit(case.pictures)
    fitted.transform(case.pictures[:1])
    blob = pickle.dumps(fitted)
    assert len(blob) < (2_000 if case.is_light else 100_000)
    case.same(pickle.loads(blob).transform(case.pictures))


def check_refit_gives_the_new_network(case):
    transformer = case.new().fit(case.pictures)
    transformer.set_params(precision="bfloat16")
    # What is fitted stays until it is fitted again, also in a pickle.
    case.same(transformer.transform(case.pictures))
    case.same(pickle.loads(pickle.dumps(transformer)).transform(case.pictures))
    assert not np.allclose(transformer.fit(case.pictures).transform(case.pictures), case.features)


def check_failed_refit_leaves_what_was_fitted(case):
    transformer = case.new().fit(case.pictures)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        transformer.set_params(weights="nowhere.pth").fit(case.pictures)
    case.same(transformer.transform(case.pictures))


def check_bad_image_is_named(case):
    images = [case.pictures[0], "none.jpg"]
    with pytest.raises(ImageReadError, match=r"row 1, 'none\.jpg': the file does not exist"):
        case.new().fit_transform(images)


def check_bad_parameters(case):
    for params in (
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"batch_size": "large"},
        {"precision": "float16"},
        {"on_error": "ignore"},
        {"device": 7},
        {"n_jobs": 1.5},
        {"cache": 7},
    ):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
            case.new(**params).fit(case.pictures)


def check_threads_may_share_it(case):
    fitted = case.new().fit(case.pictures)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(fitted.transform, [case.pictures] * 2):
            case.same(found)


def check_global_state_is_left_alone(case):
    def state():
        return (
            torch.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),
            random.getstate(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.backends.cudnn.benchmark,
        )

    before = state()
    case.new().fit_transform(case.pictures)
    assert state() == before


def check_pipeline_with_routed_metadata(case):
    with sklearn.config_context(enable_metadata_routing=True):
        ridge = Ridge().set_fit_request(sample_weight=True)
        pipeline = Pipeline([("features", case.new()), ("model", ridge)])
        y, weight = np.arange(5.0), np.array([1.0, 2.0, 1.0, 1.0, 3.0])
        pipeline.fit(case.pictures, y, sample_weight=weight)
    expected = Ridge().fit(case.features, y, sample_weight=weight).predict(case.features)
    np.testing.assert_allclose(pipeline.predict(case.pictures), expected, rtol=1e-2, atol=1e-2)


def check_cache_gives_the_same_rows(case):
    with tempfile.TemporaryDirectory() as folder:
        fitted = case.new(cache=folder).fit(case.pictures)
        first = fitted.transform(case.pictures)
        case.same(first)
        assert np.array_equal(fitted.transform(case.pictures), first)
        assert len(FeatureCache(folder)) == 4  # one picture is there twice


def check_equal_transformers_have_equal_hashes(case):
    # Pipeline(memory=...) tells transformers by them. torch's tensors have no hash that
    # lasts, so a network of one's own is found again by cache= alone.
    if case.is_light:
        assert joblib.hash(case.new()) == joblib.hash(case.new())
        assert joblib.hash(case.new()) != joblib.hash(case.new(precision="bfloat16"))


def check_tags(case):
    tags = get_tags(case.transformer)
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.string
    assert not tags.target_tags.required


CHECKS = [
    value
    for name, value in sorted(globals().items())
    if name.startswith("check_") and value is not check_estimator
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract(check, case):
    check(case)


@pytest.mark.parametrize("transformer", [ImageFeatures(), VGGFeatures(), CaptionEmbedding()])
def test_what_scikit_learn_checks_of_it(transformer):
    # It says itself that it skips the others, about fifty, which feed tables of numbers.
    with pytest.warns(SkipTestWarning, match="requires input"):
        results = check_estimator(transformer, on_fail=None)
    assert [result["check_name"] for result in results] == ["check_estimator_cloneable"]
    assert {result["status"] for result in results} == {"passed"}
