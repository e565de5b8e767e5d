"""How soon a guided search finds what a random one finds, and how well it ends.

    python benchmarks/search.py [--searches "SVR, photographs" ...] [--seeds 10]
        [--candidates 30] [--jobs 2] [--quick]

``BayesSearchCV``, scikit-learn's ``RandomizedSearchCV`` and hyperopt's TPE, which the
paper used (``pip install hyperopt``), get the same spaces (``search_space``), the same
inner three folds and as many candidates. A seed draws the rows, the folds and the
candidates anew; nothing is kept from one run for another.

- ``memcat``: 1,000 rows with 267 features are searched on, 2,000 others held out. Needs
  a folder with ``memcat/features.npz``, named by MEMORABILITY_TEST_DATA.
- ``photographs``: 3 of 4 objects are searched on, with 1,280 features; the others are
  held out.

The networks make three passes in batches of 64, which keeps this affordable; the other
settings are those of the paper's space. ``BayesSearchCV`` starts from the estimator's
own settings where they lie in the space, which those of the networks do.

Printed are, as means over seeds, the best inner score, by which a search chooses, and
the score of its choice on the rows held out; then, against each of the others, the paired
differences with their standard errors; and after how many candidates ``BayesSearchCV``
is as good as ``RandomizedSearchCV`` with the same seed is in the end.

A run with the defaults takes about five minutes on two idle cores.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from _figures import Figure, add_json_option, scored, write_figures
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, UndefinedMetricWarning
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)

from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.metrics import spearman_score, spearman_scorer
from sklearn_memorability.model_selection import BayesSearchCV
from sklearn_memorability.pipelines import mlp_regressor, search_space, svr_regressor

N_FOLDS = 3
MEMCAT_ROWS, MEMCAT_HELD_OUT = 1000, 2000

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


class Found(NamedTuple):
    """What a search came to."""

    best: np.ndarray  # inner score of the best so far, after each candidate
    held_out: float
    seconds: float


def data_sets() -> dict[str, Rows]:
    """Return features, scores and groups of each set that is there."""
    photographs = load_things_photographs()
    found = {"photographs": (photographs.data, photographs.target, photographs.groups)}
    path = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "memcat" / "features.npz"
    if not path.is_file():
        print("memcat: not measured, its file is missing (see MEMORABILITY_TEST_DATA)")
        return found
    with np.load(path, allow_pickle=False) as arrays:
        y = arrays["y"].astype(float)
        return {"memcat": (arrays["X"], y, np.arange(len(y))), **found}


def models() -> dict[str, Any]:
    """Return what is tuned."""
    network = mlp_regressor(max_epochs=3, batch_size=64, random_state=0)
    return {"SVR": svr_regressor(cache_size=500), "MLP": network}


def draw(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Return the rows to search on and those held out."""
    X, y, groups = rows
    if len(np.unique(groups)) == len(y):
        splitter: Any = ShuffleSplit(
            1, train_size=MEMCAT_ROWS, test_size=MEMCAT_HELD_OUT, random_state=seed
        )
    else:
        splitter = GroupShuffleSplit(1, test_size=0.25, random_state=seed)
    first, second = next(splitter.split(X, y, groups))
    return (X[first], y[first], groups[first]), (X[second], y[second], groups[second])


def scikit_learn_way(search: Any, rows: Rows) -> tuple[np.ndarray, Any]:
    """Return the candidates' scores and the best estimator of a search."""
    X, y, groups = rows
    search.fit(X, y, groups=groups)
    return search.cv_results_["mean_test_score"], search.best_estimator_


def by_bayes(model: Any, space: dict[str, Any], folds: Any, n: int, seed: int, rows: Rows) -> Any:
    """Search with ``BayesSearchCV``."""
    search = BayesSearchCV(
        model, space, n_iter=n, cv=folds, scoring=spearman_scorer, random_state=seed
    )
    return scikit_learn_way(search, rows)


def by_chance(model: Any, space: dict[str, Any], folds: Any, n: int, seed: int, rows: Rows) -> Any:
    """Search with ``RandomizedSearchCV``."""
    search = RandomizedSearchCV(
        model, space, n_iter=n, cv=folds, scoring=spearman_scorer, random_state=seed
    )
    return scikit_learn_way(search, rows)


def by_hyperopt(
    model: Any, space: dict[str, Any], folds: Any, n: int, seed: int, rows: Rows
) -> Any:
    """Search with hyperopt's TPE as it is by default."""
    from hyperopt import Trials, fmin, hp, space_eval, tpe

    dimensions = {}
    for name, choices in space.items():
        if isinstance(choices, list):
            dimensions[name] = hp.choice(name, choices)
            continue
        low, high = choices.support()
        if choices.dist.name == "loguniform":
            dimensions[name] = hp.loguniform(name, np.log(low), np.log(high))
        else:
            dimensions[name] = hp.uniform(name, low, high)
    X, y, groups = rows

    def loss(params: dict[str, Any]) -> float:
        candidate = clone(model).set_params(**params)
        scores = cross_val_score(candidate, X, y, groups=groups, cv=folds, scoring=spearman_scorer)
        # hyperopt wants a number; a fit that failed orders nothing.
        return -float(np.nan_to_num(scores.mean(), nan=-1.0))

    trials = Trials()
    best = fmin(
        loss,
        dimensions,
        algo=tpe.suggest,
        max_evals=n,
        trials=trials,
        rstate=np.random.default_rng(seed),
        show_progressbar=False,
        verbose=False,
    )
    fitted = clone(model).set_params(**space_eval(dimensions, best)).fit(X, y)
    return -np.array(trials.losses()), fitted


SEARCHES: dict[str, Callable[..., Any]] = {
    "BayesSearchCV": by_bayes,
    "RandomizedSearchCV": by_chance,
    "hyperopt": by_hyperopt,
}


def run(name: str, model: Any, rows: Rows, n_candidates: int, seed: int) -> Found:
    """Search once, and measure the choice on the rows held out."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FitFailedWarning)
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    warnings.filterwarnings("ignore", message="One or more of the test scores are non-finite")
    searched, held_out = draw(rows, seed)
    space = search_space(model, n_features=rows[0].shape[1])
    folds = list(GroupKFold(N_FOLDS, shuffle=True, random_state=seed).split(*searched))
    started = time.perf_counter()
    scores, fitted = SEARCHES[name](model, space, folds, n_candidates, seed, searched)
    seconds = time.perf_counter() - started
    predicted = fitted.predict(held_out[0])
    best = np.fmax.accumulate(scores)
    return Found(best, spearman_score(held_out[1], predicted), seconds)


def standard_error(gaps: np.ndarray) -> float:
    """Return the standard error of a mean, not a number for one gap."""
    return float(gaps.std(ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else np.nan


def difference(ours: list[float], others: list[float]) -> str:
    """Return the mean of paired differences with its standard error."""
    gaps = np.subtract(ours, others)
    error = standard_error(gaps)
    worse = "  significantly worse" if gaps.mean() < -2 * error else ""
    return f"{gaps.mean():+.4f} ± {error:.4f}{worse}"


def candidates_needed(ours: np.ndarray, target: float) -> float:
    """Return after how many candidates a score is reached, infinity if never."""
    reached = np.flatnonzero(ours >= target)
    return reached[0] + 1 if len(reached) else np.inf


def report(title: str, found: dict[str, list[Found]]) -> list[Figure]:
    """Print what the searches on one set came to."""
    n_seeds, n_candidates = len(found["BayesSearchCV"]), len(found["BayesSearchCV"][0].best)
    print(f"\n{title}: {n_seeds} seeds, {n_candidates} candidates")
    print(f"{'':20}{'inner score':>12}{'held out':>10}{'s a search':>12}")
    inner = {name: [r.best[-1] for r in results] for name, results in found.items()}
    outer = {name: [r.held_out for r in results] for name, results in found.items()}
    for name, results in found.items():
        seconds = np.mean([r.seconds for r in results])
        print(f"{name:20}{np.mean(inner[name]):12.4f}{np.mean(outer[name]):10.4f}{seconds:12.1f}")
    print("BayesSearchCV less")
    for name in found:
        if name != "BayesSearchCV":
            print(f"  {name:20}inner {difference(inner['BayesSearchCV'], inner[name])}")
            print(f"  {'':20}held out {difference(outer['BayesSearchCV'], outer[name])}")
    pairs = zip(found["BayesSearchCV"], found["RandomizedSearchCV"], strict=True)
    needed = [candidates_needed(ours.best, theirs.best[-1]) for ours, theirs in pairs]
    shown = ", ".join("never" if np.isinf(n) else f"{n:.0f}" for n in sorted(needed))
    print(f"as good as RandomizedSearchCV in the end after (median) {np.median(needed):.1f}")
    print(f"  candidates, seed by seed: {shown}", flush=True)
    figures = [
        scored(
            f"{title}: {what}, beside {name}",
            scores["BayesSearchCV"],
            peer=float(np.mean(scores[name])),
            peer_name=name,
            # Seeds draw other rows, so what each came to differs far more than the searches do.
            error=standard_error(np.subtract(scores["BayesSearchCV"], scores[name])),
        )
        for what, scores in (("inner score", inner), ("held out", outer))
        for name in found
        if name != "BayesSearchCV"
    ]
    # Never is beyond the last candidate, and that has no ratio.
    median = float(np.median(needed))
    return [
        *figures,
        Figure(
            f"{title}: candidates until as good as the other in the end",
            median,
            "lower",
            "candidates",
            peer=n_candidates,
            peer_name="RandomizedSearchCV",
            ratio=median / n_candidates if np.isfinite(median) else None,
        ),
    ]


def tasks(
    arguments: argparse.Namespace,
) -> Iterator[tuple[str, tuple[str, Any, Rows, int, int]]]:
    """Yield each search's title and what ``run`` takes."""
    for data, rows in data_sets().items():
        for kind, model in models().items():
            title = f"{kind}, {data}"
            if arguments.searches and title not in arguments.searches:
                continue
            for seed in range(arguments.seeds):
                for name in SEARCHES:
                    yield title, (name, model, rows, arguments.candidates, seed)


def main() -> None:
    """Run all searches and print a table for each model and set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", nargs="+", help='such as "SVR, memcat" (default: all)')
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=2, help="searches side by side")
    parser.add_argument("--quick", action="store_true", help="3 seeds, 12 candidates")
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.candidates = 3, 12
    try:
        import hyperopt  # noqa: F401
    except ImportError:
        parser.error("hyperopt is not installed: pip install hyperopt")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers too
    todo = list(tasks(arguments))
    found: dict[str, dict[str, list[Found]]] = {}
    figures: list[Figure] = []
    results = Parallel(n_jobs=arguments.jobs, return_as="generator")(
        delayed(run)(*task) for _, task in todo
    )
    started = time.perf_counter()
    for done, ((title, task), result) in enumerate(zip(todo, results, strict=True), start=1):
        found.setdefault(title, {name: [] for name in SEARCHES})[task[0]].append(result)
        minutes = (time.perf_counter() - started) / 60
        print(f"{done} of {len(todo)} searches, {minutes:.1f} min", file=sys.stderr, flush=True)
        if done == len(todo) or todo[done][0] != title:
            figures += report(title, found[title])
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
