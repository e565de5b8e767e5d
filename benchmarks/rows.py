"""How accuracy grows with the number of training rows: what a sample of them costs.

    python benchmarks/rows.py [--sets concepts memcat lnsim] [--repeats 5] [--cache FOLDER] [--few]

Of each set a fifth is held out; models are trained on random samples of the other rows. Printed is
the mean Spearman correlation on the held-out rows over repeats, as a table in Markdown. With
``--few``, models are trained on 24 to 200 rows, and the seconds of a fit are printed too.

``memcat`` and ``lnsim`` need MEMORABILITY_TEST_DATA.
"""

import argparse
import csv
import os
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import ShuffleSplit

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor, svr_regressor

SIZES = (100, 200, 500, 1000, 2000, 5000)
FEW = (24, 50, 100, 200)
MODELS = {
    "recommended": recommended_regressor(random_state=0),
    "paper, K = 4": mlp_regressor(random_state=0),
    "SVR": svr_regressor(),
}


def load(name: str, cache: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the features and the scores of a set."""
    if name == "concepts":
        return load_things_concepts(return_X_y=True)
    folder = Path(os.environ["MEMORABILITY_TEST_DATA"]) / name
    if name == "memcat":
        with np.load(folder / "features.npz", allow_pickle=False) as arrays:
            return arrays["X"].astype(np.float32), arrays["y"].astype(float)
    with open(folder / "scores.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    paths = [folder / "images" / row["image_name"] for row in rows]
    X = ImageFeatures(cache=cache).fit_transform(paths)
    return X, np.array([float(row["memorability"]) for row in rows])


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["concepts", "memcat", "lnsim"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--few", action="store_true", help="24 to 200 rows, with seconds")
    parser.add_argument("--cache", help="of the features of lnsim's images")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.sets:
        X, y = load(name, arguments.cache)
        splits = list(ShuffleSplit(arguments.repeats, test_size=0.2, random_state=0).split(X))
        n_rows = len(splits[0][0])
        sizes = FEW if arguments.few else [*(size for size in SIZES if size < n_rows), n_rows]
        print(f"\n| {name}: training rows | " + " | ".join(map(str, sizes)) + " |")
        print("|---" * (len(sizes) + 1) + "|")
        for label, model in MODELS.items():
            means = []
            for size in sizes:
                ranks = []
                start = time.perf_counter()
                for rows, test in splits:
                    fitted = model.fit(X[rows[:size]], y[rows[:size]])
                    ranks.append(spearman_score(y[test], fitted.predict(X[test])))
                seconds = (time.perf_counter() - start) / len(splits)
                means.append(f"{np.mean(ranks):.3f}" + f" ({seconds:.1f} s)" * arguments.few)
            print(f"| {label} | " + " | ".join(means) + " |", flush=True)


if __name__ == "__main__":
    main()
