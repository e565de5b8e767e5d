"""Whether predicted intervals hold what they say, and how far predictions are off in level.

    python benchmarks/calibration.py [--plot docs/images/calibration.png]

Held-out predictions of five folds. For each interval between two predicted quantiles:
the share of held-out scores inside, beside the share that should be. For each
aggregation: the mean error. ``memcat`` needs MEMORABILITY_TEST_DATA.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.inspection import quantiles
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor

LEVELS = (0.5, 0.8, 0.9)


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray, Any]]:
    """Return features, scores and groups of each set."""
    concepts, photographs = load_things_concepts(), load_things_photographs()
    found: dict[str, tuple[np.ndarray, np.ndarray, Any]] = {
        "concepts": (concepts.data, concepts.target, None),
        "photographs": (photographs.data, photographs.target, photographs.groups),
    }
    path = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "memcat" / "features.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as arrays:
            found["memcat"] = (arrays["X"].astype(np.float32), arrays["y"].astype(float), None)
    else:
        print("memcat: not measured, its file is missing (see MEMORABILITY_TEST_DATA)")
    return found


def main() -> None:
    """Print coverage and bias, and draw them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    models = {
        "paper, upper": mlp_regressor(random_state=0),
        "paper, mean": mlp_regressor(random_state=0, aggregation="mean"),
        "recommended": recommended_regressor(random_state=0),
    }
    tails = [(1 - level) / 2 for level in LEVELS]
    asked = np.array([*tails, *(1 - tail for tail in tails)])
    held_out: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    print(f"{'':12}{'':15}{'Spearman':>9}{'bias':>8}  share of scores inside intervals of")
    print(f"{'':46}" + "".join(f"{level:7.0%}" for level in LEVELS))
    for data, (X, y, groups) in data_sets().items():
        splitter = KFold if groups is None else GroupKFold
        folds = list(splitter(5, shuffle=True, random_state=0).split(X, y, groups))
        for name, model in models.items():
            predicted, bounds = np.empty(len(y)), np.empty((len(y), len(asked)))
            for train, test in folds:
                fitted = clone(model).fit(X[train], y[train])
                predicted[test] = fitted.predict(X[test])
                bounds[test] = quantiles(fitted, X[test], asked)
            held_out[data, name] = predicted, y
            low, high = np.split(bounds, 2, axis=1)
            inside = ((low <= y[:, None]) & (y[:, None] <= high)).mean(axis=0)
            rank = np.mean([spearman_score(y[test], predicted[test]) for _, test in folds])
            print(
                f"{data:12}{name:15}{rank:9.3f}{np.mean(predicted - y):+8.3f}  "
                + "".join(f"{share:7.3f}" for share in inside),
                flush=True,
            )
    if arguments.plot:
        draw(held_out, arguments.plot)


def draw(held_out: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Draw mean truth against mean prediction, in ten bins of the prediction."""
    import matplotlib.pyplot as plt

    sets = list(dict.fromkeys(data for data, _ in held_out))
    figure, axes = plt.subplots(
        1, len(sets), figsize=(4 * len(sets), 3.8), layout="constrained", squeeze=False
    )
    for axis, data in zip(axes[0], sets, strict=True):
        for name, marker in (("paper, upper", "s"), ("paper, mean", "o"), ("recommended", "^")):
            predicted, y = held_out[data, name]
            bins = np.array_split(np.argsort(predicted), 10)
            means = [(predicted[rows].mean(), y[rows].mean()) for rows in bins]
            axis.plot(*zip(*means, strict=True), marker=marker, label=name)
        ends = axis.get_xlim()
        axis.plot(ends, ends, "k--", linewidth=1)
        axis.set(title=data, xlabel="predicted score", ylabel="true score (mean of a tenth)")
        axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
