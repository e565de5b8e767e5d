"""What the cache knows features by: never the same for two that differ."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import transforms

from sklearn_memorability.features import FeatureCache, ImageFeatures
from sklearn_memorability.features._identity import hash_of_weights, identity
from sklearn_memorability.features._preprocessing import CAFFE, EfficientNetLite, Transform

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


def _identity(module, preprocess, own=True):
    return identity("own", "output", module, preprocess, "float32", own)


def _seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def test_everything_that_changes_features_changes_the_identity(own):
    base = _seeded(own.Own)
    other_weights = _seeded(own.Own)
    with torch.no_grad():
        other_weights.layer.bias[0] += 1e-6
    found = {
        _identity(base, Transform(own.small)),
        _identity(other_weights, Transform(own.small)),
        _identity(_seeded(lambda: own.Own(factor=2.0)), Transform(own.small)),
        _identity(nn.Sequential(base, nn.ReLU()), Transform(own.small)),
        _identity(base, Transform(own.Resized(16))),
        _identity(base, Transform(own.Resized(17))),
        _identity(base, Transform(own.make(16))),
        _identity(base, Transform(own.make(17))),
        _identity(base, Transform(functools.partial(own.small))),
        _identity(base, Transform(transforms.Compose([transforms.Resize(9), own.small]))),
        _identity(base, Transform(transforms.Compose([transforms.Resize(8), own.small]))),
        _identity(base, CAFFE),
        _identity(base, EfficientNetLite()),
        identity("own", "output", base, CAFFE, "bfloat16", True),
        identity("own", "other", base, CAFFE, "float32", True),
        identity("another", "output", base, CAFFE, "float32", True),
    }
    assert len(found) == 16


def test_the_same_network_made_again_has_the_same_identity(own):
    assert _identity(_seeded(own.Own), Transform(own.small)) == _identity(
        _seeded(own.Own), Transform(own.small)
    )
    one, two = own.Resized(16), own.Resized(16)
    assert _identity(_seeded(own.Own), Transform(one)) == _identity(
        _seeded(own.Own), Transform(two)
    )


def test_edited_code_is_another_network(own, tmp_path):
    before = _identity(_seeded(own.Own), Transform(own.small))
    (tmp_path / "users_own.py").write_text(MODULE.replace("FACTOR = 1.0", "FACTOR = 2.0"))
    assert _identity(_seeded(own.Own), Transform(own.small)) != before


def test_what_cannot_be_known_is_refused(own):
    class Opaque:
        pass

    hidden = own.Resized(16)
    hidden.side = Opaque()
    with pytest.raises(ValueError, match="__repr__"):
        _identity(nn.Flatten(), Transform(hidden))
    namespace = {"__name__": "nowhere"}
    exec("def unseen(picture): return picture", namespace)
    with pytest.raises(ValueError, match="Define it in a file"):
        _identity(nn.Flatten(), Transform(namespace["unseen"]))


def test_weights_are_hashed_by_name_shape_type_and_value():
    layer = nn.Linear(2, 3)
    same = nn.Linear(2, 3)
    same.load_state_dict(layer.state_dict())
    assert hash_of_weights(layer) == hash_of_weights(same)
    assert hash_of_weights(layer.to(torch.float64)) != hash_of_weights(same)
    assert hash_of_weights(nn.Sequential(same)) != hash_of_weights(same)


def test_a_network_of_ones_own_is_found_again_by_another_process(own, tmp_path, photographs):
    network = _seeded(own.Own)
    torch.save(network.state_dict(), tmp_path / "own.pth")
    transformer = ImageFeatures(
        network, preprocessing=own.small, cache=tmp_path / "cache", weights=tmp_path / "own.pth"
    )
    expected = transformer.fit_transform(photographs)
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import users_own
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._networks import Network
def refuse(*_): raise AssertionError("was computed")
transformer = ImageFeatures(users_own.Own(), preprocessing=users_own.small,
    cache={str(tmp_path / "cache")!r}, weights={str(tmp_path / "own.pth")!r})
names = {[str(path) for path in photographs]!r}
transformer.fit(names)
Network.features = refuse
print(transformer.transform(names).sum(dtype=float))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(expected.sum(dtype=float))
    assert len(FeatureCache(tmp_path / "cache")) == 2
    assert np.isfinite(expected).all()
