"""How well pictures and captions find each other, for the encoders and losses there are.

    python benchmarks/retrieval.py [--encoders lstm gru bow] [--epochs 15]
        [--word-vectors FILE] [--speed]

Trains ``VisualSemanticEmbedding`` on Flickr8k's 6,000 training pictures
(``efficientnet_lite0`` features, five captions each) and prints recall at 1, 5 and 10 on
its 1,000 development pictures in both directions, and their sum; a tenth of the training
pictures is held out for early stopping, the development pictures decide nothing. First
comes the bundled embedding.

``--word-vectors FILE`` adds rows whose words start from vectors in the text format of
GloVe (a word and its numbers a line). ``--speed`` prints instead the time of a training
beside a plain PyTorch loop over the same batches.

Needs MEMORABILITY_TEST_DATA with ``flickr8k/``; features are kept in a cache beside it
or in ``--cache FILE``.
"""

import argparse
import csv
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _figures import Figure, add_json_option, timed, write_figures

from sklearn_memorability.captions import VisualSemanticEmbedding, load_embedding
from sklearn_memorability.captions._batches import CaptionBatches, CaptionRows
from sklearn_memorability.captions._network import JointNetwork, RankingLoss, RecurrentEncoder
from sklearn_memorability.captions._words import (
    as_captions,
    count_words,
    get_tokenizer,
    number_words,
)
from sklearn_memorability.features import ImageFeatures

Split = tuple[np.ndarray, list[list[str]]]

# The bag has settings of its own, those of the bundled embedding: it is small and quick,
# and large batches suit it.
SETTINGS: dict[str, dict[str, Any]] = {
    "lstm": {"lr": 5e-4},
    "gru": {"lr": 5e-4},
    "bow": {
        "word_dim": 1024,
        "lr": 2e-3,
        "batch_size": 512,
        "temperature": 0.07,
        "dropout": 0.1,
        "text_dropout": 0.2,
    },
}


def flickr8k(folder: Path, cache: str | None) -> tuple[Split, Split]:
    """Return features and captions of the training and the development pictures."""
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


def show(
    name: str, embedding: VisualSemanticEmbedding, dev: Split, seconds: float | None
) -> Figure:
    """Print one row, and return its sum as a figure."""
    found = embedding.recall(*dev)
    figures = [*found.image_to_text, *found.text_to_image]
    took = "" if seconds is None else f"{seconds:7.0f} s"
    shares = " ".join(f"{100 * share:5.1f}" for share in figures)
    print(f"{name:34s} {shares}  {found.sum:6.1f} {took}", flush=True)
    # A recall of n pictures and their captions moves by no more than this by chance.
    error = 100 * sum(np.sqrt(share * (1 - share) / len(dev[0])) for share in figures)
    return Figure(
        f"{name}: sum of recalls",
        found.sum,
        "higher",
        "%",
        spread=float(error),
        compared="ours",
    )


def time_against_plain_loop(train: Split, encoder: str, epochs: int) -> Figure:
    """Print the time of our training as a multiple of a plain loop's."""
    X, captions = train
    settings = SETTINGS[encoder]

    def ours() -> None:
        VisualSemanticEmbedding(
            text_encoder=encoder,
            early_stopping=False,
            max_epochs=epochs,
            random_state=0,
            **settings,
        ).fit(X, captions)

    def plain() -> None:
        texts, owner = as_captions(captions, len(X))
        words = list(map(get_tokenizer("words"), texts))
        vocabulary = count_words(words, None, 1)
        lengths = np.array([len(w) for w in words])
        rows = CaptionRows(X, number_words(words, vocabulary), owner, lengths)
        side = RecurrentEncoder(len(vocabulary) + 2, 300, 1024, encoder)
        network = JointNetwork(X.shape[1], 1024, side, 0.0, 0, 1)
        loss = RankingLoss("sum", 0.2, 0.05)
        optimizer = torch.optim.Adam(network.parameters(), lr=settings["lr"], fused=True)
        places = type("Places", (), {"X": np.arange(len(owner))})
        batches = CaptionBatches(places, 128, rows, 0)
        for _ in range(epochs):
            for pair, which in batches:
                optimizer.zero_grad()
                loss(network(**pair), which).backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
                optimizer.step()

    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(3):
        for name, run in (("plain", plain), ("ours", ours)):
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    least = {name: min(times) for name, times in seconds.items()}
    ratio = least["ours"] / least["plain"]
    print(f"{encoder}: {ratio:.2f} x a plain loop over the same batches (best of 3)")
    figure = timed(
        f"{encoder}, an epoch", seconds["ours"], seconds["plain"], peer_name="plain loop"
    )
    # As printed, of the least times.
    return replace(figure, ours=least["ours"], peer=least["plain"], ratio=ratio)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=["lstm", "gru", "bow"])
    parser.add_argument("--negatives", nargs="+", default=["sum", "hardest", "softmax"])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--word-vectors", type=Path)
    parser.add_argument("--cache")
    parser.add_argument("--speed", action="store_true")
    add_json_option(parser)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "flickr8k"
    if not folder.is_dir():
        parser.error("no flickr8k in MEMORABILITY_TEST_DATA")
    train, dev = flickr8k(folder, arguments.cache)
    if arguments.speed:
        part = train[0][:1000], train[1][:1000]
        timings = [
            time_against_plain_loop(part, encoder, 1)
            for encoder in arguments.encoders
            if encoder != "bow"
        ]
        write_figures(arguments.json, timings)
        return
    print(f"{'recall (%) at':34s} image -> text     text -> image\n{'':34s}", end="")
    print("     1     5    10" * 2 + "     sum")
    rows = [show("bundled (flickr8k)", load_embedding("flickr8k"), dev, None)]
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
                rows.append(show(name, embedding, dev, time.perf_counter() - start))
    write_figures(arguments.json, rows)


if __name__ == "__main__":
    main()
