import csv
import hashlib
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from sklearn_memorability.captions import load_embedding
from sklearn_memorability.features import ImageFeatures

ROOT = Path(__file__).parents[2]


def test_the_bundled_file_is_small_and_the_one_in_its_card():
    file = resources.files("sklearn_memorability.captions") / "data" / "flickr8k.safetensors"
    content = file.read_bytes()
    assert len(content) <= 16_000_000
    card = (ROOT / "docs" / "captions.md").read_text(encoding="utf-8")
    (stated,) = re.findall(r"SHA-256 `([0-9a-f]{64})`", card)
    assert hashlib.sha256(content).hexdigest() == stated


def test_the_bundled_space_orders_words_by_their_sense():
    space = load_embedding("flickr8k")
    assert space.network_ == {"backbone": "efficientnet_lite0"}
    assert (space.n_features_in_, space.n_components_) == (1280, 1024)
    dog, puppy, car = space.transform_captions(["a dog runs", "a puppy runs", "a car is parked"])
    assert dog @ puppy > 0.5 > dog @ car


def test_pictures_find_their_captions(flickr8k):
    # 100 of the development pictures, so that chance would find 1, 5 and 10 of them.
    captions = {}
    with (flickr8k / "captions_dev.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            captions.setdefault(row["image"], []).append(row["caption"])
    names = list(captions)[:100]
    X = ImageFeatures().fit_transform([flickr8k / "images" / name for name in names])
    found = load_embedding("flickr8k").recall(X, [captions[name] for name in names])
    assert found.image_to_text[0] > 0.5
    assert found.text_to_image[0] > 0.4
    assert found.sum == pytest.approx(100 * np.sum([found.image_to_text, found.text_to_image]))
