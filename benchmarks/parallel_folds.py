"""How much faster folds are side by side.

    python benchmarks/parallel_folds.py [--jobs 2] [--repeats 3] [--quick]

``cross_val_score`` of the paper's network (batches of 16) over two times five folds, one fold
after the other and with ``n_jobs``. Workers are started, and have imported all they need, before
the clock runs. Each figure is the least of the repeats. Run it on an idle machine.
"""

import argparse
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import RepeatedKFold, cross_val_score

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor


def data_sets() -> Iterator[tuple[str, np.ndarray, np.ndarray, tuple[int, ...] | None]]:
    """Yield name, features, scores and the branches' widths of each set."""
    yield "concepts, 66 features", *load_things_concepts(return_X_y=True), None
    photographs = load_things_photographs()
    yield "photographs, 1,280 features", photographs.data, photographs.target, None
    # As many features as the paper's CNN + IC, whose steps are worth several threads.
    X = np.random.default_rng(0).normal(size=(1000, 5120)).astype(np.float32)
    yield "CNN + IC, 5,120 features", X, 1 / (1 + np.exp(-X[:, :50].mean(axis=1))), (4096, 1024)


def seconds(model: Any, X: np.ndarray, y: np.ndarray, n_jobs: int, repeats: int) -> float:
    """Return the least time of ten fits."""
    folds = RepeatedKFold(n_splits=5, n_repeats=2, random_state=0)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        cross_val_score(model, X, y, cv=folds, scoring=spearman_scorer, n_jobs=n_jobs)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="the concepts, once, one pass a fit")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load before the measurement {os.getloadavg()[0]:.2f}")
    print(f"{'':30}{'1 job, s':>10}{f'{arguments.jobs} jobs, s':>10}{'ratio':>8}")
    for name, X, y, branches in data_sets():
        model = mlp_regressor(branches=branches, random_state=0)
        if arguments.quick:
            model.set_params(model__max_epochs=1)
        warm = clone(model).set_params(model__max_epochs=1)
        cross_val_score(warm, X[:100], y[:100], cv=2 * arguments.jobs, n_jobs=arguments.jobs)
        repeats = 1 if arguments.quick else arguments.repeats
        alone, shared = (seconds(model, X, y, jobs, repeats) for jobs in (1, arguments.jobs))
        print(f"{name:30}{alone:10.2f}{shared:10.2f}{alone / shared:8.2f}", flush=True)
        if arguments.quick:
            break


if __name__ == "__main__":
    main()
