"""What the tests of the command share: running it, a small model, images with scores."""

import csv
import io
import shutil
import sys
from types import SimpleNamespace

import pytest

from sklearn_memorability.cli import main
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import mlp_regressor


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command in this process; what it returns has code, out, err and rows."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, rows=rows_of(out))

    return run


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="session")
def model(photographs):
    """A model of two classes, fitted to two images."""
    pipeline = mlp_regressor(ImageFeatures(), n_classes=2, max_epochs=1, random_state=0)
    return pipeline.fit([*photographs, *photographs], [0.6, 0.8, 0.62, 0.78])


@pytest.fixture(scope="session")
def model_file(model, tmp_path_factory):
    """That model in a file."""
    path = tmp_path_factory.mktemp("models") / "model.skops"
    save(model, path)
    return path


@pytest.fixture
def folder(photographs, tmp_path, monkeypatch):
    """The current folder, with two images."""
    monkeypatch.chdir(tmp_path)
    for path in photographs:
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def own_set(things_images, tmp_path_factory):
    """24 real images of 12 objects, their table, and a cache of their features."""
    folder = tmp_path_factory.mktemp("own")
    lines = (things_images / "scores.csv").read_text(encoding="utf-8").splitlines()
    by_object = {}
    for line in lines[1:]:
        by_object.setdefault(line.split(",")[1], []).append(line)
    chosen = [line for rows in by_object.values() if len(rows) > 1 for line in rows[:2]][:24]
    (folder / "images").mkdir()
    for line in chosen:
        shutil.copy(things_images / "images" / line.split(",")[0], folder / "images")
    (folder / "scores.csv").write_text("\n".join(["image,object,score", *chosen, ""]), "utf-8")
    return folder
