"""How soon a guided search finds what a random one finds, and how well it ends.

    python benchmarks/search.py [--seeds 10] [--candidates 30] [--jobs 2] [--quick]

``BayesSearchCV`` and scikit-learn's ``RandomizedSearchCV`` get the same spaces
(``search_space``), the same inner three folds and as many candidates. A seed draws the rows,
the folds and the candidates anew. On MemCat 1,000 rows are searched on and 2,000 held out
(from ``memcat/features.npz`` in the folder that MEMORABILITY_TEST_DATA names); of the
photographs a quarter of the objects is held out. The networks make three passes in batches
of 64. ``BayesSearchCV`` starts from the estimator's own settings where they lie in the space,
which those of the networks do.

Printed are means over seeds: the best inner score, by which a search chooses; the score of
the choice on the rows held out; the paired differences with their standard errors; and after
how many candidates ``BayesSearchCV`` is as good as the other is in the end.
"""

import argparse
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    RandomizedSearchCV,
    ShuffleSplit,
)

from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.metrics import spearman_score, spearman_scorer
from sklearn_memorability.model_selection import BayesSearchCV
from sklearn_memorability.pipelines import mlp_regressor, search_space, svr_regressor

SEARCHES = (BayesSearchCV, RandomizedSearchCV)


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, Any]]:
    """Return features, scores, groups and the splitter of each set that is there."""
    photographs = load_things_photographs()
    by_object = GroupShuffleSplit(1, test_size=0.25)
    rows = photographs.data, photographs.target, photographs.groups
    sets: dict[str, Any] = {"photographs": (*rows, by_object)}
    path = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "memcat" / "features.npz"
    if not path.is_file():
        print("memcat: not measured, its file is missing (see MEMORABILITY_TEST_DATA)")
        return sets
    with np.load(path, allow_pickle=False) as arrays:
        X, y = arrays["X"], arrays["y"].astype(float)
    splitter = ShuffleSplit(1, train_size=1000, test_size=2000)
    return {"memcat": (X, y, np.arange(len(y)), splitter), **sets}


def run(kind: Any, model: Any, data: Any, n_candidates: int, seed: int) -> tuple[np.ndarray, float]:
    """Return the best inner score after each candidate, and the choice's score held out."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    X, y, groups, splitter = data
    splitter.random_state = seed
    rows, held_out = next(splitter.split(X, y, groups))
    folds = GroupKFold(3, shuffle=True, random_state=seed)
    search = kind(
        model,
        search_space(model, n_features=X.shape[1]),
        n_iter=n_candidates,
        cv=list(folds.split(X[rows], y[rows], groups[rows])),
        scoring=spearman_scorer,
        random_state=seed,
    ).fit(X[rows], y[rows])
    best = np.fmax.accumulate(search.cv_results_["mean_test_score"])
    return best, spearman_score(y[held_out], search.predict(X[held_out]))


def report(title: str, ours: list[Any], others: list[Any]) -> None:
    """Print what both searches came to on one set, seed by seed."""
    print(f"\n{title}: {len(ours)} seeds, {len(ours[0][0])} candidates")
    print(f"{'':14}{'Bayes':>8}{'random':>8}  Bayes - random")
    for what, of in (("inner score", lambda r: r[0][-1]), ("held out", lambda r: r[1])):
        first, second = (np.array([of(result) for result in side]) for side in (ours, others))
        gaps = first - second
        error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
        print(f"{what:14}{first.mean():8.3f}{second.mean():8.3f}  {gaps.mean():+.3f} ± {error:.3f}")
    needed = []
    for (best, _), (target, _) in zip(ours, others, strict=True):
        reached = np.flatnonzero(best >= target[-1])
        needed.append(reached[0] + 1 if len(reached) else np.inf)
    never = int(np.isinf(needed).sum())
    print(f"as good as random in the end after (median) {np.median(needed):.0f} candidates")
    print(f"  never with {never} of {len(needed)} seeds", flush=True)


def main() -> None:
    """Run all searches and print a table for each model and set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=2, help="searches side by side")
    parser.add_argument("--quick", action="store_true", help="2 seeds, 6 candidates, SVR alone")
    arguments = parser.parse_args()
    models = {"SVR": svr_regressor(cache_size=500)}
    if arguments.quick:
        arguments.seeds, arguments.candidates = 2, 6
    else:
        models["MLP"] = mlp_regressor(max_epochs=3, batch_size=64, random_state=0)
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers too
    parallel = Parallel(n_jobs=arguments.jobs, max_nbytes=None)
    for name, data in data_sets().items():
        for title, model in models.items():
            found = parallel(
                delayed(run)(kind, model, data, arguments.candidates, seed)
                for kind in SEARCHES
                for seed in range(arguments.seeds)
            )
            report(f"{title}, {name}", found[: arguments.seeds], found[arguments.seeds :])


if __name__ == "__main__":
    main()
