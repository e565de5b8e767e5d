"""Pictures in the joint space: which network, what is projected, what is kept."""

import pickle
import threading

import numpy as np
import open_clip
import pytest
import skops.io
import torch
from PIL import Image
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR
from torch import nn
from torchvision import transforms

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.features import (
    CaptionEmbedding,
    FeatureCache,
    ImageFeatures,
    UnreadableImagesWarning,
    VGGFeatures,
)
from sklearn_memorability.images import ImageReadError


class Space(BaseEstimator):
    """A joint space such as VisualSemanticEmbedding learns."""

    def __init__(self, n_features=1280, n_components=6, network="efficientnet_lite0", seed=0):
        self.n_features = n_features
        self.n_components = n_components
        self.network = network
        self.seed = seed

    def fit(self, X=None, y=None):
        rng = np.random.default_rng(self.seed)
        size = (self.n_features, self.n_components)
        self.image_weights_ = rng.normal(size=size).astype(np.float32)
        self.n_features_in_, self.n_components_ = size
        named = isinstance(self.network, str)
        self.network_ = {"backbone": self.network} if named else self.network
        return self

    def transform(self, X):
        assert np.isfinite(X).all()
        return _unit(X @ self.image_weights_)

    def transform_captions(self, captions):
        rows = [np.random.default_rng(len(c)).normal(size=self.n_components) for c in captions]
        return _unit(np.float32(rows))


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 8, stride=4)
        self.factor = 1.0

    def forward(self, x):
        return self.factor * self.layer(x).relu().mean(dim=(2, 3))


SQUARE = transforms.Compose(
    [transforms.Resize(40), transforms.CenterCrop(32), transforms.ToTensor()]
)


def _unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


@pytest.fixture
def space():
    return Space().fit()


@pytest.fixture(scope="module")
def cnn(photographs):
    return ImageFeatures().fit_transform(photographs)


def test_rows_are_the_projected_features(space, photographs, cnn):
    transformer = CaptionEmbedding(space)
    found = transformer.fit_transform(photographs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, _unit(cnn @ space.image_weights_), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert transformer.embedding_ is space
    assert transformer.n_components_ == 6
    assert transformer.precision_ == "float32"


def test_with_cnn_both_stand_side_by_side(space, photographs, cnn):
    transformer = CaptionEmbedding(space, with_cnn=True).set_output(transform="pandas")
    found = transformer.fit_transform(photographs)
    assert found.shape == (2, 1286)
    np.testing.assert_allclose(found.iloc[:, :1280], cnn, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        found.iloc[:, 1280:], CaptionEmbedding(space).fit_transform(photographs)
    )
    assert list(found.columns[[0, 1279, 1280, 1285]]) == ["cnn__0", "cnn__1279", "ic__0", "ic__5"]


def test_the_network_is_the_one_that_the_embedding_was_learned_on(vgg16_weights, photographs):
    network = {"backbone": "vgg16", "layer": "fc6", "preprocessing": "caffe"}
    space = Space(4096, network=network).fit()
    found = CaptionEmbedding(space, weights=vgg16_weights).fit_transform(photographs)
    features = VGGFeatures(layer="fc6", weights=vgg16_weights, preprocessing="caffe")
    np.testing.assert_allclose(
        found, space.transform(features.fit_transform(photographs)), atol=1e-4
    )
    for other in (network, {"backbone": "vgg16", "weights": "/elsewhere/vgg16.pth"}):
        with pytest.raises(ValueError, match=r"'vgg16' that can't be downloaded.*pass weights="):
            CaptionEmbedding(Space(4096, network=other).fit()).fit(photographs)


def test_a_space_that_does_not_know_its_network(photographs, cnn):
    space = Space(network=None).fit()
    with pytest.raises(ValueError, match=r'pass backbone="...", a network that gives its 1280'):
        CaptionEmbedding(space).fit(photographs)
    rows = CaptionEmbedding(space, backbone="efficientnet_lite0").fit_transform(photographs)
    np.testing.assert_allclose(rows, space.transform(cnn), atol=1e-5)


def test_a_network_and_preprocessing_of_ones_own(photographs):
    network = {"backbone": Own(), "preprocessing": SQUARE}
    space = Space(4, network=network).fit()
    found = CaptionEmbedding(space).fit_transform(photographs)
    expected = ImageFeatures(**network).fit_transform(photographs)
    np.testing.assert_allclose(found, space.transform(expected), atol=1e-5)
    network["backbone"].factor = 0.0  # features of zeros give rows of zeros
    assert np.array_equal(CaptionEmbedding(space).fit_transform(photographs), np.zeros((2, 6)))


def test_another_network_is_refused(space, photographs):
    with pytest.raises(ValueError, match=r"backbone='vgg16' is not .* 'efficientnet_lite0'"):
        CaptionEmbedding(space, backbone="vgg16").fit(photographs)
    assert (
        CaptionEmbedding(space, backbone="efficientnet_lite0").fit(photographs).n_components_ == 6
    )


def test_an_embedding_that_is_not_fitted_is_refused(photographs):
    with pytest.raises(ValueError, match=r"is not fitted.*FrozenEstimator"):
        CaptionEmbedding(Space()).fit(photographs)
    with pytest.raises(ValueError, match="'embedding' parameter"):
        CaptionEmbedding(7).fit(photographs)


def test_a_clone_keeps_the_embedding_fitted(space):
    assert clone(CaptionEmbedding(space)).embedding is space
    assert clone(make_pipeline(CaptionEmbedding(space), SVR()))[0].embedding is space


def test_the_cache_is_shared_with_the_networks_features(space, photographs, cnn, tmp_path):
    cache = FeatureCache(tmp_path)
    ImageFeatures(cache=cache).fit_transform(photographs)
    assert len(cache) == 2
    found = CaptionEmbedding(space, cache=cache).fit_transform(photographs)
    np.testing.assert_allclose(found, space.transform(cnn), atol=1e-5)
    assert len(cache) == 2


def test_processes_get_no_more_than_the_network(space, photographs):
    transformer = CaptionEmbedding(space, with_cnn=True).fit(photographs)
    expected = transformer.transform(photographs * 2)
    space.lock = threading.Lock()  # which can't be sent to another process
    found = transformer.set_params(n_jobs=2).transform(photographs * 2)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_images_that_cannot_be_read_are_rows_of_nan(space, photographs):
    transformer = CaptionEmbedding(space, with_cnn=True, on_error="nan")
    with pytest.warns(UnreadableImagesWarning, match="none"):
        found = transformer.fit_transform([photographs[0], "none.jpg"])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_parameters_count_from_the_next_fit(space, photographs):
    transformer = CaptionEmbedding(space).fit(photographs)
    before = transformer.transform(photographs)
    other = Space(seed=1).fit()
    transformer.set_params(embedding=other, with_cnn=True)
    for same in (transformer, pickle.loads(pickle.dumps(transformer))):
        np.testing.assert_allclose(same.transform(photographs), before, atol=1e-5)
        assert len(same.get_feature_names_out()) == 6
    assert transformer.fit(photographs).embedding_ is other
    with pytest.raises(ValueError, match=r"gives 1280 features, but the embedding takes 7"):
        transformer.set_params(embedding=Space(7).fit()).fit(photographs)
    assert transformer.embedding_ is other  # what was fitted stays
    assert transformer.transform(photographs).shape == (2, 1286)


@pytest.fixture
def learned():
    """A small space that was learned."""
    X = np.random.default_rng(0).normal(size=(20, 1280))
    settings = {"text_encoder": "bow", "max_epochs": 1, "network": "efficientnet_lite0"}
    space = VisualSemanticEmbedding(8, early_stopping=False, random_state=0, **settings)
    return space.fit(X, ["a dog", "the red car"] * 10)


OURS = [
    "sklearn_memorability.captions._visual_semantic.VisualSemanticEmbedding",
    "sklearn_memorability.features._caption_embedding.CaptionEmbedding",
]


@pytest.mark.parametrize("given", ["name", "path", "object"])
def test_a_pickle_gives_the_same_space(learned, photographs, tmp_path, given):
    file = tmp_path / "mine.safetensors"
    learned.save(file)
    embedding = {"name": "flickr8k", "path": file, "object": learned}[given]
    transformer = CaptionEmbedding(embedding)
    expected = transformer.fit_transform(photographs), transformer.describe(photographs, ["a dog"])
    blob = pickle.dumps(transformer)
    # What a name opens is not in the pickle, and what a file holds is.
    assert (len(blob) < 2_000) == (given == "name")
    file.unlink()
    # Parameters count from the next fit.
    for again in (pickle.loads(blob), skops.io.loads(skops.io.dumps(transformer), trusted=OURS)):
        again.set_params(embedding="another")
        np.testing.assert_allclose(again.transform(photographs), expected[0], atol=1e-5)
        for [(_, cosine)], [(_, before)] in zip(
            again.describe(photographs, ["a dog"]), expected[1], strict=True
        ):
            assert cosine == pytest.approx(before, abs=1e-5)


def test_describe_orders_captions_by_their_cosine(space, photographs, cnn):
    captions = ["a", "a flower", "a house by a lake", "a flower"]
    transformer = CaptionEmbedding(space, with_cnn=True).set_output(transform="pandas")
    found = transformer.fit(photographs).describe(photographs, captions)
    cosines = space.transform(cnn) @ space.transform_captions(captions[:3]).T
    for i, near in enumerate(found):
        assert [caption for caption, _ in near] == [captions[j] for j in np.argsort(-cosines[i])]
        assert [cosine for _, cosine in near] == pytest.approx(sorted(cosines[i])[::-1], abs=1e-4)
    assert transformer.describe(photographs, captions, k=1) == [near[:1] for near in found]
    transformer.set_params(on_error="nan")
    with pytest.warns(UnreadableImagesWarning):
        assert transformer.describe([photographs[0], "none.jpg"], captions, k=2)[1] == []


def test_what_describe_refuses(space, photographs):
    transformer = CaptionEmbedding(space)
    with pytest.raises(NotFittedError):
        transformer.describe(photographs, ["a"])
    with pytest.raises(NotFittedError):
        _ = transformer.embedding_
    transformer.fit(photographs)
    with pytest.raises(TypeError, match="Put it in a list"):
        transformer.describe(photographs, "a flower")
    with pytest.raises(ValueError, match="candidate_captions is empty"):
        transformer.describe(photographs, [])
    for k in (0, 1.5):
        with pytest.raises(ValueError, match=f"k={k}"):
            transformer.describe(photographs, ["a"], k=k)
    with pytest.raises(ImageReadError, match="row 0"):
        transformer.describe(["none.jpg"], ["a"])


def test_clip_is_a_joint_space(tiny_clip, photographs):
    network, weights = tiny_clip
    captions = ["a red flower", "a tower in China", "two dogs"]
    transform = open_clip.image_transform(32, is_train=False)
    with torch.inference_mode():
        batch = torch.stack([transform(Image.open(path)) for path in photographs])
        pictures = network.encode_image(batch, normalize=True)
        tokens = open_clip.get_tokenizer("tiny-clip")(captions)
        cosines = (pictures @ network.encode_text(tokens, normalize=True).T).numpy()
    transformer = CaptionEmbedding("clip:tiny-clip", weights=weights).fit(photographs)
    np.testing.assert_allclose(transformer.transform(photographs), pictures, atol=1e-5)
    assert transformer.n_components_ == 24
    for fitted in (transformer, pickle.loads(pickle.dumps(transformer))):
        for row, near in zip(cosines, fitted.describe(photographs, captions), strict=True):
            assert [caption for caption, _ in near] == [captions[j] for j in np.argsort(-row)]
            assert [cosine for _, cosine in near] == pytest.approx(sorted(row)[::-1], abs=1e-4)
    assert len(pickle.dumps(transformer)) < 2_000
