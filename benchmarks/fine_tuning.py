"""Measure what fine-tuning a network gains over its frozen features, and what it costs.

    python benchmarks/fine_tuning.py [--sets memcat lnsim] [--folds 5] [--epochs 4] [--rows 60]

Spearman's correlation on held-out images, its mean over the folds with the standard error, and the
seconds of a fold, of fit and prediction together. Frozen features are computed once for all folds,
and their seconds are shown apart. The sets are those of ``MEMORABILITY_TEST_DATA``: the images of
MemCat that were also shown in MemOIR, and LNSIM's outdoor scenes.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import KFold

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.finetuning import FineTunedRegressor
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.pipelines import recommended_regressor, svr_regressor

SETS = {"memcat": "memcat_images", "lnsim": "lnsim"}


def load(name: str, n_rows: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the paths and the scores of a set, in a random order."""
    folder = Path(os.environ["MEMORABILITY_TEST_DATA"], SETS[name])
    table = pd.read_csv(folder / "scores.csv").sample(frac=1, random_state=0)[:n_rows]
    paths = [str(folder / "images" / image) for image in table["image_name"]]
    return np.array(paths, dtype=object), table["memorability"].to_numpy()


def measure(model: object, X: np.ndarray, y: np.ndarray, n_folds: int) -> tuple[list, float]:
    """Return the correlation of each fold, and the seconds of one."""
    start, found = time.perf_counter(), []
    for train, test in list(KFold(5, shuffle=True, random_state=0).split(X))[:n_folds]:
        predicted = clone(model).fit(X[train], y[train]).predict(X[test])
        found.append(spearman_score(y[test], predicted))
    return found, (time.perf_counter() - start) / n_folds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rows", type=int)
    arguments = parser.parse_args()
    for name in arguments.sets:
        images, y = load(name, arguments.rows)
        start = time.perf_counter()
        features = ImageFeatures().fit_transform(images)
        seconds = time.perf_counter() - start
        print(f"{name}: {len(y)} images; frozen features {seconds:.0f} s")
        tuned = FineTunedRegressor(max_epochs=arguments.epochs, random_state=0)
        for label, model, X in (
            ("frozen, SVR", svr_regressor(), features),
            ("frozen, recommended", recommended_regressor(random_state=0), features),
            (f"fine-tuned, {arguments.epochs} epochs", tuned, images),
        ):
            found, seconds = measure(model, X, y, arguments.folds)
            error = np.std(found, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
            print(f"  {label:24} {np.mean(found):.3f} (standard error {error:.3f}) {seconds:.0f} s")


if __name__ == "__main__":
    main()
