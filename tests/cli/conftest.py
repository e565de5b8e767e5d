"""What the tests of the command share: running it, small models, some pictures."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_memorability.cli import main
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import mlp_regressor, svr_regressor


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command in this process; what it returns has code, out and err."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture(scope="session")
def model(photographs):
    """A model of two classes that knows two pictures."""
    pipeline = mlp_regressor(ImageFeatures(), n_classes=2, max_epochs=1, random_state=0)
    return pipeline.fit([*photographs, *photographs], [0.6, 0.8, 0.62, 0.78])


@pytest.fixture(scope="session")
def model_file(model, tmp_path_factory):
    """That model in a file."""
    path = tmp_path_factory.mktemp("models") / "model.skops"
    save(model, path)
    return path


@pytest.fixture(scope="session")
def features_model_file(tmp_path_factory):
    """A model that takes features, not pictures."""
    chance = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("models") / "features.skops"
    save(svr_regressor().fit(chance.normal(size=(20, 3)), chance.uniform(size=20)), path)
    return path


@pytest.fixture(scope="session")
def own_set(things_images, tmp_path_factory):
    """24 real pictures of 12 objects, their table, and a cache of their features."""
    folder = tmp_path_factory.mktemp("own")
    lines = (things_images / "scores.csv").read_text(encoding="utf-8").splitlines()
    by_object = {}
    for line in lines[1:]:
        by_object.setdefault(line.split(",")[1], []).append(line)
    chosen = [line for rows in by_object.values() if len(rows) > 1 for line in rows[:2]][:24]
    (folder / "pictures").mkdir()
    for line in chosen:
        name = line.split(",")[0]
        content = (things_images / "images" / name).read_bytes()
        (folder / "pictures" / name).write_bytes(content)
    (folder / "scores.csv").write_text("\n".join(["image,object,score", *chosen, ""]), "utf-8")
    return folder
