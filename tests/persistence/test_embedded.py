"""The model that comes with the package."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.inspection import class_proba
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
    assert ((scores > 0.7) & (scores < 0.95)).all()
    np.testing.assert_allclose(class_proba(model, photographs).sum(axis=1), 1, atol=1e-6)


def test_its_features_are_those_it_was_fitted_to(model):
    data = load_things_photographs()
    predicted = model[1:].predict(data.data)
    # It has seen these; what it does on others is in its card.
    assert spearman_score(data.target, predicted) > 0.3
    assert ((predicted > 0.75) & (predicted < 0.9)).mean() > 0.95


def test_a_real_image_gets_the_score_of_its_bundled_features(model, things_images):
    data = load_things_photographs()
    paths = [things_images / "images" / name for name in data.image_names[:5]]
    np.testing.assert_allclose(model.predict(paths), model[1:].predict(data.data[:5]), atol=2e-3)


def test_the_page_tells_what_the_file_says():
    facts, page = read_facts("embedded"), PAGE.read_text(encoding="utf-8")
    assert all(network["backbone"] in page for network in facts["image_networks"])
    for name, value in facts.get("measured", {}).items():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| {name}"))
        assert f"{value:.2f}".removeprefix("0") in row
