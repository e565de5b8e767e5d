"""Several layers side by side, pooled by mean and standard deviation."""

import pickle

import numpy as np
import pytest
import timm
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torchvision.models import get_model, get_model_weights

from sklearn_memorability.features import FeatureCache, ImageFeatures
from sklearn_memorability.features._backbones import BACKBONES
from sklearn_memorability.features._families import get_backbone
from sklearn_memorability.features._weights import read_state_dict


def _pooled(maps):
    maps = maps.numpy().reshape(*maps.shape[:2], -1)
    return np.hstack([maps.mean(axis=2), maps.std(axis=2)])


def _seeded(build, path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build().eval()
    torch.save(network.state_dict(), path)
    return network


def test_stages_of_efficientnet_lite(photographs):
    # Independent: the package's own whole network, block by block.
    lite0 = BACKBONES["efficientnet_lite0"]
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(read_state_dict(lite0.load.weights.path("")))
    network.eval()
    expected = []
    with torch.inference_mode():
        views = torch.stack([lite0.preprocess.view(Image.open(p)) for p in photographs])
        x = network._swish(network._bn0(network._conv_stem(lite0.preprocess.normalize(views))))
        for i, block in enumerate(network._blocks):
            x = block(x)
            if i in (12, 14, 15):
                expected.append(_pooled(x))
        x = network._swish(network._bn1(network._conv_head(x)))
        expected = np.hstack([*expected, x.mean(dim=(2, 3)).numpy()])
    transformer = ImageFeatures(layer="stages").fit(photographs)
    found = transformer.transform(photographs)
    assert found.shape == (2, 2688)
    assert len(transformer.get_feature_names_out()) == 2688
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(transformer)).transform(photographs), found
    )
    names = ("pool", "_blocks.14")
    again = transformer.set_params(layer=names).fit(photographs).transform(photographs)
    np.testing.assert_array_equal(again, np.hstack([found[:, -1280:], found[:, 384:768]]))
    rough = transformer.set_params(precision="bfloat16").fit_transform(photographs)
    assert 0 < np.abs(rough - again).max() < 0.1 * np.abs(again).max()


def test_stages_of_a_resnet_are_its_last_three(photographs, tmp_path):
    network = _seeded(lambda: get_model("resnet18", weights=None), tmp_path / "resnet.pth")
    preset = get_model_weights("resnet18").DEFAULT.transforms()
    expected = {}
    with torch.inference_mode():
        x = torch.stack([preset(Image.open(path)) for path in photographs])
        for name, part in list(network.named_children())[:-2]:
            x = expected[name] = part(x)
    expected = {name: _pooled(maps) for name, maps in expected.items()}
    transformer = ImageFeatures("resnet18", weights=tmp_path / "resnet.pth", layer="stages")
    found = transformer.fit_transform(photographs)
    # The default layer is the mean of the last one.
    expected_stages = np.hstack([expected[f"layer{i}"] for i in (2, 3, 4)])
    np.testing.assert_allclose(found, expected_stages, atol=1e-3)
    # A convolution is read before its norm, which the default way folds into it.
    found = transformer.set_params(layer=["conv1", "penultimate"]).fit_transform(photographs)
    np.testing.assert_allclose(found[:, :128], expected["conv1"], atol=1e-4)
    np.testing.assert_allclose(found[:, 128:], expected["layer4"][:, :512], atol=1e-3)


def test_stages_of_a_transformer_are_blocks_pooled_over_patches(photographs, tmp_path):
    build = lambda: timm.create_model("test_vit", pretrained=False)  # noqa: E731
    network = _seeded(build, tmp_path / "vit.pth")
    name = "timm:test_vit.r160_in1k"
    views = torch.stack([get_backbone(name).preprocess.view(Image.open(p)) for p in photographs])
    with torch.inference_mode():
        maps = network.forward_intermediates(views, [2, 3, 5], intermediates_only=True)
        last = network.forward_head(network.forward_features(views), pre_logits=True)
    expected = np.hstack([*map(_pooled, maps), last.numpy()])
    transformer = ImageFeatures(name, weights=tmp_path / "vit.pth", layer="stages")
    np.testing.assert_allclose(transformer.fit_transform(photographs), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("vgg16", ["features.22", "features.29", "avgpool", "fc7"]),
        ("shufflenet_v2_x0_5", ["stage2", "stage3", "conv5"]),
        ("clip:tiny-clip", [f"tower.transformer.resblocks.{i}" for i in (0, 1)] + ["embedding"]),
    ],
)
def test_every_family_has_stages(name, stages, photographs, tmp_path, tiny_clip, vgg16_weights):
    weights = {"vgg16": vgg16_weights, "clip:tiny-clip": tiny_clip[1]}.get(name)
    if weights is None:
        weights = tmp_path / "weights.pth"
        _seeded(lambda: get_model(name, weights=None), weights)
    cache = FeatureCache(tmp_path / "cache")
    transformer = ImageFeatures(name, weights=weights, cache=cache, layer="stages")
    found = transformer.fit_transform(photographs)
    assert np.isfinite(found).all()
    # Kept by what the choice stands for, whichever way it is asked for.
    assert [kept.layer for kept in cache.contents()] == [",".join(stages)]
    transformer.set_params(layer=stages).fit_transform(photographs)
    assert len(cache) == 2
    transformer.set_params(layer=None).fit_transform(photographs)
    assert len(cache) == 4
    assert len({kept.weights for kept in cache.contents()}) == 1  # the network is the same


def test_threads_share_a_network_of_several_layers(photographs):
    images = [np.rot90(np.asarray(Image.open(p)), i) for p in photographs for i in range(4)]
    transformer = ImageFeatures(layer=["_blocks.2", "pool"], device="cpu").fit(images)
    expected = transformer.transform(images)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = transformer.set_params(batch_size=1).transform(images)
    finally:
        torch.set_num_threads(n_threads)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("layer", ["fc7", ["pool", "fc7"], ("stages", ""), []])
def test_an_unknown_layer_is_an_error_that_lists_those_there_are(layer, photographs):
    with pytest.raises(ValueError, match=r"(?s)layer='(fc7|)' .* 'pool', 'stages'.*'_blocks\.15'"):
        ImageFeatures(layer=layer).fit(photographs)
