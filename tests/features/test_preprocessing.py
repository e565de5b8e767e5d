import io

import numpy as np
import pytest
import skimage.data
import torch
import torchvision
from PIL import Image
from torchvision import transforms
from torchvision.models import get_model_weights, list_models

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._backbones import BACKBONES
from sklearn_memorability.features._preprocessing import CAFFE, EfficientNetLite, Standard, view_of
from sklearn_memorability.features._weights import read_state_dict
from sklearn_memorability.images import read_image
from sklearn_memorability.images._read import ImageContent

CLASSIFIERS = list_models(module=torchvision.models)


@pytest.fixture(scope="module")
def pictures(photographs):
    """Of both orientations, and of sides that don't halve evenly."""
    with Image.open(photographs[0]) as opened:
        return [opened.resize(size) for size in [(641, 431), (331, 1001)]]


def test_every_torchvision_classifier_gets_the_input_of_torchvisions_own_transforms(pictures):
    assert len(CLASSIFIERS) >= 80
    seen = {}
    for name in CLASSIFIERS:
        preset = get_model_weights(name).DEFAULT.transforms()
        seen.setdefault(repr(preset), preset)
    assert len(seen) > 10
    for preset in seen.values():
        ours = Standard.of_preset(preset)
        for picture in pictures:
            assert torch.equal(ours.normalize(ours.view(picture)[None])[0], preset(picture))


def test_efficientnet_lite_crops_the_central_seven_eighths_and_scales_it(photographs):
    # china.jpg has 640 x 427 pixels; 7/8 of the shorter side are 373.6. The central
    # square is scaled to 224 pixels, and (rgb - 127) / 128 taken.
    lite = EfficientNetLite()
    with Image.open(photographs[0]) as picture:
        square = np.asarray(picture)[27 : 27 + 373, 134 : 134 + 373]
        scaled = Image.fromarray(square).resize((224, 224), Image.Resampling.BICUBIC)
        found = lite.normalize(lite.view(picture)[None])[0]
    pixels = np.asarray(scaled, dtype=float)
    assert found.shape == (3, 224, 224)
    np.testing.assert_allclose(found.permute(1, 2, 0), (pixels - 127) / 128, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shown"),
    # ImageNet's classes: tiger cat, espresso, missile, palace. With another network's
    # preprocessing some of them come second.
    [("cat", 282), ("coffee", 967), ("rocket", 657), ("china", 698)],
)
def test_the_network_names_what_public_photographs_show(name, shown, photographs):
    lite = BACKBONES["efficientnet_lite0"]
    if name == "china":
        picture = Image.open(photographs[0])
    else:
        picture = Image.fromarray(getattr(skimage.data, name)())
    state = read_state_dict(lite.load.weights.path("efficientnet_lite0"))
    with torch.inference_mode():
        batch = lite.preprocess.normalize(lite.preprocess.view(picture)[None])
        features = lite.load("pool", None)(batch)
        logits = torch.nn.functional.linear(features, state["_fc.weight"], state["_fc.bias"])
    assert int(logits.argmax()) == shown


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        *(("JPEG", "RGB", {"orientation": k}) for k in range(1, 9)),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {"orientation": 3}),
        ("JPEG", "RGB", {"progressive": True}),
        ("MPO", "RGB", {"orientation": 6}),
        ("PNG", "RGB", {"orientation": 8}),
        ("PNG", "RGBA", {}),
    ],
)
@pytest.mark.parametrize("preprocess", [EfficientNetLite(), CAFFE])
def test_large_images_are_decoded_at_a_reduced_scale(preprocess, form, mode, options, photographs):
    turned = Image.Exif()
    turned[0x0112] = options.get("orientation", 1)
    with Image.open(photographs[0]) as opened:
        # Sides that the scale does not divide.
        large = opened.resize((3905, 2605)).convert(mode)
    buffer = io.BytesIO()
    large.save(buffer, form, quality=92, exif=turned, progressive="progressive" in options)
    content = ImageContent(buffer.getvalue())
    assert 2 * 256 <= min(content.reduced(640).image.size) < 4 * 256
    whole = preprocess.view(read_image(buffer)).float()
    # A shift by half a pixel of the view would be a difference of 6.
    assert (view_of(preprocess, content).float() - whole).abs().mean() < 1


def test_features_of_a_large_image_hardly_change_and_own_transforms_see_all_of_it(photographs):
    seen = []

    def whole(image):
        seen.append(image.size)
        lite = EfficientNetLite()
        return lite.normalize(lite.view(image)[None])[0]

    with Image.open(photographs[0]) as opened:
        large = opened.resize((3905, 2605))
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=92)
    reduced = ImageFeatures().fit_transform([buffer, large])
    full = ImageFeatures(preprocessing=whole).fit_transform([buffer, large])
    assert seen[-2:] == [(3905, 2605)] * 2
    norms = np.linalg.norm(reduced, axis=1) * np.linalg.norm(full, axis=1)
    assert ((reduced * full).sum(axis=1) / norms).min() > 0.998


@pytest.mark.parametrize("preprocess", [EfficientNetLite(), CAFFE])
@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (20_000, 2), (3, 100)])
def test_extreme_shapes_are_read_without_filling_the_memory(preprocess, size):
    # Scaled by the shorter side, 1 x 30,000 would be 256 x 7,680,000: 5.9 GB.
    view = preprocess.view(Image.new("RGB", size, "white"))
    assert view.shape == (3, 224, 224)
    assert int(view.min()) == 255


def test_nothing_but_the_far_ends_of_a_thread_is_lost():
    # The central crop of a picture 20 times as long as it is high is what it was.
    ramp = np.linspace(0, 255, 2000, dtype=np.uint8)
    picture = Image.fromarray(np.repeat(np.tile(ramp, (100, 1))[:, :, None], 3, axis=2))
    standard = Standard(256, 224, mean=(0.0,) * 3, std=(1.0,) * 3)
    whole = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(picture)
    found = standard.view(picture).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(found - np.asarray(whole, dtype=int)).max() <= 1
