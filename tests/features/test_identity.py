"""What the cache knows the features of a network of one's own by: never the same for two."""

import functools
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import transforms

from sklearn_memorability.features import FeatureCache, ImageFeatures

MODULE = """
import torch
from torch import nn

FACTOR = 1.0


class Own(nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor
        self.layer = nn.Conv2d(3, 4, 8)

    def forward(self, x):
        return self.factor * FACTOR * self.layer(x).mean(dim=(2, 3))


def small(picture):
    import torchvision.transforms.functional as f
    return f.pil_to_tensor(picture.resize((16, 16))).float() / 255


class Resized:
    def __init__(self, side):
        self.side = side

    def __call__(self, picture):
        import torchvision.transforms.functional as f
        return f.pil_to_tensor(picture.resize((self.side, self.side))).float() / 255


def make(side):
    def resized(picture):
        return Resized(side)(picture)
    return resized
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of a user's, fresh in every test."""
    (tmp_path / "users_own.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    module = importlib.import_module("users_own")
    yield module
    del sys.modules["users_own"]


def _seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def _n_kinds(folder, *transformers):
    """Return how many kinds of features the cache has after all these."""
    image = np.zeros((40, 40, 3), np.uint8)
    for network, preprocessing, params in transformers:
        found = ImageFeatures(network, preprocessing=preprocessing, cache=folder, **params)
        found.fit_transform([image])
    return len(FeatureCache(folder).contents())


def test_everything_that_changes_features_makes_another_kind(own, tmp_path):
    base = _seeded(own.Own)
    other_weights = _seeded(own.Own)
    with torch.no_grad():
        other_weights.layer.bias[0] += 1e-6
    kinds = [
        (base, own.small, {}),
        (base, own.small, {"precision": "bfloat16"}),
        (other_weights, own.small, {}),
        (_seeded(lambda: own.Own(factor=2.0)), own.small, {}),
        (nn.Sequential(base, nn.ReLU()), own.small, {}),
        (base, own.Resized(16), {}),
        (base, own.Resized(17), {}),
        (base, own.make(16), {}),
        (base, own.make(17), {}),
        (base, functools.partial(own.small), {}),
        (base, transforms.Compose([transforms.Resize(9), own.small]), {}),
        (base, transforms.Compose([transforms.Resize(8), own.small]), {}),
        (base, "caffe", {}),
    ]
    assert _n_kinds(tmp_path / "cache", *kinds) == 13
    same = [
        (_seeded(own.Own), own.small, {"batch_size": 1, "on_error": "nan"}),
        (_seeded(own.Own), own.Resized(16), {}),
    ]
    assert _n_kinds(tmp_path / "cache", *same) == 13
    # Edited code is another network.
    (tmp_path / "users_own.py").write_text(MODULE.replace("FACTOR = 1.0", "FACTOR = 2.0"))
    assert _n_kinds(tmp_path / "cache", (_seeded(own.Own), own.small, {})) == 14


def test_what_cannot_be_known_is_refused(own, tmp_path):
    hidden = own.Resized(16)
    hidden.other = object()
    with pytest.raises(ValueError, match="__repr__"):
        _n_kinds(tmp_path / "cache", (own.Own(), hidden, {}))
    namespace = {"__name__": "nowhere", "small": own.small}
    exec("def unseen(picture): return small(picture)", namespace)
    with pytest.raises(ValueError, match="Define it in a file"):
        _n_kinds(tmp_path / "cache", (own.Own(), namespace["unseen"], {}))
