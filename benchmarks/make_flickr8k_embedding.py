"""Make the bundled file of ``captions.VisualSemanticEmbedding.load("flickr8k")``.

    python benchmarks/make_flickr8k_embedding.py [--members 6] [--jobs 2] [--develop]

Trains embeddings on Flickr8k's 6,000 training images and folds them into one. Each member
has a bag of words and is trained from a seed of its own. All settings were chosen on 1,000
training images held out: ``--develop`` trains on the other 5,000 and prints the recall on
the 1,000. Both sides of a member are linear up to their norm, so several members are one
wide linear embedding; the leading directions of what it gives for the training pairs are
kept.

Prints the recall on the 1,000 development images, of the members and of what is written,
and the file's size and SHA-256. Needs MEMORABILITY_TEST_DATA with ``flickr8k/``.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from retrieval import Split, flickr8k, show

from sklearn_memorability import captions
from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.captions._words import END, number_words

N_COMPONENTS = 1024
# Weights are rounded to multiples of these, which halves what they take in the wheel.
IMAGE_STEP, WORD_STEP = 2**-8, 2**-5
SETTINGS = {
    "text_encoder": "bow",
    "min_count": 3,
    "negatives": "softmax",
    "temperature": 0.07,
    "dropout": 0.1,
    "text_dropout": 0.2,
    "lr": 2e-3,
    "batch_size": 512,
    "max_epochs": 8,
    "early_stopping": False,
    "network": "efficientnet_lite0",
}


def train(seed: int, split: Split) -> VisualSemanticEmbedding:
    """Train one member."""
    torch.set_num_threads(1)
    return VisualSemanticEmbedding(N_COMPONENTS, random_state=seed, **SETTINGS).fit(*split)


def fold(members: list[VisualSemanticEmbedding], split: Split) -> VisualSemanticEmbedding:
    """Return one embedding that gives nearly the mean of the members' cosines."""
    X, groups = split
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    vocabulary = members[0].vocabulary_
    numbers = number_words([text for group in groups for text in group], "words", vocabulary)
    weights, biases, tables = [], [], []
    for member in members:
        # Before their norm, rows of one member may be longer than another's, on either side.
        length = np.linalg.norm(unit @ member.image_weights_ + member.image_bias_, axis=1).mean()
        weights.append(member.image_weights_ / length)
        biases.append(member.image_bias_ / length)
        table = member.text_weights_["words.weight"]
        tables.append(table / np.linalg.norm(_bags(table, numbers), axis=1).mean())
    wide = np.hstack(weights), np.concatenate(biases), np.hstack(tables)
    images, bags = unit @ wide[0] + wide[1], _bags(wide[2], numbers)
    moments = images.T @ images / len(images) + bags.T @ bags / len(bags)
    _, directions = np.linalg.eigh(moments.astype(np.float64))
    leading = directions[:, ::-1][:, :N_COMPONENTS].astype(np.float32)
    folded = VisualSemanticEmbedding(N_COMPONENTS, **SETTINGS)
    folded._set_space(
        image_weights=wide[0] @ leading,
        image_bias=wide[1] @ leading,
        text_weights={"words.weight": wide[2] @ leading},
        vocabulary=vocabulary,
    )
    return folded


def round_weights(space: VisualSemanticEmbedding) -> None:
    """Round the weights of both sides, in place."""
    words = space.text_weights_["words.weight"]
    for weights, step in ((space.image_weights_, IMAGE_STEP), (words, WORD_STEP)):
        weights[:] = np.round(weights / step) * step


def _bags(table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the mean of the words' vectors of each caption."""
    is_word = (numbers != END).astype(np.float32)
    bags = np.zeros((len(numbers), table.shape[1]), dtype=np.float32)
    for column, weight in zip(numbers.T, is_word.T, strict=True):
        rows = np.flatnonzero(weight)
        bags[rows] += table[column[rows]]
    return bags / np.maximum(is_word.sum(axis=1, keepdims=True), 1)


def main() -> None:
    """Train, fold, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache")
    parser.add_argument("--develop", action="store_true")
    default = Path(captions.__file__).with_name("data") / "flickr8k.safetensors"
    parser.add_argument("-o", "--output", type=Path, default=default)
    arguments = parser.parse_args()
    learned, judged = flickr8k(arguments.cache)
    if arguments.develop:
        order = np.random.default_rng(0).permutation(len(learned[0]))
        judged, learned = (
            (learned[0][part], [learned[1][i] for i in part])
            for part in (order[:1000], order[1000:])
        )
    members = Parallel(arguments.jobs)(
        delayed(train)(seed, learned) for seed in range(arguments.members)
    )
    for seed, member in enumerate(members):
        show(f"member {seed}", member, judged)
    folded = fold(members, learned)
    show("folded", folded, judged)
    if not arguments.develop:
        round_weights(folded)
        folded.save(arguments.output, dtype="float16")
        show("written", VisualSemanticEmbedding.load(arguments.output), judged)
        content = arguments.output.read_bytes()
        print(f"{arguments.output}: {len(content) / 1e6:.1f} MB")
        print(f"SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
