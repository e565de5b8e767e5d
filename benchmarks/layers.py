"""How well the layers of frozen networks order scores: the default, and several together.

    python benchmarks/layers.py [--sets lnsim memcat_images] [--networks efficientnet_lite0 resmem]
        [--cache FOLDER]

Five folds of each set's images. Printed are the mean Spearman correlation on the held-out rows and
its standard error over the folds, of an SVR and of ridge, as a table in Markdown. Rows of the same
set compare best: the folds are the same.

The sets lie in the folder that MEMORABILITY_TEST_DATA names. ``resmem`` needs ``pip install
resmem``; it was trained on MemCat, so its figures there are no test of it.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.metrics import spearman_scorer


def load(name: str) -> tuple[list[Path], np.ndarray]:
    """Return the images and the scores of a set."""
    folder = Path(os.environ["MEMORABILITY_TEST_DATA"]) / name
    with open(folder / "scores.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    paths = [folder / "images" / row["image_name"] for row in rows]
    return paths, np.array([float(row["memorability"]) for row in rows])


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["lnsim", "memcat_images"])
    parser.add_argument("--networks", nargs="+", default=["efficientnet_lite0", "resmem"])
    parser.add_argument("--cache", help="of features")
    arguments = parser.parse_args()
    print("| set | network | layers | features | SVR | ridge |\n|---|---|---|---|---|---|")
    for name in arguments.sets:
        paths, y = load(name)
        for network in arguments.networks:
            for layer in (None, "stages") if network != "resmem" else (None,):
                X = ImageFeatures(network, layer=layer, cache=arguments.cache).fit_transform(paths)
                models = (
                    SVR(C=0.1, epsilon=0.05, gamma=0.5 / X.shape[1]),
                    RidgeCV(np.logspace(1, 6, 11)),
                )
                cells = []
                for model in models:
                    ranks = cross_val_score(
                        make_pipeline(StandardScaler(), model),
                        X,
                        y,
                        scoring=spearman_scorer,
                        cv=KFold(5, shuffle=True, random_state=0),
                    )
                    error = ranks.std(ddof=1) / len(ranks) ** 0.5
                    cells.append(f"{ranks.mean():.3f} ± {error:.3f}")
                row = (name, network, layer or "default", X.shape[1], *cells)
                print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
