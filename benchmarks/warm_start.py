"""What a small set of one's own adds to a model of many rows.

    python benchmarks/warm_start.py [--sets concepts memcat] [--own 50 100 300] [--draws 2]

A model (``recommended_regressor``) is fitted on many rows. Some own rows have scores
that were measured in another way (``0.1 + 0.6 * score``). What then orders and
predicts the remaining own rows best: the model as it is, ``recalibrate``, a warm fit
of ten passes behind it, or a model of the own rows alone?

``concepts``: one half is the model's, the other half one's own; nothing is different
but the scale. ``memcat``: the model has 3,000 images of four categories, one's own
are of the fifth, each category in turn; needs MEMORABILITY_TEST_DATA.

Printed are means over draws (and categories): Spearman correlation, mean squared error
and the share of scores inside intervals of 90 %, on the own rows not used.
"""

import argparse
import copy
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import Pipeline

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.inspection import quantiles
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.pipelines import recommended_regressor

N_LARGE = 3000

Rows = tuple[np.ndarray, np.ndarray]


def settings(kind: str) -> Iterator[tuple[Rows, Rows]]:
    """Yield pairs of the model's rows and one's own."""
    if kind == "concepts":
        concepts = load_things_concepts()
        order = np.random.default_rng(0).permutation(len(concepts.target))
        halves = np.array_split(order, 2)
        yield tuple((concepts.data[half], concepts.target[half]) for half in halves)  # type: ignore[misc]
        return
    path = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "memcat" / "features.npz"
    if not path.is_file():
        print("memcat: not measured, its file is missing (see MEMORABILITY_TEST_DATA)")
        return
    with np.load(path, allow_pickle=False) as arrays:
        X, y, category = arrays["X"], arrays["y"].astype(float), arrays["category"]
    for own in np.unique(category):
        others = np.flatnonzero(category != own)
        many = np.random.default_rng(0).choice(others, N_LARGE, replace=False)
        yield (X[many], y[many]), (X[category == own], y[category == own])


def candidates(large: Pipeline, X: np.ndarray, y: np.ndarray) -> dict[str, Pipeline]:
    """Return every way to use own rows."""
    ways = {"as it is": large}
    moved = ways["recalibrate"] = copy.deepcopy(large)
    features = moved[:-1].transform(X)
    moved[-1].recalibrate(features, y)
    warm = ways["recalibrate, warm fit"] = copy.deepcopy(moved)
    warm[-1].set_params(warm_start=True, max_epochs=10).fit(features, y)
    ways["own rows alone"] = recommended_regressor(random_state=0).fit(X, y)
    return ways


def main() -> None:
    """Print a table for each kind of own rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["concepts", "memcat"])
    parser.add_argument("--own", nargs="+", type=int, default=[50, 100, 300], help="own rows")
    parser.add_argument("--draws", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for kind in arguments.sets:
        figures: dict[tuple[int, str], list[tuple[float, float, float]]] = {}
        for (X, y), (own_X, own_y) in settings(kind):
            large = recommended_regressor(random_state=0).fit(X, y)
            own_y = 0.1 + 0.6 * own_y
            for n_own in arguments.own:
                for draw in range(arguments.draws):
                    order = np.random.default_rng(draw).permutation(len(own_y))
                    mine, rest = order[:n_own], order[n_own:]
                    for name, model in candidates(large, own_X[mine], own_y[mine]).items():
                        predicted, truth = model.predict(own_X[rest]), own_y[rest]
                        low, high = quantiles(model, own_X[rest], (0.05, 0.95)).T
                        figures.setdefault((n_own, name), []).append(
                            (
                                spearman_score(truth, predicted),
                                mean_squared_error(truth, predicted),
                                float(np.mean((low <= truth) & (truth <= high))),
                            )
                        )
        if figures:
            print(f"\n{kind:10}{'own rows':>9}  {'':24}Spearman  MSE x 1000  in 90 %", flush=True)
        for (n_own, name), measured in figures.items():
            rank, error, inside = np.mean(measured, axis=0)
            print(f"{n_own:19}  {name:24}{rank:8.3f}{1000 * error:12.2f}{inside:8.3f}", flush=True)


if __name__ == "__main__":
    main()
