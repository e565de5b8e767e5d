"""Our own files of spaces, and the space that comes with the package."""

import csv
import hashlib
import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.features import ImageFeatures

CAPTIONS = ["a dog runs", "the red car", "a dog and a car"]
X = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)


def fitted(**params):
    settings = {"text_encoder": "bow", "max_epochs": 1, "random_state": 0}
    return VisualSemanticEmbedding(8, **{**settings, **params}).fit(X, CAPTIONS * 10)


@pytest.mark.parametrize("encoder", ["bow", "gru", "lstm"])
@pytest.mark.parametrize("tokenizer", ["words", "words_and_marks"])
def test_a_file_gives_the_same_space(tmp_path, encoder, tokenizer):
    network = {"backbone": "vgg16", "layer": "fc6"}
    numbers = {"margin": np.float64(0.3), "batch_size": np.int64(16)}  # as a search may set them
    space = fitted(text_encoder=encoder, tokenizer=tokenizer, network=network, **numbers)
    space.save(tmp_path / "space.safetensors")
    again = VisualSemanticEmbedding.load(tmp_path / "space.safetensors")
    np.testing.assert_array_equal(again.transform(X), space.transform(X))
    np.testing.assert_array_equal(
        again.transform_captions(CAPTIONS), space.transform_captions(CAPTIONS)
    )
    assert again.network_ == network
    assert (again.text_encoder, again.margin, again.batch_size) == (encoder, 0.3, 16)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["space.safetensors"]


def test_half_precision_halves_the_file_and_hardly_moves_rows(tmp_path):
    space = fitted(text_encoder="gru")
    space.save(tmp_path / "full.safetensors")
    space.save(tmp_path / "half.safetensors", dtype="float16")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    half = VisualSemanticEmbedding.load(tmp_path / "half.safetensors")
    assert (half.transform(X) * space.transform(X)).sum(axis=1).min() > 0.9999
    with pytest.raises(ValueError, match="dtype='int8'"):
        space.save(tmp_path / "x.safetensors", dtype="int8")


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        VisualSemanticEmbedding.load(tmp_path / "missing.safetensors")
    with pytest.raises(FileNotFoundError, match="come with the package are flickr8k"):
        VisualSemanticEmbedding.load("flickr30k")
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.ones(2)}, other)
    with pytest.raises(ValueError, match=r"other\.safetensors.*VisualSemanticEmbedding\.save"):
        VisualSemanticEmbedding.load(other)
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        fitted().save(tmp_path / "space.pkl")


def _altered(path, **changes):
    with safe_open(path, framework="pt") as file:
        # safetensors gives no iterator of its own.
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    settings = json.loads(metadata["settings"])
    for name, value in changes.items():
        if isinstance(value, torch.Tensor):
            tensors[name.replace("__", ".")] = value
        else:
            settings[name] = value
    save_file(tensors, path, {**metadata, "settings": json.dumps(settings)})


@pytest.mark.parametrize(
    "changes",
    [
        {"image_weights": torch.full((6, 8), torch.nan)},
        {"image_weights": torch.ones((6, 8), dtype=torch.bfloat16)},
        {"image_bias": torch.ones(3)},
        {"text__words__weight": torch.ones(2, 8)},
        {"vocabulary": None},
        {"vocabulary": {"a": 10**9}},
        {"prefix": 3},
        {"parameters": {"text_encoder": "bow", "no_such": 1}},
        {"parameters": {"text_encoder": "bow", "margin": "x"}},
        {"parameters": {"text_encoder": "bow", "network": 3}},
        {"parameters": {"text_encoder": "bow", "tokenizer": "letters"}},
        {"parameters": {"text_encoder": "gru"}},
    ],
    ids=str,
)
def test_damaged_files_are_an_error_that_names_them(tmp_path, changes):
    path = tmp_path / "space.safetensors"
    fitted().save(path)
    _altered(path, **changes)
    with pytest.raises(ValueError, match=r"space\.safetensors"):
        VisualSemanticEmbedding.load(path)


def test_the_bundled_file_is_small_and_the_one_in_its_card():
    file = resources.files("sklearn_memorability.captions") / "data" / "flickr8k.safetensors"
    content = file.read_bytes()
    assert len(content) <= 16_000_000
    card = Path(__file__).parents[2] / "docs" / "captions.md"
    (stated,) = re.findall(r"SHA-256 `([0-9a-f]{64})`", card.read_text(encoding="utf-8"))
    assert hashlib.sha256(content).hexdigest() == stated


def test_in_the_bundled_space_images_find_their_captions(flickr8k):
    # 100 of the development images: at random, they would find 1, 5 and 10 of them.
    captions = {}
    with (flickr8k / "captions_dev.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            captions.setdefault(row["image"], []).append(row["caption"])
    names = list(captions)[:100]
    space = VisualSemanticEmbedding.load("flickr8k")
    assert space.network_ == {"backbone": "efficientnet_lite0"}
    X = ImageFeatures().fit_transform([flickr8k / "images" / name for name in names])
    recall = space.recall(X, [captions[name] for name in names])
    assert recall.image_to_text[0] > 0.5
    assert recall.text_to_image[0] > 0.4
