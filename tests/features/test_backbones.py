import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torchvision.models import VGG16_Weights

from sklearn_memorability.features._backbones import BACKBONES, get_backbone
from sklearn_memorability.features._weights import read_state_dict


@pytest.fixture
def lite0():
    return BACKBONES["efficientnet_lite0"]


def test_vgg16_weights_are_torchvisions():
    assert BACKBONES["vgg16"].weights.url == VGG16_Weights.IMAGENET1K_V1.url


def test_efficientnet_preprocessing_is_the_one_of_its_training(lite0, photographs):
    # china.jpg has 640 x 427 pixels; 7/8 of the shorter side are 373.6. The central
    # square is scaled to 224 pixels, and (rgb - 127) / 128 taken.
    with Image.open(photographs[0]) as picture:
        square = np.asarray(picture)[27 : 27 + 373, 134 : 134 + 373]
        scaled = Image.fromarray(square).resize((224, 224), Image.Resampling.BICUBIC)
        pixels = np.asarray(scaled, dtype=float)
        found = lite0.preprocess(picture)
    assert found.shape == (3, 224, 224)
    np.testing.assert_allclose(found.permute(1, 2, 0), (pixels - 127) / 128, atol=1e-6)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_preprocessing_survives_extreme_shapes(name):
    for size in ((1, 1), (1, 3000), (2000, 2)):
        tensor = BACKBONES[name].preprocess(Image.new("RGB", size))
        assert tensor.shape == (3, 224, 224)
        assert torch.isfinite(tensor).all()


def test_efficientnet_is_its_own_network_below_the_last_layer(lite0, photographs):
    # Independent: the package's whole network with the package's own loading, whose
    # last layer, applied to our features, must give its outputs.
    path = lite0.weights.path("efficientnet_lite0")
    whole = EfficientNet.from_name("efficientnet-lite0")
    whole.load_state_dict(read_state_dict(path))
    whole.eval()
    with torch.inference_mode():
        batch = torch.stack([lite0.preprocess(Image.open(path)) for path in photographs])
        features = lite0.load("pool", None)(batch)
        expected = whole(batch)
        found = torch.nn.functional.linear(features, whole._fc.weight, whole._fc.bias)
    assert features.shape == (2, 1280)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_efficientnet_knows_what_it_sees(lite0, photographs):
    # scikit-learn's china.jpg shows a pavilion of the Summer Palace: "palace" is class
    # 698. With pixels in [0, 1], a common mistake, "bell cote" comes first.
    state = read_state_dict(lite0.weights.path("efficientnet_lite0"))
    with torch.inference_mode():
        features = lite0.load("pool", None)(lite0.preprocess(Image.open(photographs[0]))[None])
        logits = torch.nn.functional.linear(features, state["_fc.weight"], state["_fc.bias"])
    assert int(logits.argmax()) == 698


def test_loading_draws_no_random_numbers(lite0):
    before = torch.get_rng_state()
    lite0.load("pool", None)
    assert torch.equal(torch.get_rng_state(), before)


def test_loaded_networks_are_frozen_and_evaluate(lite0):
    network = lite0.load("pool", None)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_weights_of_another_network_are_refused(lite0, tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"(?s)other\.pth' do not fit the network 'eff"):
        lite0.load("pool", tmp_path / "other.pth")


def test_unknown_names_are_listed():
    with pytest.raises(ValueError, match=r"'resnet'.*\['efficientnet_lite0', 'vgg16'\]"):
        get_backbone("resnet")
    with pytest.raises(ValueError, match=r"'fc9'.*\['fc7', 'fc6'\]"):
        BACKBONES["vgg16"].layer("fc9")
