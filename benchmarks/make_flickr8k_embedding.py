"""Make the bundled file of ``captions.load_embedding("flickr8k")``.

    python benchmarks/make_flickr8k_embedding.py [--members 6] [--jobs 2] [--develop]

Trains embeddings on Flickr8k's 6,000 training pictures and folds them into one. Each
member has a bag of words and is trained from a seed of its own, for a number of epochs
that was chosen, as all settings were, on 1,000 training pictures held out (which
``--develop`` does: it trains on the other 5,000 and prints the recall on the 1,000). As
both sides of a member are linear up to their norm, several members are one wide linear
embedding; the leading directions of what it gives for the training pairs are kept.

Prints the recall on the 1,000 development pictures, of the members and of what is
written, and the file's size and SHA-256. Needs MEMORABILITY_TEST_DATA with ``flickr8k/``.
"""

import argparse
import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from retrieval import Split, flickr8k

from sklearn_memorability.captions import VisualSemanticEmbedding, _bundled
from sklearn_memorability.captions._network import BagEncoder

N_COMPONENTS = 1024
SETTINGS = {
    "text_encoder": "bow",
    "word_dim": N_COMPONENTS,
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
    X, captions = split
    texts = [text for group in captions for text in group]
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    weights, biases, tables = [], [], []
    for member in members:
        # Before their norm, rows of one member may be longer than another's, on either side.
        length = np.linalg.norm(unit @ member.image_weights_ + member.image_bias_, axis=1).mean()
        weights.append(member.image_weights_ / length)
        biases.append(member.image_bias_ / length)
        table = member.text_side_.words.weight.numpy()
        tables.append(table / np.linalg.norm(_bags(table, member, texts), axis=1).mean())
    wide = np.hstack(weights), np.concatenate(biases), np.hstack(tables)
    pictures = unit @ wide[0] + wide[1]
    bags = _bags(wide[2], members[0], texts)
    moments = pictures.T @ pictures / len(pictures) + bags.T @ bags / len(bags)
    _, directions = np.linalg.eigh(moments.astype(np.float64))
    leading = directions[:, ::-1][:, :N_COMPONENTS].astype(np.float32)
    folded = VisualSemanticEmbedding(N_COMPONENTS, **SETTINGS)
    side = BagEncoder(len(wide[2]), N_COMPONENTS, N_COMPONENTS).requires_grad_(False).eval()
    side.words.weight.copy_(torch.from_numpy(wide[2] @ leading))
    folded._set_state(
        image_weights=wide[0] @ leading,
        image_bias=wide[1] @ leading,
        text_side=side,
        vocabulary=members[0].vocabulary_,
        network=SETTINGS["network"],
    )
    return folded


def _bags(table: np.ndarray, member: VisualSemanticEmbedding, texts: list[str]) -> np.ndarray:
    # The encoder itself, with another table.
    words = BagEncoder(len(table), table.shape[1], table.shape[1]).requires_grad_(False).eval()
    words.words.weight.copy_(torch.from_numpy(table))
    parts = [
        words(torch.from_numpy(member._numbers(texts[i : i + 512]))).numpy()
        for i in range(0, len(texts), 512)
    ]
    return np.concatenate(parts)


def show(name: str, embedding: VisualSemanticEmbedding, split: Split) -> None:
    """Print the recalls of an embedding."""
    found = embedding.recall(*split)
    shares = [f"{100 * s:5.1f}" for s in (*found.image_to_text, *found.text_to_image)]
    print(f"{name:20s} {' '.join(shares)}  sum {found.sum:6.1f}", flush=True)


def main() -> None:
    """Train, fold, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache")
    parser.add_argument("--develop", action="store_true")
    default = Path(_bundled.__file__).with_name("data") / "flickr8k.safetensors"
    parser.add_argument("-o", "--output", type=Path, default=default)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "flickr8k"
    if not folder.is_dir():
        parser.error("no flickr8k in MEMORABILITY_TEST_DATA")
    learned, judged = flickr8k(folder, arguments.cache)
    if arguments.develop:
        order = np.random.default_rng(0).permutation(len(learned[0]))
        parts = [
            (learned[0][part], [learned[1][i] for i in part])
            for part in (order[:1000], order[1000:])
        ]
        judged, learned = parts
    members = Parallel(arguments.jobs)(
        delayed(train)(seed, learned) for seed in range(arguments.members)
    )
    for seed, member in enumerate(members):
        show(f"member {seed}", member, judged)
    folded = fold(members, learned)
    show("folded", folded, judged)
    if not arguments.develop:
        folded.save(arguments.output, dtype="float16")
        show("written", VisualSemanticEmbedding.load(arguments.output), judged)
        content = arguments.output.read_bytes()
        print(f"{arguments.output}: {len(content) / 1e6:.1f} MB")
        print(f"SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
