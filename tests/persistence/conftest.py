"""Models to be saved, fitted once; files to be tampered with."""

import hashlib
import json
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor


@pytest.fixture(scope="session")
def rows():
    """120 rows of 6 features, with scores in (0, 1)."""
    chance = np.random.default_rng(0)
    X = chance.normal(size=(120, 6)).astype(np.float32)
    return X, 1 / (1 + np.exp(-X[:, 0] - 0.3 * chance.normal(size=120)))


@pytest.fixture(scope="session")
def recommended(rows):
    """Members of their own, soft targets, a linear path: all that the regressor has."""
    model = recommended_regressor(
        random_state=0, min_steps=10, max_epochs=1, branch_sizes=(8,), device="cpu"
    )
    return model.fit(*rows)


@pytest.fixture(scope="session")
def small(rows):
    """The smallest of the paper's models."""
    model = mlp_regressor(
        n_classes=2, max_epochs=1, branch_sizes=(2,), hidden_layer_sizes=(2,), random_state=0
    )
    return model.set_params(model__device="cpu").fit(*rows)


@pytest.fixture(scope="session")
def search(small, rows):
    """A search around it."""
    return GridSearchCV(small, {"model__dropout": [0.0, 0.5]}, cv=2).fit(*rows)


@pytest.fixture(scope="session")
def squeezenet_weights(tmp_path_factory):
    """A file of a small image network's weights, drawn with a seed."""
    from torchvision.models import squeezenet1_1

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = squeezenet1_1(weights=None)
    path = tmp_path_factory.mktemp("weights") / "squeezenet-seeded.pth"
    torch.save(network.state_dict(), path)
    return path


class Bomb:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


@pytest.fixture
def hostile(tmp_path):
    """Where files are, a file that no load may make, and its pickle."""
    canary = tmp_path / "canary"
    return SimpleNamespace(
        canary=canary,
        pickle=pickle.dumps(Bomb(canary)),
        path=tmp_path / "hostile.skops",
    )


@pytest.fixture(scope="session")
def members_of(tmp_path_factory):
    """From a model to the members of its file."""
    folder = tmp_path_factory.mktemp("saved")

    def read(model):
        path = folder / "model.skops"
        save(model, path)
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    return read


@pytest.fixture(scope="session")
def write_members():
    """Write members as an attacker would, with hashes that are right."""

    def write(path, members, hashes=True, **settings):
        members = dict(members)
        if hashes:
            facts = json.loads(members["facts.json"])
            facts["members"] = {
                name: hashlib.sha256(content).hexdigest()
                for name, content in members.items()
                if name != "facts.json"
            }
            members["facts.json"] = json.dumps(facts).encode()
        with zipfile.ZipFile(path, "w", **settings) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write
