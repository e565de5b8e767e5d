import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torchvision.models import get_model_weights

from sklearn_memorability.features._backbones import BACKBONES
from sklearn_memorability.features._weights import read_state_dict


@pytest.fixture
def lite0():
    return BACKBONES["efficientnet_lite0"]


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_vgg_weights_are_torchvisions(name):
    expected = get_model_weights(name).IMAGENET1K_V1.url
    assert BACKBONES[name].load.weights.url == expected


def test_efficientnet_is_its_own_network_below_the_last_layer(lite0, photographs):
    # Independent: the package's whole network with the package's own loading, whose
    # last layer, applied to our features, must give its outputs.
    path = lite0.load.weights.path("efficientnet_lite0")
    whole = EfficientNet.from_name("efficientnet-lite0")
    whole.load_state_dict(read_state_dict(path))
    whole.eval()
    with torch.inference_mode():
        views = torch.stack([lite0.preprocess.view(Image.open(p)) for p in photographs])
        batch = lite0.preprocess.normalize(views)
        features = lite0.load("pool", None)(batch)
        expected = whole(batch)
        found = torch.nn.functional.linear(features, whole._fc.weight, whole._fc.bias)
    assert features.shape == (2, 1280)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused(lite0, tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"(?s)other\.pth' do not fit the network 'eff"):
        lite0.load("pool", tmp_path / "other.pth")
