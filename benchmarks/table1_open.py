"""The paper's Table 1 on images that anyone can get: LNSIM's landscapes and MemCat's.

    python benchmarks/table1_open.py [--rows paper baselines classes ours recommended ...]
        [--repeats 5] [--results table1_open.json] [--cache features.sqlite]
    python benchmarks/table1_open.py --markdown [--figure docs/images/table1_open.png]

CNN is ``efficientnet_lite0`` in place of VGG16, IC its projection by the bundled joint space of
images and captions, CNN + IC both (a branch each where the model has branches), "stages" four
layers. Shown is Spearman's correlation on the held-out images of five folds, five times anew.
The MLPs have the settings that the paper states, and the package's defaults elsewhere; one row is
tuned (learning rate, units). So is every baseline, by the same correlation on three inner folds of
each training part, over the grids of ``accuracy.py``, but epsilon is .05 in the SVR, the tree has
20 rows a leaf, and gradient boosting sees 100 principal components, for speed (it did better so on
one fold of LNSIM). The MLP for regression, untuned, has the layers and steps of that for classes.

Each fold's result is written to ``--results`` at once, and a run goes on where it was; a row is
shown once it has all folds. ``--rows published`` adds ResMem's features (``pip install resmem``;
it was trained on MemCat). The sets lie in the folder that MEMORABILITY_TEST_DATA names.
"""

import argparse
import json
import os
import warnings
from collections import namedtuple
from collections.abc import Iterable
from functools import cache, partial
from itertools import combinations, product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from accuracy import models
from layers import load
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, KFold, RepeatedKFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.experiments._published import MEMNET, TABLE_1
from sklearn_memorability.experiments._results import ResultTable
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.inspection import TableDisplay, class_proba
from sklearn_memorability.metrics import spearman_score, spearman_scorer, split_half_consistency
from sklearn_memorability.model_selection._paired import Estimate, corrected_t_test, holm
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor

SETS = {"lnsim": "LNSIM", "memcat_images": "MemCat"}
WIDTHS = {"CNN": 1280, "IC": 1024, "CNN + IC": 2304, "stages": 2688, "ResMem": 256}
MLP2, MLP4, MLP8 = (f"MLP, {k} classes" for k in (2, 4, 8))
TUNED, MEANS = f"{MLP4}, tuned", ", class means"
PAIRS = (("IC", "CNN"), ("CNN + IC", "CNN"), ("CNN + IC", "IC"))
CLAIMS = [((x, model), (y, model)) for x, y in PAIRS for model in ("SVR", MLP4)]
CLAIMS += [(("CNN", MLP4), ("CNN", model)) for model in ("SVR", "MLP, regression", MLP2, MLP8)]
CLAIMS += [(("CNN + IC", TUNED), ("CNN + IC", "SVR")), (("stages", "SVR"), ("CNN", "SVR"))]
CLAIMS += [((x, "recommended"), (x, "SVR")) for x in ("CNN", "CNN + IC", "stages")]
Row = namedtuple("Row", "group features model estimator grid", defaults=[None])


def all_rows() -> list[Row]:
    """Return the rows in the table's order."""
    mlp = partial(mlp_regressor, random_state=0)
    both = {"branches": (WIDTHS["CNN"], WIDTHS["IC"])}
    layers = {"hidden_layer_sizes": (256, 256), "batch_size": 16, "max_iter": 10}
    net = MLPRegressor(alpha=1.0, random_state=0, **layers)
    net = TransformedTargetRegressor(net, transformer=StandardScaler())
    grid = {"model__lr": [3e-4, 1e-3], "model__branch_sizes": [(64,), (256,)]}
    rows = [tuned("paper", "CNN", "SVR"), tuned("paper", "IC", "SVR")]
    rows += [Row("paper", "CNN", f"MLP, {k} classes", mlp(n_classes=k)) for k in (2, 4)]
    rows += [Row("paper", "IC", MLP4, mlp()), Row("paper", "CNN + IC", MLP4, mlp(**both))]
    names = ("ridge", "KNN", "decision tree", "gradient boosting")
    rows += [tuned("baselines", "CNN", name) for name in names]
    rows += [Row("baselines", "CNN", "MLP, regression", make_pipeline(StandardScaler(), net))]
    rows += [tuned("baselines", "CNN + IC", "SVR")]
    rows += [Row("classes", "CNN", f"MLP, {k} classes", mlp(n_classes=k)) for k in (3, 5, 6, 7, 8)]
    rows += [Row("ours", "CNN + IC", TUNED, mlp(**both), grid)]
    rows += [tuned("ours", "stages", name) for name in ("SVR", "ridge")]
    for features, params in (("CNN", {}), ("CNN + IC", both), ("stages", {})):
        model = recommended_regressor(random_state=0, **params)
        rows += [Row("recommended", features, "recommended", model)]
    return [*rows, tuned("published", "ResMem", "SVR")]


def tuned(group: str, features: str, name: str) -> Row:
    """Return the row of a baseline, with a smaller grid than in ``accuracy.py`` if it is slow."""
    model, grid = models(WIDTHS[features])[name]
    if name == "SVR":
        # The same kernel by a product of matrices, which is several times as fast as libsvm's.
        kernels = [partial(rbf_kernel, gamma=gamma) for gamma in grid.pop("model__gamma")]
        grid |= {"model__kernel": kernels, "model__epsilon": [0.05]}
    elif name == "decision tree":
        grid["model__min_samples_leaf"] = [20]
    elif name == "gradient boosting":
        model.steps.insert(1, ("components", PCA(100, random_state=0)))
    return Row(group, features, name, model, grid)


@cache
def matrix(data: str, features: str, kept: str | None) -> np.ndarray:
    """Return the features of a set's images."""
    paths = load(data)[0]
    if features == "ResMem":
        return ImageFeatures("resmem", cache=kept).fit_transform(paths)
    stages = ImageFeatures(layer="stages", cache=kept).fit_transform(paths)
    cnn = stages[:, -WIDTHS["CNN"] :]  # the last of the stages is the default layer
    ic = VisualSemanticEmbedding.load("flickr8k").transform(cnn)
    return {"CNN": cnn, "IC": ic, "CNN + IC": np.hstack([cnn, ic]), "stages": stages}[features]


def measure(row: Row, X: Any, y: np.ndarray, train: Any, test: Any) -> dict[str, dict[str, float]]:
    """Return a fold's figures by model: of classes also with the classes' means as values."""
    model = clone(row.estimator)
    if row.grid:
        inner = KFold(3, shuffle=True, random_state=1)
        model = GridSearchCV(model, row.grid, scoring=spearman_scorer, cv=inner)
    predicted = {row.model: model.fit(X[train], y[train]).predict(X[test])}
    if row.model.endswith(" classes"):
        classes = np.searchsorted(model[-1].thresholds_, y[train])
        means = [y[train][classes == k].mean() for k in range(model[-1].n_classes_)]
        predicted[row.model + MEANS] = class_proba(model, X[test]) @ means
    return {
        name: {"spearman": float(spearman_score(y[test], p)), "bias": float(np.mean(p - y[test]))}
        for name, p in predicted.items()
    }


def ceiling(data: str) -> float:
    """Return what people's agreement lets a prediction reach."""
    folder = Path(os.environ["MEMORABILITY_TEST_DATA"], data)
    if data == "lnsim":
        with np.load(folder / "halves.npz") as halves:
            return split_half_consistency(halves=(halves["half1"], halves["half2"])).ceiling
    counts = pd.read_csv(folder / "scores.csv")
    yes = counts[["hits", "false_alarms"]]
    no = {"misses": counts["n_resp"] - yes["hits"]}
    no["correct_rejections"] = counts["n_resp"] - yes["false_alarms"]
    return split_half_consistency(**yes, **no, correction="difference", random_state=0).ceiling


def show(results: dict[str, dict[str, float]], n_folds: int, figure: Path | None) -> None:
    """Print the rows and the paper's claims as tables in Markdown, and draw the rows."""

    def of_folds(data: str, name: Any, what: str = "spearman") -> np.ndarray:
        keys = [f"{data} / {name[0]} / {name[1]} / {i}" for i in range(n_folds)]
        return np.array([results.get(key, {}).get(what, np.nan) for key in keys])

    papers = {row[1:3]: row.paper for row in (*TABLE_1, MEMNET)}
    groups = {row[1:3]: row.group for row in all_rows()} | {("CNN", MLP4 + MEANS): "classes"}
    rows = {x: {"features": x[0], "model": x[1], "paper": papers.get(x)} for x in papers | groups}
    claims = [{"row": ", ".join(row), "less": ", ".join(other)} for row, other in CLAIMS]
    axes = plt.subplots(1, 2, figsize=(10, 6), layout="constrained")[1]
    for (data, title), ax in zip(SETS.items(), axes, strict=True):
        most, drawn = ceiling(data), {}
        found = {name: of_folds(data, name) for name in groups}
        found = {name: scores for name, scores in found.items() if not np.isnan(scores).any()}
        tested = [name for name in found if groups[name] != "classes"]
        best = max(tested, key=lambda name: found[name].mean())
        pairs = list(combinations(tested, 2))
        _, p_values = test([found[a] - found[b] for a, b in pairs])
        against = dict(zip(map(frozenset, pairs), p_values, strict=True))
        for name, (mean, error, *_) in zip(found, test(found.values())[0], strict=True):
            drawn[name] = {**rows[name], "spearman": mean, "standard_error": error}
            rows[name][title] = f"{mean:.3f} ± {error:.3f} ({mean / most:.2f})"
            rows[name][f"{title}: p"] = against.get(frozenset((name, best)))
            rows[name][f"{title}: bias"] = float(of_folds(data, name, "bias").mean())
        gains = [of_folds(data, row) - of_folds(data, other) for row, other in CLAIMS]
        for claim, (mean, _, low, high, _), p in zip(claims, *test(gains), strict=True):
            if not np.isnan(mean):
                claim |= {title: f"{mean:+.3f} ({low:+.3f} to {high:+.3f})", f"{title}: p": p}
        TableDisplay([drawn[x] for x in tested], title=f"{title}, ceiling {most:.2f}").plot(ax)
    for table in (list(rows.values()), claims):
        table = [row for row in table if len(row) > 3 or row.get("paper")]
        print(ResultTable("", table, {x: x for row in table for x in row}))
    if figure:
        plt.savefig(figure, dpi=75, pil_kwargs={"optimize": True})


def test(differences: Iterable[np.ndarray]) -> tuple[list[Estimate], list[float]]:
    """Return means with corrected tests, and p-values by Holm's procedure."""
    estimates = [corrected_t_test(each, 1 / 4) for each in differences]
    return estimates, holm(np.array([each.p_value for each in estimates])).tolist()


def main() -> None:
    """Measure what is not yet measured, or show what is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    groups = list(dict.fromkeys(row.group for row in all_rows()))
    parser.add_argument("--rows", nargs="+", choices=groups, default=groups[:-1])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", dest="repeats", action="store_const", const=1, help="one repeat")
    parser.add_argument("--results", type=Path, default=Path("table1_open.json"))
    parser.add_argument("--cache", help="of features")
    parser.add_argument("--markdown", action="store_true", help="only show what is there")
    parser.add_argument("--figure", type=Path, help="draw the rows there")
    arguments = parser.parse_args()
    file = arguments.results

    def read() -> dict[str, dict[str, float]]:
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of MLPs that have not converged, and constant predictions
    cv = RepeatedKFold(n_splits=5, n_repeats=arguments.repeats, random_state=0)
    for fold, data in product(range(0 if arguments.markdown else 5 * arguments.repeats), SETS):
        y = load(data)[1]
        train, held_out = list(cv.split(y))[fold]
        for row in all_rows():
            start = f"{data} / {row.features} / "
            if row.group in arguments.rows and f"{start}{row.model} / {fold}" not in read():
                X = matrix(data, row.features, arguments.cache)
                found = measure(row, X, y, train, held_out)
                new = {f"{start}{model} / {fold}": figures for model, figures in found.items()}
                print(json.dumps(new), flush=True)
                part = file.with_suffix(".part")
                part.write_text(json.dumps(read() | new), encoding="utf-8")
                part.replace(file)
    show(read(), 5 * arguments.repeats, arguments.figure)


if __name__ == "__main__":
    main()
