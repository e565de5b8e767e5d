"""How much faster folds are side by side, and what repeats of folds cost in features.

    python benchmarks/parallel_folds.py [--jobs 2] [--repeats 3]

First, ``cross_val_score`` of the paper's network (batches of 16) over two times five
folds, one fold after the other and with ``n_jobs``. The fits are an even number, as
five folds on two cores can at best be 5 / 3 times as fast. Workers are started, and have
imported all they need, before the clock runs. Once torch has one thread in every
process, and once what it takes by default, which is one for each core; joblib gives the
workers ``cores / n_jobs``. Each figure is the least of the repeats. Run it on an idle
machine; the load before it is printed. Telling torch a number above one by
``torch.set_num_threads`` is another thing, and is not measured here.

Then, ten times five folds of a Pipeline from pictures to scores, with a cache and
without: how many pictures went through the network.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from _figures import Figure, add_json_option, timed, write_figures
from joblib import Parallel, delayed
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import RepeatedKFold, cross_val_score

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._networks import Network
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import knn_regressor, mlp_regressor

N_PICTURES = 20


def data_sets() -> Iterator[tuple[str, np.ndarray, np.ndarray, tuple[int, ...] | None]]:
    """Yield name, features, scores and the branches' widths of each set."""
    yield "concepts", *load_things_concepts(return_X_y=True), None
    photographs = load_things_photographs()
    yield "photographs", photographs.data, photographs.target, None
    # As many features as the paper's CNN + IC, whose steps are worth several threads.
    chance = np.random.default_rng(0)
    X = chance.normal(size=(1000, 5120)).astype(np.float32)
    yield "CNN + IC", X, 1 / (1 + np.exp(-X[:, :50].mean(axis=1))), (4096, 1024)


def seconds(model: Any, X: np.ndarray, y: np.ndarray, n_jobs: int, repeats: int) -> list[float]:
    """Return the time of ten fits, repeat by repeat."""
    folds = RepeatedKFold(n_splits=5, n_repeats=2, random_state=0)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        cross_val_score(model, X, y, cv=folds, scoring=spearman_scorer, n_jobs=n_jobs)
        times.append(time.perf_counter() - started)
    return times


def one_thread_of_torch(_: int) -> int:
    """Let a worker use one thread from now on, and return its process."""
    torch.set_num_threads(1)
    time.sleep(0.2)  # so that every worker gets one of these
    return os.getpid()


def warm(model: Any, X: np.ndarray, y: np.ndarray, n_jobs: int) -> None:
    """Start the workers and let them import what a fit needs."""
    model.set_params(model__max_epochs=1)
    cross_val_score(model, X[:100], y[:100], cv=2 * n_jobs, n_jobs=n_jobs)


def measure_speed(n_jobs: int, repeats: int) -> list[Figure]:
    """Print the time of folds one after the other and side by side."""
    figures = []
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load before the measurement {load:.2f}")
    print(f"{'':14}{'torch threads':>14}{'1 job, s':>10}{f'{n_jobs} jobs, s':>10}{'ratio':>8}")
    sets = [
        (name, mlp_regressor(branches=branches, random_state=0), X, y)
        for name, X, y, branches in data_sets()
    ]
    for _, model, X, y in sets:
        warm(clone(model), X, y, n_jobs)
    # What is told to torch stays, so what it does by default goes first.
    for said in ("default", "one"):
        if said == "one":
            torch.set_num_threads(1)
            Parallel(n_jobs=n_jobs)(delayed(one_thread_of_torch)(i) for i in range(2 * n_jobs))
        for name, model, X, y in sets:
            times = [seconds(model, X, y, jobs, repeats) for jobs in (1, n_jobs)]
            alone, shared = map(min, times)
            print(
                f"{name:14}{said:>14}{alone:10.2f}{shared:10.2f}{alone / shared:8.2f}", flush=True
            )
            figure = timed(
                f"{name}, torch threads {said}: {n_jobs} jobs, times as fast",
                times[1],
                times[0],
                peer_name="1 job",
                faster=True,
            )
            # As printed, of the least times.
            figures.append(replace(figure, ours=shared, peer=alone, ratio=alone / shared))
    return figures


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the pictures that go through a network of this process, batch by batch."""
    counts: list[int] = []
    features = Network.features

    def counting(self: Network, views: torch.Tensor) -> torch.Tensor:
        counts.append(len(views))
        return features(self, views)

    Network.features = counting  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        Network.features = features  # type: ignore[method-assign]


def measure_features() -> list[Figure]:
    """Print how many pictures go through the network in ten times five folds."""
    pictures = [Image.new("RGB", (64, 64), (12 * i, 0, 255 - 12 * i)) for i in range(N_PICTURES)]
    scores = np.linspace(0.2, 0.9, N_PICTURES)
    folds = RepeatedKFold(n_splits=5, n_repeats=10, random_state=0)
    print(f"\n10 x 5 folds of {N_PICTURES} pictures")
    passed = []
    with tempfile.TemporaryDirectory() as folder:
        for name, cache in (("with a cache", folder), ("without", None)):
            model = knn_regressor(ImageFeatures(cache=cache), n_neighbors=3)
            started = time.perf_counter()
            with counted() as counts:
                cross_val_score(model, pictures, scores, cv=folds, scoring=spearman_scorer)
            took = time.perf_counter() - started
            print(
                f"{name:14}{sum(counts):6} pictures through the network, {took:.1f} s", flush=True
            )
            passed.append(sum(counts))
    ours, peer = passed
    return [
        Figure(
            f"10 x 5 folds of {N_PICTURES} pictures, with a cache: through the network",
            ours,
            "lower",
            "pictures",
            peer=peer,
            peer_name="without a cache",
            ratio=ours / peer,
        )
    ]


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    add_json_option(parser)
    arguments = parser.parse_args()
    figures = measure_speed(arguments.jobs, arguments.repeats)
    figures += measure_features()
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
