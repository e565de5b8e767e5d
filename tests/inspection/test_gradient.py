import numpy as np
import pytest
import torch
from PIL import ImageOps
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from torch import nn
from torchvision import transforms

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.features import CaptionEmbedding, ImageFeatures
from sklearn_memorability.inspection import gradient_map, occlusion_map
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

INPUT = transforms.Compose(
    [transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor()]
)


class Tiny(nn.Module):
    """How red a image is, and how bright."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Conv2d(3, 2, 1, bias=False)
        self.colours.weight.data = torch.tensor([[1.0, -0.5, -0.5], [0.3, 0.3, 0.3]])[
            ..., None, None
        ]

    def forward(self, x):
        return self.colours(x).relu_().mean(dim=(2, 3))


class CutOff(nn.Module):
    def forward(self, x):
        return x.detach().mean(dim=(2, 3))


def _images():
    """Grey images of several shades, half of them with a red square somewhere."""
    rng = np.random.default_rng(0)
    images, scores = [], []
    for i in range(60):
        pixels = np.full((32, 32, 3), rng.integers(60, 200), dtype=np.uint8)
        if i % 2:
            y, x = rng.integers(0, 26, size=2)
            pixels[y : y + 6, x : x + 6] = (255, 0, 0)
        images.append(pixels)
        scores.append(0.25 + 0.5 * (i % 2) + rng.normal(scale=0.02))
    return images, np.array(scores)


def _features(network=None, **params):
    return ImageFeatures(network or Tiny(), preprocessing=INPUT, **params)


def _head(**params):
    settings = {"n_classes": 2, "branch_sizes": (8,), "hidden_layer_sizes": (), "dropout": 0.0}
    settings |= {"aggregation": "mean", "lr": 0.02, "max_epochs": 15, "random_state": 0}
    return BalancedQuantileClassifierRegressor(**settings | params)


@pytest.fixture(scope="module")
def fitted():
    """A model that red squares raise the score of, and one that they lower it of."""
    images, scores = _images()
    models = {}
    for sign, y in ((1, scores), (-1, 1 - scores)):
        models[sign] = make_pipeline(_features(), StandardScaler(), _head()).fit(images, y)
        assert abs(np.corrcoef(models[sign].predict(images), y)[0, 1]) > 0.9
    return models


@pytest.fixture
def image():
    """Grey, with a red square in rows 30 to 39 and columns 50 to 59."""
    pixels = np.full((64, 96, 3), 120, dtype=np.uint8)
    pixels[30:40, 50:60] = (255, 0, 0)
    return pixels


def _check_sum(model, image, result, tolerance):
    """Shares add up to what the image's score has over that of a plain one."""
    plain = np.full_like(image, np.rint(image.mean(axis=(0, 1))).astype(np.uint8))
    assert result.score == pytest.approx(model.predict([image])[0], abs=1e-4)
    assert result.fill_score == pytest.approx(model.predict([plain])[0], abs=1e-4)
    difference = result.score - result.fill_score
    assert result.map.sum() == pytest.approx(difference, abs=tolerance * abs(difference) + 1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_cue_that_decides_the_score_stands_out_with_its_sign(fitted, image, sign):
    gradient = gradient_map(fitted[sign], image, smoothing=0)
    covered = occlusion_map(fitted[sign], image, window=8, stride=4)
    cue = np.zeros((64, 96), dtype=bool)
    cue[28:42, 48:62] = True
    for result in (gradient, covered):
        assert result.map.shape == (64, 96)
        assert result.map.argmax() != result.map.argmin()
        y, x = np.unravel_index((sign * result.map).argmax(), result.map.shape)
        assert cue[y, x]
        assert (sign * result.map[cue]).mean() > 5 * np.abs(result.map[~cue]).mean()
    _check_sum(fitted[sign], image, gradient, 0.05)


def test_smoothing_spreads_shares_and_keeps_their_sum(fitted, image):
    sharp = gradient_map(fitted[1], image, smoothing=0)
    smooth = gradient_map(fitted[1], image, smoothing=3)
    assert smooth.map.sum() == pytest.approx(sharp.map.sum(), rel=1e-6)
    assert smooth.map.max() < sharp.map.max()
    assert gradient_map(fitted[1], image).map.max() < sharp.map.max()


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(_features(), StandardScaler(with_mean=False), _head(n_classes=3)),
        lambda: make_pipeline(_features(), StandardScaler(with_std=False), "passthrough", _head()),
        lambda: make_pipeline(_features(), _head(n_members=2, kernel_weight=0.5)),
        lambda: make_pipeline(
            FeatureUnion(
                [("a", _features()), ("b", make_pipeline(_features())), ("c", "drop")],
                transformer_weights={"b": 0.5},
            ),
            StandardScaler(),
            _head(branches=(2, 2)),
        ),
    ],
    ids=["no mean", "no std", "members", "union"],
)
def test_shares_add_up_for_models_of_every_form(image, make):
    images, scores = _images()
    model = make().fit(images, scores)
    frozen = FrozenEstimator(model)
    _check_sum(model, image, gradient_map(frozen, image, n_steps=64), 0.05)


@pytest.mark.parametrize("with_cnn", [False, True])
def test_shares_add_up_through_the_joint_space_of_captions(image, with_cnn):
    images, scores = _images()
    captions = ["a red square" if score > 0.5 else "nothing but grey" for score in scores]
    network = {"backbone": Tiny(), "preprocessing": INPUT}
    settings = {"text_encoder": "bow", "max_epochs": 1, "random_state": 0, "network": network}
    space = VisualSemanticEmbedding(4, **settings)
    space.fit(_features().fit_transform(images), captions)
    features = CaptionEmbedding(space, with_cnn=with_cnn)
    model = make_pipeline(features, StandardScaler(), _head()).fit(images, scores)
    result = gradient_map(model, image, n_steps=128)
    assert result.score != pytest.approx(result.fill_score, abs=0.01)
    _check_sum(model, image, result, 0.05)


def test_the_model_is_left_as_it_was(fitted, image):
    model = fitted[1]
    before = model.predict([image])
    weights = list(model[-1].net_.module_.parameters())
    left_by_training = [weight.grad.clone() for weight in weights]
    with torch.inference_mode():
        assert gradient_map(model, image).map.any()
    for weight, gradient in zip(weights, left_by_training, strict=True):
        assert torch.equal(weight.grad, gradient)
    np.testing.assert_array_equal(model.predict([image]), before)


@pytest.mark.parametrize(
    ("steps", "culprit"),
    [
        ([_features(), SVR()], "SVR"),
        ([_features(), PCA(2), _head(max_epochs=1)], "PCA"),
        ([_features(), StandardScaler()], "StandardScaler"),
        ([FeatureUnion([("a", make_pipeline(_features(), PCA(1)))]), _head(max_epochs=1)], "Pipe"),
    ],
)
def test_other_models_are_refused_with_the_way_out(image, steps, culprit):
    images, scores = _images()
    model = Pipeline([(str(i), step) for i, step in enumerate(steps)])
    with pytest.raises(TypeError, match=f"can't differentiate {culprit}.*occlusion_map"):
        gradient_map(model.fit(images, scores), image)


def test_networks_without_gradients_and_unfitted_models_say_so(image):
    images, scores = _images()
    model = make_pipeline(_features(CutOff()), StandardScaler(), _head(max_epochs=1))
    with pytest.raises(NotFittedError):
        gradient_map(model, image)
    with pytest.raises(TypeError, match=r"cut off from its input.*occlusion_map"):
        gradient_map(model.fit(images, scores), image)
    rotated = transforms.Compose([lambda image: image.rotate(90), *INPUT.transforms])
    model = make_pipeline(ImageFeatures(Tiny(), preprocessing=rotated), _head(max_epochs=1))
    with pytest.raises(TypeError, match=r"more than to scale.*occlusion_map"):
        gradient_map(model.fit(images, scores), image)


def test_shares_lie_where_the_network_looks():
    images, scores = _images()
    features = ImageFeatures(Tiny(), preprocessing="caffe")
    model = make_pipeline(features, StandardScaler(), _head(max_epochs=2)).fit(images, scores)
    noise = np.random.default_rng(0).integers(0, 256, (427, 640, 3), dtype=np.uint8)
    shown = gradient_map(model, noise, smoothing=0, n_steps=2).map != 0
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    # The shorter side becomes 256 and the longer 383; of these the middle 224 are taken.
    ends = (columns[0], columns[-1] + 1, rows[0], rows[-1] + 1)
    np.testing.assert_allclose(ends, (134, 507, 27, 400), atol=2)


def test_a_mirrored_image_has_its_shares_on_its_own_side(image):
    images, scores = _images()
    mirrored = transforms.Compose([ImageOps.mirror, *INPUT.transforms])
    features = ImageFeatures(Tiny(), preprocessing=mirrored)
    model = make_pipeline(features, StandardScaler(), _head()).fit(images, scores)
    y, x = np.unravel_index(gradient_map(model, image, smoothing=0).map.argmax(), (64, 96))
    assert image[y, x].tolist() == [255, 0, 0]
