import pytest
import torch
from torchvision.models import get_model_weights

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._backbones import BACKBONES


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_vgg_weights_are_torchvisions(name):
    expected = get_model_weights(name).IMAGENET1K_V1.url
    assert BACKBONES[name].load.weights.url == expected


def test_weights_of_another_network_are_refused(photographs, tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"(?s)other\.pth' do not fit the network 'eff"):
        ImageFeatures(weights=tmp_path / "other.pth").fit(photographs)
