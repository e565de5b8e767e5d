import json

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from sklearn_memorability import ImageFeatures
from sklearn_memorability.persistence import ModelCard, load, read_facts, save
from sklearn_memorability.pipelines import mlp_regressor


def test_a_folder_holds_the_model_its_card_and_its_configuration(small, rows, tmp_path):
    folder = tmp_path / "new" / "folder"
    save(small, folder, card=ModelCard(title="Small"))
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "model.skops"}
    np.testing.assert_array_equal(load(folder).predict(rows[0]), small.predict(rows[0]))
    config = json.loads((folder / "config.json").read_text())
    assert config["sklearn"]["model"]["file"] == "model.skops"
    assert config["sklearn"]["model_format"] == "skops"
    assert config["sklearn-memorability"] == read_facts(folder)


def test_the_hub_reads_the_cards_header(small, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    odd = "A: title # with 'quotes' \"and\" — more\n---"
    card = ModelCard(
        title=odd,
        license="cc-by-4.0",
        tags=["a: b", "image-memorability"],
        data="THINGS",
        measured_on="held-out THINGS",
        metrics={"spearman": np.float32(0.5), "r2": 0},
        description="What it does.",
        limits="What it can't.",
    )
    save(small, tmp_path, card=card)
    read = hub.ModelCard.load(tmp_path / "README.md")
    assert read.data.library_name == "sklearn-memorability"
    assert read.data.license == "cc-by-4.0"
    assert read.data.tags == ["image-memorability", "scikit-learn", "skops", "a: b"]
    assert read.data.model_name == odd
    values = {r.metric_type: r.metric_value for r in read.data.eval_results}
    assert values == {"spearman": 0.5, "r2": 0}
    assert {r.dataset_name for r in read.data.eval_results} == {"held-out THINGS"}
    for told in ("What it does.", "What it can't.", "Rows: 120.", "an array of 6 columns"):
        assert told in read.text


def test_weights_of_ones_own_can_go_with_it(tmp_path, squeezenet_weights):
    images = load_sample_images().images
    features = ImageFeatures("squeezenet1_1", weights=squeezenet_weights, device="cpu")
    settings = {"n_classes": 2, "max_epochs": 1, "branch_sizes": (2,), "device": "cpu"}
    model = mlp_regressor(features, **settings).fit(images, [0.6, 0.8])
    card = ModelCard(title="Images")
    save(model, tmp_path, card=card, weights=[squeezenet_weights])
    np.testing.assert_array_equal(load(tmp_path).predict(images), model.predict(images))
    text = (tmp_path / "README.md").read_text()
    assert "`X` is images" in text
    assert squeezenet_weights.name in text
    (tmp_path / "other.pth").write_bytes(b"other")
    with pytest.raises(ValueError, match="does not need"):
        save(model, tmp_path, card=card, weights=[tmp_path / "other.pth"])


def test_a_card_needs_a_title_and_numbers(small, tmp_path):
    with pytest.raises(ValueError, match="title"):
        ModelCard(title=" ")
    with pytest.raises(ValueError, match="spearman"):
        ModelCard(title="a", metrics={"spearman": "high"})
    with pytest.raises(TypeError, match="tags"):
        ModelCard(title="a", tags="one")
    with pytest.raises(TypeError, match="card"):
        save(small, tmp_path, card="a card")
