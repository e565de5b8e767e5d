import numpy as np
import pytest
import skimage.data
import torch
import torchvision
from PIL import Image
from torchvision import transforms
from torchvision.models import get_model_weights, list_models

from sklearn_memorability.features._backbones import BACKBONES
from sklearn_memorability.features._preprocessing import (
    CAFFE,
    EfficientNetLite,
    Standard,
    Transform,
)
from sklearn_memorability.features._weights import read_state_dict

CLASSIFIERS = list_models(module=torchvision.models)


@pytest.fixture(scope="module")
def pictures(photographs):
    """Pictures of both orientations, and of sides that don't halve evenly."""
    opened = [Image.open(path) for path in photographs]
    sizes = [(641, 431), (331, 1001), (257, 256), (120, 90), (224, 224)]
    return [*opened, *(opened[0].resize(size) for size in sizes)]


def test_every_torchvision_classifier_gets_the_input_of_torchvisions_own_transforms(pictures):
    assert len(CLASSIFIERS) >= 80
    seen = {}
    for name in CLASSIFIERS:
        preset = get_model_weights(name).DEFAULT.transforms()
        seen.setdefault(repr(preset), preset)
    assert len(seen) > 10
    for preset in seen.values():
        ours = Standard.of_preset(preset)
        for picture in pictures[:4]:
            assert torch.equal(ours.normalize(ours.views(picture, 1))[0], preset(picture))


def test_efficientnet_lite_crops_the_central_seven_eighths_and_scales_it(photographs):
    # china.jpg has 640 x 427 pixels; 7/8 of the shorter side are 373.6. The central
    # square is scaled to 224 pixels, and (rgb - 127) / 128 taken.
    lite = EfficientNetLite()
    with Image.open(photographs[0]) as picture:
        square = np.asarray(picture)[27 : 27 + 373, 134 : 134 + 373]
        scaled = Image.fromarray(square).resize((224, 224), Image.Resampling.BICUBIC)
        found = lite.normalize(lite.views(picture, 1))[0]
    pixels = np.asarray(scaled, dtype=float)
    assert found.shape == (3, 224, 224)
    np.testing.assert_allclose(found.permute(1, 2, 0), (pixels - 127) / 128, atol=1e-6)


def test_caffe_takes_blue_first_and_means_of_255_off(pictures):
    # Independent: torchvision's resize and crop, NumPy for the rest.
    for picture in pictures:
        small = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(picture)
        expected = np.asarray(small, dtype=float)[:, :, ::-1] - (103.939, 116.779, 123.68)
        found = CAFFE.normalize(CAFFE.views(picture, 1))[0]
        np.testing.assert_allclose(found.permute(1, 2, 0), expected, atol=1e-4)


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
        batch = lite.preprocess.normalize(lite.preprocess.views(picture, 1))
        features = lite.load("pool", None)(batch)
        logits = torch.nn.functional.linear(features, state["_fc.weight"], state["_fc.bias"])
    assert int(logits.argmax()) == shown


def test_five_and_ten_crops_are_torchvisions(pictures):
    standard = Standard(256, 224, mean=(0.0,) * 3, std=(1.0,) * 3)
    to_tensor = transforms.PILToTensor()
    for picture in pictures:
        resized = transforms.Resize(256)(picture)
        for n_crops, crop in ((5, transforms.FiveCrop(224)), (10, transforms.TenCrop(224))):
            expected = [to_tensor(view) for view in crop(resized)]
            found = list(standard.views(picture, n_crops))
            assert len(found) == n_crops
            # torchvision ends with the centre of each five, and mirrors the picture, not
            # the views: left is right then, and an odd centre one pixel off.
            order = [1, 2, 3, 4, 0, 7, 6, 9, 8, 5][:n_crops]
            for i, view in zip(order, expected, strict=True):
                if i != 5 or resized.width % 2 == 0:
                    assert torch.equal(found[i], view)


def test_crops_of_a_compose_move_its_central_crop(pictures):
    steps = [
        transforms.Resize(64),
        transforms.CenterCrop(48),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.25] * 3),
    ]
    own = Transform(transforms.Compose(steps))
    standard = Standard(64, 48, mean=(0.5,) * 3, std=(0.25,) * 3)
    for n_crops in (1, 5, 10):
        expected = standard.normalize(standard.views(pictures[0], n_crops))
        torch.testing.assert_close(own.normalize(own.views(pictures[0], n_crops)), expected)


@pytest.mark.parametrize(
    "transform", [transforms.ToTensor(), transforms.Compose([transforms.ToTensor()])]
)
def test_crops_need_a_central_crop_to_move(transform, pictures):
    with pytest.raises(ValueError, match="CenterCrop"):
        Transform(transform).views(pictures[0], 5)


@pytest.mark.parametrize("n_crops", [1, 5, 10])
@pytest.mark.parametrize("preprocess", [EfficientNetLite(), CAFFE])
@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (20_000, 2), (3, 100)])
def test_extreme_shapes_are_read_without_filling_the_memory(preprocess, size, n_crops):
    # Scaled by the shorter side, 1 x 30,000 would be 256 x 7,680,000: 5.9 GB.
    views = preprocess.views(Image.new("RGB", size, "white"), n_crops)
    assert views.shape == (n_crops, 3, 224, 224)
    assert int(views[0].min()) == 255


def test_nothing_but_the_far_ends_of_a_thread_is_lost():
    # The central crop of a picture 20 times as long as it is high is what it was.
    ramp = np.linspace(0, 255, 2000, dtype=np.uint8)
    picture = Image.fromarray(np.repeat(np.tile(ramp, (100, 1))[:, :, None], 3, axis=2))
    standard = Standard(256, 224, mean=(0.0,) * 3, std=(1.0,) * 3)
    whole = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(picture)
    found = standard.views(picture, 1)[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(found - np.asarray(whole, dtype=int)).max() <= 1
