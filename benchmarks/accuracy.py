"""How well models order scores they have not seen, beside tuned baselines.

    python benchmarks/accuracy.py [--sets concepts photographs ...] [--results FILE.json]
        [--jobs 2] [--quick]

Outer five folds (by concept for the photographs), Spearman correlation and mean squared
error, mean over folds. The paper's settings and the recommended regressor are used as
they are; every baseline is tuned by a grid on inner five folds of each training part,
in ``--jobs`` processes.

``memcat`` needs a folder with ``memcat/features.npz``, named by MEMORABILITY_TEST_DATA.
The recommended settings were developed on one half of its rows (a fixed permutation);
the subsets of 300, 1,000 and 3,000 rows are drawn from the other half. Of the bundled sets,
inner folds of these outer ones were used in development.

Results are kept in the file given, so an interrupted run goes on where it was.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.metrics import spearman_score, spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor

SUBSETS = {300: 5, 1000: 3, 3000: 1}


def data_sets() -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]]:
    """Yield name, features, scores and groups of each set; draws share a name."""
    concepts = load_things_concepts()
    yield "concepts", concepts.data, concepts.target, None
    photographs = load_things_photographs()
    yield "photographs", photographs.data, photographs.target, photographs.groups
    folder = Path(os.environ.get("MEMORABILITY_TEST_DATA", ""))
    path = folder / "memcat" / "features.npz"
    if not path.is_file():
        print("memcat: not measured, its file is missing (see MEMORABILITY_TEST_DATA)")
        return
    with np.load(path, allow_pickle=False) as arrays:
        X, y = arrays["X"].astype(np.float32), arrays["y"].astype(float)
    others = np.random.default_rng(12345).permutation(len(y))[len(y) // 2 :]
    for n_rows, n_draws in SUBSETS.items():
        for draw in range(n_draws):
            rows = np.random.default_rng(draw).choice(others, n_rows, replace=False)
            yield f"memcat {n_rows}", X[rows], y[rows], None
    yield f"memcat {len(y)}", X, y, None


def models(n_features: int) -> dict[str, tuple[Any, dict[str, list[Any]] | None]]:
    """Return each model with the grid to tune it by, None for no tuning."""
    found: dict[str, tuple[Any, dict[str, list[Any]] | None]] = {
        f"paper, K = {k}": (mlp_regressor(n_classes=k, random_state=0), None) for k in (2, 4, 8)
    }
    found["recommended"] = (recommended_regressor(random_state=0), None)

    def scaled(model: Any, **grid: list[Any]) -> tuple[Any, dict[str, list[Any]]]:
        pipeline = Pipeline([("scale", StandardScaler()), ("model", model)])
        return pipeline, {f"model__{name}": values for name, values in grid.items()}

    # Around gamma="scale", which is 1 / n_features on scaled features.
    found["SVR"] = scaled(
        SVR(cache_size=1000),
        C=[0.03, 0.1, 0.3, 1.0],
        gamma=[times / n_features for times in (0.3, 1.0, 3.0)],
        epsilon=[0.02, 0.05],
    )
    found["ridge"] = scaled(Ridge(), alpha=[1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6])
    found["KNN"] = scaled(KNeighborsRegressor(weights="distance"), n_neighbors=[5, 10, 20, 40, 80])
    found["decision tree"] = scaled(
        DecisionTreeRegressor(random_state=0), max_depth=[2, 4, 6], min_samples_leaf=[5, 20, 50]
    )
    found["gradient boosting"] = scaled(
        HistGradientBoostingRegressor(max_iter=100, random_state=0),
        learning_rate=[0.03, 0.1],
        max_leaf_nodes=[7, 31],
    )
    found["MLPRegressor"] = scaled(
        MLPRegressor(early_stopping=True, max_iter=100, random_state=0),
        alpha=[1e-3, 1e-1, 10.0],
        learning_rate_init=[1e-3, 1e-2],
    )
    return found


def measure(
    model: Any,
    grid: dict[str, list[Any]] | None,
    X: np.ndarray,
    y: np.ndarray,
    groups: Any,
    jobs: int,
) -> dict[str, list[float]]:
    """Return Spearman correlation, squared error and fit time on each outer fold."""

    def folds(seed: int, groups: Any) -> Any:
        splitter = KFold if groups is None else GroupKFold
        return splitter(5, shuffle=True, random_state=seed)

    found: dict[str, list[float]] = {"spearman": [], "mse": [], "seconds": []}
    for train, test in folds(0, groups).split(X, y, groups):
        started = time.perf_counter()
        inner_groups = None if groups is None else groups[train]
        if grid is None:
            fitted = clone(model).fit(X[train], y[train])
        else:
            search = GridSearchCV(
                model, grid, scoring=spearman_scorer, cv=folds(1, inner_groups), n_jobs=jobs
            )
            fitted = search.fit(X[train], y[train], groups=inner_groups)
        found["seconds"].append(time.perf_counter() - started)
        predicted = fitted.predict(X[test])
        found["spearman"].append(spearman_score(y[test], predicted))
        found["mse"].append(mean_squared_error(y[test], predicted))
    return found


def report(results: dict[str, dict[str, dict[str, list[float]]]]) -> None:
    """Print a table for each measure, and the difference to the best tuned baseline."""
    names = list(next(iter(results.values())))
    for measure_name, better, scale in (("spearman", max, 1), ("mse", min, 1000)):
        print(f"\n{measure_name}{' x 1000' if scale > 1 else ''}, mean over outer folds")
        print(f"{'':20}" + "".join(f"{name:>16}" for name in results))
        means = {
            data: {m: float(np.mean(found[measure_name])) for m, found in by_model.items()}
            for data, by_model in results.items()
        }
        for name in names:
            row = [f"{scale * means[data].get(name, np.nan):16.3f}" for data in results]
            print(f"{name:20}" + "".join(row))
        baselines = [n for n in names if not n.startswith(("paper", "recommended"))]
        gaps = []
        for data in results:
            best = better(means[data][name] for name in baselines if name in means[data])
            gaps.append(means[data]["recommended"] - best)
        print(f"{'minus best baseline':20}" + "".join(f"{scale * gap:+16.3f}" for gap in gaps))
        print(f"on average {scale * np.mean(gaps):+.4f}")
    print("\nstandard error of the Spearman correlation over the folds (recommended)")
    for data, by_model in results.items():
        found = by_model["recommended"]["spearman"]
        print(f"  {data:16} {np.std(found, ddof=1) / np.sqrt(len(found)):.3f}")


def main() -> None:
    """Measure what is not yet measured, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", help="names, as in the table (default: all)")
    parser.add_argument("--results", type=Path, default=Path("accuracy.json"))
    parser.add_argument("--jobs", type=int, default=2, help="processes of the inner searches")
    parser.add_argument("--quick", action="store_true", help="the concepts, fewer baselines")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sets = ["concepts"]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers too
    done = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    tables: dict[str, dict[str, dict[str, list[float]]]] = {}
    draws: dict[str, int] = {}
    for name, X, y, groups in data_sets():
        if arguments.sets and name not in arguments.sets:
            continue
        draw = draws[name] = draws.get(name, -1) + 1
        for model_name, (model, grid) in models(X.shape[1]).items():
            if arguments.quick and model_name not in ("paper, K = 4", "recommended", "ridge"):
                continue
            key = f"{name} / {draw} / {model_name}"
            if key not in done:
                done[key] = measure(model, grid, X, y, groups, arguments.jobs)
                arguments.results.write_text(json.dumps(done))
                print(
                    f"{key:45} {np.mean(done[key]['spearman']):.3f} "
                    f"({np.mean(done[key]['seconds']):.1f} s a fold)",
                    flush=True,
                )
            table = tables.setdefault(name, {}).setdefault(model_name, {})
            for figure, values in done[key].items():
                table.setdefault(figure, []).extend(values)
    report(tables)


if __name__ == "__main__":
    main()
