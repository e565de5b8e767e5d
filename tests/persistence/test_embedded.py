"""The model that comes with the package."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from sklearn_memorability.inspection import class_proba, quantiles
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.persistence import load, read_facts

PAGE = Path(__file__).parents[2] / "docs" / "ready_models.md"


@pytest.fixture(scope="module")
def model():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load("embedded", device="cpu")


def test_it_scores_images_offline(model, photographs):
    scores = model.predict(photographs)
    assert scores.shape == (2,)
    assert ((scores > 0.2) & (scores < 1)).all()
    np.testing.assert_allclose(class_proba(model, photographs).sum(axis=1), 1, atol=1e-6)
    low, high = quantiles(model, photographs, (0.05, 0.95)).T
    assert ((low < scores) & (scores < high)).all()


def test_it_knows_the_sets_that_it_was_fitted_to(model, things_images):
    test_data = things_images.parent
    for folder in ("lnsim", "memcat_images", "things_images"):
        table = np.genfromtxt(
            test_data / folder / "scores.csv", delimiter=",", names=True, dtype=None, encoding=None
        )[:60]
        images = [test_data / folder / "images" / name for name in table["image_name"]]
        # What it does on images that it has not seen is in its card.
        assert spearman_score(table["memorability"], model.predict(images)) > 0.3


def test_the_page_tells_what_the_file_says():
    facts, page = read_facts("embedded"), PAGE.read_text(encoding="utf-8")
    assert all(network["backbone"] in page for network in facts["image_networks"])
    for name, value in facts["measured"].items():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| {name}"))
        assert f"{value:.2f}".removeprefix("0") in row
