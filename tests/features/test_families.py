"""Networks of torchvision, timm, open_clip, and one's own; no weights are downloaded."""

import sys
import warnings

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision import transforms
from torchvision.models import get_model, get_model_weights, list_models

from sklearn_memorability.features import ImageFeatures, VGGFeatures
from sklearn_memorability.features._families import get_backbone


def _seeded(build):
    """Build a network from a seed, with running statistics that are not all 0 and 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build()
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5)
    return network.eval()


def _saved(network, path):
    torch.save(network.state_dict(), path)
    return path


# Rows of the registry, tested as such; and giants of a family that is there in small.
LEFT_OUT = {"vgg16", "vgg19", "regnet_x_32gf", "regnet_y_32gf", "regnet_y_128gf"}


@pytest.mark.parametrize(
    "name", [name for name in list_models(module=torchvision.models) if name not in LEFT_OUT]
)
def test_every_torchvision_classifier_is_known_by_its_name(name):
    backbone = get_backbone(name)
    assert backbone.layers["penultimate"] >= 400
    assert backbone.load.weights.url == get_model_weights(name).DEFAULT.url
    # The file's name carries the digits that a download is checked against.
    digits = backbone.load.weights.url.rpartition("-")[2].removesuffix(".pth")
    assert len(digits) >= 8
    int(digits, 16)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("resnet18", "fc"),
        ("mobilenet_v3_small", "classifier.3"),
        ("squeezenet1_1", "classifier.1"),
        ("shufflenet_v2_x0_5", "fc"),
        ("mnasnet0_5", "classifier.1"),
    ],
)
def test_torchvision_is_read_in_front_of_its_last_layer(name, head, photographs, tmp_path):
    # Independent: a hook on the input of the last layer of torchvision's own network.
    network = _seeded(lambda: get_model(name, weights=None))
    weights = _saved(network, tmp_path / "weights.pth")
    inputs = []
    network.get_submodule(head).register_forward_hook(lambda _, given, __: inputs.append(given[0]))
    preset = get_model_weights(name).DEFAULT.transforms()
    with torch.inference_mode():
        network(torch.stack([preset(Image.open(path)) for path in photographs]))
    expected = inputs[0]
    if expected.ndim == 4:  # the SqueezeNets classify every position, and pool afterwards
        expected = expected.relu().mean(dim=(2, 3))
    found = ImageFeatures(name, weights=weights).fit_transform(photographs)
    scale = float(expected.abs().max())
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4 * scale)


def test_the_older_names_in_densenets_files(tmp_path):
    network = _seeded(lambda: get_model("densenet121", weights=None))
    old = {}
    for name, value in network.state_dict().items():
        parts = name.split(".")
        if len(parts) > 3 and parts[2].startswith("denselayer"):
            parts[3] = f"{parts[3][:-1]}.{parts[3][-1]}"  # norm1 was norm.1
        old[".".join(parts)] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    loaded = get_backbone("densenet121").load("penultimate", tmp_path / "old.pth")
    ours, theirs = loaded.state_dict(), network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_vgg_layers_and_depths(vgg16_weights, photographs):
    pooled = VGGFeatures(layer="pool", weights=vgg16_weights).fit_transform(photographs)
    assert pooled.shape == (2, 512)
    network = get_model("vgg16", weights=None)
    network.load_state_dict(torch.load(vgg16_weights, weights_only=True))
    views = get_backbone("vgg16").preprocess
    with torch.inference_mode():
        batch = torch.stack([views.view(Image.open(path)) for path in photographs])
        expected = network.features(views.normalize(batch)).mean(dim=(2, 3))
    np.testing.assert_allclose(pooled, expected, atol=1e-4 * float(expected.abs().max()))
    assert get_backbone("vgg19").load.build("fc6").classifier[0].out_features == 4096
    n_convolutions = sum(
        isinstance(part, nn.Conv2d) for part in get_backbone("vgg19").load.build("pool").modules()
    )
    assert n_convolutions == 16  # and three fully connected layers


def test_vgg_in_caffes_convention(vgg16_weights, photographs):
    network = get_model("vgg16", weights=None)
    network.load_state_dict(torch.load(vgg16_weights, weights_only=True))
    network.eval()
    small = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    pictures = [np.asarray(small(Image.open(path)), dtype=np.float32) for path in photographs]
    means = np.float32([103.939, 116.779, 123.68])
    batch = np.stack([picture[:, :, ::-1] - means for picture in pictures]).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(batch))
        expected = network.avgpool(network.features(batch)).flatten(1)
        expected = network.classifier[:5](expected).numpy()
    found = VGGFeatures(weights=vgg16_weights, preprocessing="caffe").fit_transform(photographs)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_timm_is_read_in_front_of_its_classifier(photographs, tmp_path):
    name = "test_resnet.r160_in1k"
    network = _seeded(lambda: timm.create_model(name, pretrained=False))
    for suffix, save in ((".pth", _saved), (".safetensors", None)):
        path = tmp_path / f"weights{suffix}"
        save(network, path) if save else save_file(network.state_dict(), path)
        transformer = ImageFeatures(f"timm:{name}", weights=path).fit(photographs)
        found = transformer.transform(photographs)
        config = timm.data.resolve_data_config({}, model=network)
        transform = timm.data.create_transform(**config, is_training=False)
        with torch.inference_mode():
            batch = torch.stack([transform(Image.open(p).convert("RGB")) for p in photographs])
            expected = network.forward_head(network.forward_features(batch), pre_logits=True)
        np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
        assert len(transformer.get_feature_names_out()) == expected.shape[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", r"(?s)'resnet'.*did you mean 'resnet50'.*'vgg19'"),
        ("abacus", "'abacus' is not known"),
        ("timm:resnet_fifty", "not known to timm"),
        ("clip:ViT-B-33/openai", "did you mean 'ViT-B-32'"),
        ("clip:ViT-B-32/nobody", "'laion2b_s34b_b79k'"),
        ("clip:ViT-B-32", r"names no pretrained weights.*laion2b_s34b_b79k"),
    ],
)
def test_unknown_names_say_what_there_is(name, message, photographs):
    with pytest.raises(ValueError, match=message):
        ImageFeatures(name).fit(photographs)


@pytest.mark.parametrize("name", ["timm:resnet18.a1_in1k", "clip:ViT-B-32/laion2b_s34b_b79k"])
def test_weights_that_cannot_be_fetched_say_the_way_out(name, photographs, monkeypatch, tmp_path):
    # An address of this machine at which nobody answers.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, on what they can't reach
        with pytest.raises(OSError, match="could not be") as caught:
            ImageFeatures(name).fit(photographs)
    wanted = "timm/resnet18.a1_in1k" if name.startswith("timm") else "laion/CLIP-ViT-B-32"
    for part in (wanted, "weights=<file>", "works offline"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("timm", "timm:resnet18", r"pip install 'sklearn-memorability\[timm\]'"),
        ("timm", "vitmem", r"pip install 'sklearn-memorability\[timm\]'"),
        ("open_clip", "clip:ViT-B-32", r"pip install 'sklearn-memorability\[clip\]'"),
        ("resmem", "resmem", r"pip install resmem .*non-commercial"),
    ],
)
def test_a_missing_library_says_how_to_get_it(module, name, message, photographs, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message):
        ImageFeatures(name).fit(photographs)


class Own(nn.Module):
    """A network such as a user may have."""

    def __init__(self, width=5, factor=1.0):
        super().__init__()
        self.layer = nn.Conv2d(3, width, 7, stride=4)
        self.normalise = nn.BatchNorm2d(width)
        self.factor = factor

    def forward(self, x):
        return self.factor * self.normalise(self.layer(x)).mean(dim=(2, 3))


SQUARE = transforms.Compose(
    [transforms.Resize(40), transforms.CenterCrop(32), transforms.ToTensor()]
)


def test_a_network_of_ones_own(photographs):
    network = _seeded(Own)
    network.train()
    transformer = ImageFeatures(network, preprocessing=SQUARE).fit(photographs)
    found = transformer.transform(photographs)
    assert network.training  # as it was given
    network.eval()
    with torch.inference_mode():
        expected = network(torch.stack([SQUARE(Image.open(path)) for path in photographs]))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # What is done to the network afterwards is not what was fitted.
    with torch.no_grad():
        network.layer.weight.zero_()
    np.testing.assert_allclose(transformer.transform(photographs), found, atol=1e-6)
    refitted = transformer.fit(photographs).transform(photographs)
    assert not np.allclose(refitted, found)


def test_a_network_of_ones_own_with_weights_from_a_file(photographs, tmp_path):
    weights = _saved(_seeded(Own), tmp_path / "own.pth")
    with torch.random.fork_rng():
        other = Own()
    found = ImageFeatures(other, preprocessing=SQUARE, weights=weights).fit_transform(photographs)
    expected = ImageFeatures(_seeded(Own), preprocessing=SQUARE).fit_transform(photographs)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("network", "preprocessing", "message"),
    [
        (nn.Conv2d(3, 4, 3), None, "preprocessing= must say"),
        (nn.Conv2d(3, 4, 3), SQUARE, "Pool over positions"),
        (nn.Conv2d(1, 4, 3), SQUARE, "can't take what preprocessing gives"),
        (nn.Flatten(0), SQUARE, r"gives \(3072,\) for one image"),
    ],
)
def test_networks_that_give_no_features_are_refused(network, preprocessing, message, photographs):
    with pytest.raises(ValueError, match=message):
        ImageFeatures(network, preprocessing=preprocessing).fit(photographs)
