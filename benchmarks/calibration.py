"""Whether predicted intervals hold what they say, and how far predictions are off in level.

    python benchmarks/calibration.py [--plot docs/images/calibration.png]

Held-out predictions of five folds. For each interval between two predicted quantiles:
the share of held-out scores inside, beside the share that should be. For each
aggregation: the mean error. ``memcat`` needs MEMORABILITY_TEST_DATA.
"""

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.inspection import quantiles
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor

LEVELS = np.linspace(0.1, 0.95, 18).round(2)
PRINTED = (0.5, 0.8, 0.9)
# From here on a figure is off its mark.
TOLERANCE = 0.05
STYLES = {"paper, upper": "s-", "paper, mean": "o-", "recommended": "^-"}


class HeldOut(NamedTuple):
    """What was predicted for rows the model had not seen."""

    predicted: np.ndarray
    y: np.ndarray
    inside: np.ndarray  # for each level, the share of scores inside the interval


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray, Any]]:
    """Return features, scores and groups of each set."""
    concepts, photographs = load_things_concepts(), load_things_photographs()
    sets: dict[str, tuple[np.ndarray, np.ndarray, Any]] = {
        "concepts": (concepts.data, concepts.target, None),
        "photographs": (photographs.data, photographs.target, photographs.groups),
    }
    path = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "memcat" / "features.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as arrays:
            sets["memcat"] = (arrays["X"].astype(np.float32), arrays["y"].astype(float), None)
    else:
        print("memcat: not measured, its file is missing (see MEMORABILITY_TEST_DATA)")
    return sets


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
    asked = np.concatenate([(1 - LEVELS) / 2, (1 + LEVELS) / 2])
    held_out: dict[str, dict[str, HeldOut]] = {}
    print(f"{'':12}{'':15}{'Spearman':>9}{'bias':>8}  share of scores inside intervals of")
    print(f"{'':46}" + "".join(f"{level:7.0%}" for level in PRINTED))
    for data, (X, y, groups) in data_sets().items():
        splitter = KFold if groups is None else GroupKFold
        folds = list(splitter(5, shuffle=True, random_state=0).split(X, y, groups))
        for name, model in models.items():
            predicted, bounds = np.empty(len(y)), np.empty((len(y), len(asked)))
            for train, test in folds:
                fitted = clone(model).fit(X[train], y[train])
                predicted[test] = fitted.predict(X[test])
                bounds[test] = quantiles(fitted, X[test], asked)
            low, high = np.split(bounds, 2, axis=1)
            inside = ((low <= y[:, None]) & (y[:, None] <= high)).mean(axis=0)
            held_out.setdefault(data, {})[name] = HeldOut(predicted, y, inside)
            rank = np.mean([spearman_score(y[test], predicted[test]) for _, test in folds])
            shown = [share for level, share in zip(LEVELS, inside, strict=True) if level in PRINTED]
            print(
                f"{data:12}{name:15}{rank:9.3f}{np.mean(predicted - y):+8.3f}  "
                + "".join(f"{share:7.3f}" for share in shown),
                flush=True,
            )
    if arguments.plot:
        draw(held_out, arguments.plot)


def draw(held_out: dict[str, dict[str, HeldOut]], path: Path) -> None:
    """Draw, for each set, the level of the predictions above what the intervals hold."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2,
        len(held_out),
        figsize=(4 * len(held_out), 8),
        layout="constrained",
        squeeze=False,
        subplot_kw={"aspect": "equal"},
    )
    for (level, coverage), (data, by_model) in zip(axes.T, held_out.items(), strict=True):
        for name, (predicted, y, inside) in by_model.items():
            tenths = np.array_split(np.argsort(predicted), 10)
            means = np.array([(predicted[rows].mean(), y[rows].mean()) for rows in tenths])
            style = {"markersize": 5, "linewidth": 1.2, "label": name}
            (line,) = level.plot(*means.T, STYLES[name], **style)
            if name != "paper, upper":  # its intervals are those of "paper, mean"
                coverage.plot(LEVELS, inside, STYLES[name], color=line.get_color(), **style)
        ends = np.array(
            [
                min(level.get_xlim()[0], level.get_ylim()[0]),
                max(level.get_xlim()[1], level.get_ylim()[1]),
            ]
        )
        level.plot(ends, ends, "k--", linewidth=1, label="no error")
        level.set(
            xlim=ends,
            ylim=ends,
            title=f"{data}: level",
            xlabel="predicted score, mean of a tenth",
            ylabel="true score, mean of the same tenth",
        )
        coverage.fill_between(
            [0, 1], [-TOLERANCE, 1 - TOLERANCE], [TOLERANCE, 1 + TOLERANCE], color="0.9"
        )
        coverage.plot([0, 1], [0, 1], "k--", linewidth=1)
        coverage.set(
            xlim=(0, 1),
            ylim=(0, 1),
            title=f"{data}: intervals",
            xlabel="share of scores the interval should hold",
            ylabel="share it holds",
        )
    axes[0, 0].legend(loc="upper left")
    figure.suptitle(
        "Held-out rows. Above: right of the line, scores are predicted too high.\n"
        "Below: on the line, intervals hold what they say; under it, less. "
        f"The grey band is ± {TOLERANCE:.2f}."
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
