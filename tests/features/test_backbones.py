import warnings

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torchvision import transforms
from torchvision.models import get_model_weights

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._backbones import BACKBONES, own_weights


@pytest.fixture
def lite0():
    return BACKBONES["efficientnet_lite0"]


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_vgg_weights_are_torchvisions(name):
    expected = get_model_weights(name).IMAGENET1K_V1.url
    assert BACKBONES[name].load.weights.url == expected


def test_weights_of_another_network_are_refused(lite0, tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"(?s)other\.pth' do not fit the network 'eff"):
        lite0.load("pool", tmp_path / "other.pth")


def test_vitmem_is_its_packages_network(photographs, tmp_path):
    # As in the package vitmem: its transform, its network, its names of weights.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vit = timm.create_model("vit_base_patch16_224_miil", pretrained=False, num_classes=1)
    torch.nn.init.normal_(vit.head.weight, generator=torch.Generator().manual_seed(0))
    weights = tmp_path / "vitmem.pth"
    torch.save({f"vit.{name}": value for name, value in vit.state_dict().items()}, weights)
    transform = transforms.Compose(
        [transforms.Resize((256, 256)), transforms.CenterCrop(224), transforms.ToTensor()]
    )
    with torch.inference_mode():
        expected = vit.eval()(torch.stack([transform(Image.open(path)) for path in photographs]))
    found = ImageFeatures("vitmem", weights=weights).fit_transform(photographs)
    assert found.shape == (2, 768)
    own = own_weights("vitmem", weights)
    found = found @ own["head.weight"].numpy().T + own["head.bias"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert BACKBONES["vitmem"].load.weights.url.endswith("_v1-f580d24a.pth")


def test_resmem_is_its_package(photographs):
    resmem = pytest.importorskip("resmem")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchvision, on the package's ways
        whole = resmem.ResMem(pretrained=True).eval()
    with torch.inference_mode():
        views = torch.stack([resmem.transformer(Image.open(path)) for path in photographs])
        expected = whole(views).numpy()
    found = ImageFeatures("resmem").fit_transform(photographs)
    assert found.shape == (2, 256)
    own = own_weights("resmem")
    found = found @ own["fc12.weight"].numpy().T + own["fc12.bias"].numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), expected, atol=1e-4)
