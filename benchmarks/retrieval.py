"""How well images and captions find each other, for the encoders and losses there are.

    python benchmarks/retrieval.py [--encoders lstm gru bow] [--epochs 15] [--word-vectors FILE]

Trains ``VisualSemanticEmbedding`` on Flickr8k's 6,000 training images
(``efficientnet_lite0`` features, five captions each), a tenth of them held out for early
stopping. Prints recall (%) at 1, 5 and 10 on the 1,000 development images in both
directions, their sum and the seconds of a training. First comes the bundled embedding.

``--word-vectors FILE`` adds rows whose words start from vectors in the text format of
GloVe (a word and its numbers a line).

Needs MEMORABILITY_TEST_DATA with ``flickr8k/``; ``--cache FILE`` keeps the features.
"""

import argparse
import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.features import ImageFeatures

Split = tuple[np.ndarray, list[list[str]]]

# Those of the bag of words are the bundled embedding's; large batches suit it.
SETTINGS: dict[str, dict[str, Any]] = {
    "lstm": {"lr": 5e-4},
    "gru": {"lr": 5e-4},
    "bow": {
        "lr": 2e-3,
        "batch_size": 512,
        "temperature": 0.07,
        "dropout": 0.1,
        "text_dropout": 0.2,
    },
}


def flickr8k(cache: str | None) -> tuple[Split, Split]:
    """Return features and captions of the training and the development images."""
    folder = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "flickr8k"
    if not folder.is_dir():
        raise SystemExit("no flickr8k in MEMORABILITY_TEST_DATA")
    splits = []
    features = ImageFeatures("efficientnet_lite0", cache=cache, verbose=1).fit(["any"])
    for name in ("train", "dev"):
        captions: dict[str, list[str]] = {}
        with (folder / f"captions_{name}.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                captions.setdefault(row["image"], []).append(row["caption"])
        paths = [folder / "images" / image for image in captions]
        splits.append((features.transform(paths), list(captions.values())))
    return splits[0], splits[1]


def read_vectors(path: Path) -> dict[str, np.ndarray]:
    """Read vectors in the text format of GloVe."""
    with path.open(encoding="utf-8") as file:
        rows = (line.rstrip().split(" ") for line in file)
        return {word: np.array(numbers, dtype=np.float32) for word, *numbers in rows}


def show(name: str, embedding: VisualSemanticEmbedding, split: Split, seconds: float = 0) -> None:
    """Print the recalls of an embedding."""
    recall = embedding.recall(*split)
    shares = [f"{100 * share:5.1f}" for share in (*recall.image_to_text, *recall.text_to_image)]
    print(f"{name:34s} {' '.join(shares)}  {recall.sum:6.1f} {seconds:7.0f} s", flush=True)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=["lstm", "gru", "bow"])
    parser.add_argument("--negatives", nargs="+", default=["sum", "hardest", "softmax"])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--word-vectors", type=Path)
    parser.add_argument("--cache")
    arguments = parser.parse_args()
    train, dev = flickr8k(arguments.cache)
    print(f"{'recall (%) at':34s} image -> text     text -> image\n{'':34s}", end="")
    print("     1     5    10" * 2 + "     sum")
    show("bundled (flickr8k)", VisualSemanticEmbedding.load("flickr8k"), dev)
    vectors = [None]
    if arguments.word_vectors is not None:
        vectors.append(read_vectors(arguments.word_vectors))
    for encoder in arguments.encoders:
        for negatives in arguments.negatives:
            for given in vectors:
                start = time.perf_counter()
                embedding = VisualSemanticEmbedding(
                    text_encoder=encoder,
                    negatives=negatives,
                    max_epochs=arguments.epochs,
                    word_vectors=given,
                    network="efficientnet_lite0",
                    random_state=0,
                    verbose=1,
                    **SETTINGS[encoder],
                ).fit(*train)
                name = f"{encoder}, {negatives}" + ("" if given is None else ", word vectors")
                show(name, embedding, dev, time.perf_counter() - start)


if __name__ == "__main__":
    main()
