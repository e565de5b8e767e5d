"""The rows of the paper's Table 1 on the 946 THINGS photographs.

    python benchmarks/table1_small.py [--repeats 3] [--jobs 2]

CNN is the ``efficientnet_lite0`` feature that comes with the package, IC its projection
by the bundled joint image-caption space, CNN + IC both (two branches where the model has
branches). The SVR is tuned by inner folds; nothing else is. Outer folds are five, grouped
by concept and drawn anew in each repetition.

Printed is the Spearman correlation, mean and standard error over repetitions and folds
(folds overlap between repetitions, so the error is of the five folds of one repetition,
averaged), and the difference of each IC row to its CNN row, fold by fold.
"""

import argparse
import warnings

import numpy as np
import torch
from _figures import Figure, add_json_option, write_figures
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.metrics import spearman_score, spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor


def models(branches: tuple[int, int] | None, jobs: int) -> dict[str, object]:
    """Return the models of one feature set."""
    ranges = {"score_range": (-1.0, 1.0), "random_state": 0, "branches": branches}
    svr = Pipeline([("scale", StandardScaler()), ("model", SVR(cache_size=500))])
    grid = {"model__C": [0.03, 0.1, 0.3], "model__epsilon": [0.02, 0.05]}
    inner = GroupKFold(4, shuffle=True, random_state=1)
    return {
        "SVR": GridSearchCV(svr, grid, scoring=spearman_scorer, cv=inner, n_jobs=jobs),
        "MLP, 2 classes": mlp_regressor(n_classes=2, **ranges),
        "MLP, 4 classes": mlp_regressor(n_classes=4, **ranges),
        "recommended": recommended_regressor(**ranges),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    photographs = load_things_photographs()
    cnn = np.asarray(photographs.data, dtype=np.float32)
    y, groups = photographs.target, photographs.groups
    ic = VisualSemanticEmbedding.load("flickr8k").transform(cnn)
    sets = {
        "CNN": (cnn, None),
        "IC": (ic, None),
        "CNN + IC": (np.hstack([cnn, ic]), (cnn.shape[1], ic.shape[1])),
    }
    folds = [
        split
        for repeat in range(arguments.repeats)
        for split in GroupKFold(5, shuffle=True, random_state=repeat).split(cnn, y, groups)
    ]
    results: dict[tuple[str, str], np.ndarray] = {}
    figures = []
    for features, (X, branches) in sets.items():
        for name, model in models(branches, arguments.jobs).items():
            scores = []
            for train, test in folds:
                fit_groups = {"groups": groups[train]} if name == "SVR" else {}
                fitted = clone(model).fit(X[train], y[train], **fit_groups)
                scores.append(spearman_score(y[test], fitted.predict(X[test])))
            results[features, name] = np.array(scores).reshape(arguments.repeats, 5)
            mean, error = mean_and_error(results[features, name])
            line = f"{features:10s} {name:16s} {mean:.3f} +- {error:.3f}"
            if features != "CNN":
                more, its_error = mean_and_error(results[features, name] - results["CNN", name])
                line += f"   minus CNN {more:+.3f} +- {its_error:.3f}"
            print(line, flush=True)
            title = f"{features}: {name}"
            figures.append(Figure(title, mean, "higher", "Spearman", spread=error, compared="ours"))
    write_figures(arguments.json, figures)


def mean_and_error(scores: np.ndarray) -> tuple[float, float]:
    """Return the mean, and the standard error of the five folds of a repetition, averaged."""
    errors = scores.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    return float(scores.mean()), float(errors.mean())


if __name__ == "__main__":
    main()
