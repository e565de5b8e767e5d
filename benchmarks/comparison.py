"""How far folds are from the whole set, and how often comparisons of models are wrong.

    python benchmarks/comparison.py [--studies 400] [--scores FILE ...]

Folds: the Kolmogorov-Smirnov distance between the scores of a fold and of the whole set, of
the farthest fold, and the standard deviation of the folds' mean scores, over seeds. For the
bundled sets, simulated scores with many ties, and each file of ``--scores`` (text, a picture
and its score a line).

Comparisons: each study draws pictures with hidden features, scores that depend on them, and
models that see the features through noise of their own, of one strength. So all models are
equally good, though they differ on any one set of pictures. A test at 5 % should find a
difference in 5 % of studies. Another model has less noise; how often that is found is the
power. Three rounds of five shuffled folds are written 3 x 5. Models are ridge regressions in
closed form, and the tests those that ``compare`` uses.

Takes about two minutes on one core.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from _figures import Figure, add_json_option, scored, write_figures
from scipy.stats import rankdata, ttest_1samp
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.model_selection import StratifiedGroupScoreKFold, StratifiedScoreKFold
from sklearn_memorability.model_selection._paired import (
    bootstrap_test,
    corrected_t_test,
    holm,
    resample_means,
)

LEVEL = 0.05
DEFAULT = "3 x 5"
GROUPED = ("GroupKFold", "StratifiedGroup..., 10 bins")  # 10 is the default
Folds = list[tuple[np.ndarray, np.ndarray]]


def score_sets(files: list[Path]) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Yield a name, scores and groups of each set."""
    yield "THINGS concepts", load_things_concepts().target, None
    ties = np.random.default_rng(0).binomial(40, 0.6, size=300) / 40
    yield "40 responses", ties, None
    for path in files:
        yield path.name, np.loadtxt(path, usecols=1), None
    photographs = load_things_photographs()
    yield "THINGS photographs", photographs.target, photographs.groups


def quantiles(y: np.ndarray, n_bins: int) -> np.ndarray:
    """Return each score's quantile; equal scores share one."""
    return np.ceil(rankdata(y, method="max") / len(y) * n_bins)


def distances(y: np.ndarray, folds: Folds) -> tuple[float, float, int]:
    """Return the farthest fold's distance, the means' spread, and the sizes' range."""
    values = np.unique(y)

    def distribution(scores: np.ndarray) -> np.ndarray:
        return np.searchsorted(np.sort(scores), values, side="right") / len(scores)

    whole = distribution(y)
    far = max(np.abs(distribution(y[test]) - whole).max() for _, test in folds)
    sizes = [len(test) for _, test in folds]
    return far, float(np.std([y[test].mean() for _, test in folds])), max(sizes) - min(sizes)


def fold_makers(k: int, seed: int, y: np.ndarray, groups: np.ndarray | None) -> dict[str, Any]:
    """Return the folds of each way to make them."""
    how: dict[str, Any] = {"n_splits": k, "shuffle": True, "random_state": seed}
    if groups is None:
        return {
            "KFold": KFold(**how).split(y),
            "StratifiedKFold, 10 quantiles": StratifiedKFold(**how).split(y, quantiles(y, 10)),
            "StratifiedScoreKFold": StratifiedScoreKFold(**how).split(y, y),
        }
    return {
        "GroupKFold": GroupKFold(**how).split(y, y, groups),
        "groups dealt by mean score": deal(y, groups, k, seed),
        **{
            f"StratifiedGroup..., {n_bins} bins": StratifiedGroupScoreKFold(
                n_bins=n_bins, **how
            ).split(y, y, groups)
            for n_bins in (5, 10, 20, 100)
        },
    }


def measure_folds(files: list[Path]) -> list[Figure]:
    """Compare ways to make folds."""
    figures = []
    print("Folds: distance of the farthest, spread of mean scores, range of sizes (20 seeds)")
    print(
        f"  {'scores':20}{'pictures':>9}{'folds':>6}  {'way':30}{'distance':>9}{'spread':>9}  sizes"
    )
    for name, y, groups in score_sets(files):
        for k in (5, 10):
            found: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
            for seed in range(20):
                for way, folds in fold_makers(k, seed, y, groups).items():
                    found[way].append(distances(y, list(folds)))
            for way, measured in found.items():
                far, spread, sizes = np.mean(measured, axis=0)
                print(f"  {name:20}{len(y):9}{k:6}  {way:30}{far:9.4f}{spread:9.5f}{sizes:7.1f}")
            peer, ours = ("KFold", "StratifiedScoreKFold") if groups is None else GROUPED
            first, second = (float(np.mean([d[0] for d in found[way]])) for way in (ours, peer))
            figures.append(
                Figure(
                    f"{name}, {k} folds: distance of the farthest",
                    first,
                    "lower",
                    "",
                    peer=second,
                    peer_name=peer,
                    ratio=first / second,
                )
            )
    return figures


def deal(y: np.ndarray, groups: np.ndarray, k: int, seed: int) -> Folds:
    """Sort groups by mean score and give each of k neighbours to another fold."""
    members = np.unique(groups, return_inverse=True)[1]
    means = np.bincount(members, y) / np.bincount(members)
    blocks = StratifiedScoreKFold(k, shuffle=True, random_state=seed).split(means, means)
    inside = [np.isin(members, test) for _, test in blocks]
    return [(np.flatnonzero(~test), np.flatnonzero(test)) for test in inside]


def study(
    seed: int, n: int, n_features: int, noise: list[float], groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw each model's features, (n_models, n, n_features), and the scores."""
    chance = np.random.default_rng(seed)

    def draw(width: int) -> np.ndarray:
        own = chance.normal(size=(n, width))
        if groups is None:
            return own
        # Pictures of a group share half of every variance.
        common = chance.normal(size=(groups.max() + 1, width))[groups]
        return np.sqrt(0.5) * (common + own)

    hidden = draw(n_features)
    y = hidden.sum(axis=1) / np.sqrt(n_features) + draw(1)[:, 0]
    return np.array([hidden + strength * draw(n_features) for strength in noise]), y


def score_folds(
    X: np.ndarray, y: np.ndarray, folds: Folds
) -> tuple[np.ndarray, list[list[np.ndarray]], float]:
    """Return scores (n_folds, n_models), each model's predictions, test to train."""
    scores, predictions = [], []
    for train, test in folds:
        centre = X[:, train].mean(axis=1, keepdims=True)
        A = X[:, train] - centre
        squares = A.transpose(0, 2, 1) @ A + np.eye(A.shape[2])
        weights = np.linalg.solve(
            squares, A.transpose(0, 2, 1) @ (y[train] - y[train].mean())[:, None]
        )
        predicted = ((X[:, test] - centre) @ weights)[:, :, 0]
        ranks = rankdata(np.vstack([y[test], predicted]), axis=1)
        scores.append(np.corrcoef(ranks)[0, 1:])
        predictions.append(predicted)
    ratio = float(np.mean([len(test) / len(train) for train, test in folds]))
    return np.array(scores), [list(p) for p in zip(*predictions, strict=True)], ratio


def rounds(splitter: Any, y: np.ndarray, k: int, n: int, seed: int, groups: Any = None) -> Folds:
    """Return n rounds of k shuffled folds."""
    chance = np.random.RandomState(seed)
    return [
        fold
        for _ in range(n)
        for fold in splitter(k, shuffle=True, random_state=chance).split(y, y, groups)
    ]


def corrected(scores: np.ndarray, ratio: float) -> float:
    """Return the p-value of differences by the corrected test."""
    return corrected_t_test(scores, ratio).p_value


def tests_of_two(n_studies: int) -> list[Figure]:
    """Count false alarms and finds among two models, by test and folds."""
    noise = [1.0, 1.0, 0.75]
    ways = {
        "1 x 5": (5, 1),
        "3 x 5": (5, 3),
        "10 x 5": (5, 10),
        "1 x 10": (10, 1),
        "10 x 10": (10, 10),
    }
    p: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    means = []
    for seed in range(n_studies):
        X, y = study(seed, 250, 20, noise)
        for way, (k, n) in ways.items():
            folds = rounds(StratifiedScoreKFold, y, k, n, seed)
            scores, predictions, ratio = score_folds(X, y, folds)
            null, real = scores[:, 1] - scores[:, 0], scores[:, 2] - scores[:, 0]
            p["corrected t", way].append((corrected(null, ratio), corrected(real, ratio)))
            p["plain t", way].append(tuple(ttest_1samp(d, 0).pvalue for d in (null, real)))
            means.append(scores.mean(axis=0))
            if way not in ("1 x 5", "3 x 5"):
                continue
            resampled = resample_means(
                y, [test for _, test in folds], predictions, None, 400, np.random.RandomState(seed)
            )
            pair = tuple(
                bootstrap_test(0.0, resampled[:, i] - resampled[:, 0]).p_value for i in (1, 2)
            )
            p["bootstrap", way].append(pair)
    first, other, better = np.mean(means, axis=0)
    print(
        f"\nTwo models, 250 pictures, 20 features, {n_studies} studies at {LEVEL:.0%}. Mean"
        f"\nSpearman correlations {first:.3f} and {other:.3f} (equally good), {better:.3f} (better)"
    )
    print(f"  {'test':14}{'folds':10}{'false alarms':>13}{'power':>8}")
    for (test, way), values in sorted(p.items()):
        alarms, found = np.mean(np.array(values) < LEVEL, axis=0)
        default = "  <- the default" if (test, way) == ("corrected t", DEFAULT) else ""
        print(f"  {test:14}{way:10}{alarms:13.1%}{found:8.1%}{default}")
    ours, plain = (np.array(p[test, DEFAULT]) < LEVEL for test in ("corrected t", "plain t"))
    return [
        scored(
            f"two models, {DEFAULT}: {what}",
            ours[:, column],
            unit="of studies",
            better=better,
            peer=float(plain[:, column].mean()),
            peer_name="plain t",
        )
        for column, (what, better) in enumerate((("false alarms", "lower"), ("power", "higher")))
    ]


def sizes(n_studies: int) -> list[Figure]:
    """Count false alarms for other numbers of pictures and features, by rounds of folds."""
    print("\nFalse alarms, corrected t, two models")
    print(f"  {'pictures':>8}{'features':>9}{'Spearman':>9}{'1 x 5':>9}{DEFAULT:>8}{'10 x 5':>8}")
    figures = []
    for n, n_features in ((100, 10), (250, 5), (250, 60), (600, 20)):
        alarms, means = [], []
        for seed in range(n_studies):
            X, y = study(seed, n, n_features, [1.0, 1.0])
            scores, _, ratio = score_folds(X, y, rounds(StratifiedScoreKFold, y, 5, 10, seed))
            d = scores[:, 1] - scores[:, 0]
            alarms.append([corrected(d[: 5 * first], ratio) < LEVEL for first in (1, 3, 10)])
            means.append(scores.mean())
        one, three, ten = np.mean(alarms, axis=0)
        print(f"  {n:8}{n_features:9}{np.mean(means):9.3f}{one:9.1%}{three:8.1%}{ten:8.1%}")
        figures.append(
            scored(
                f"{n} pictures, {n_features} features, {DEFAULT}: false alarms",
                np.array(alarms)[:, 1],
                unit="of studies",
                better="lower",
            )
        )
    return figures


def tests_in_groups(n_studies: int) -> list[Figure]:
    """Count false alarms where pictures come in groups, by what makes the folds."""
    print("\nFalse alarms, corrected t, two models, 300 pictures in groups, 10 features")
    print(f"  {'groups':>6}  {'splitter':28}{'1 x 5':>9}{DEFAULT:>8}")
    figures = []
    for n_groups in (20, 100):
        found: dict[str, np.ndarray] = {}
        groups = np.arange(300) % n_groups
        for splitter in (StratifiedScoreKFold, StratifiedGroupScoreKFold, GroupKFold):
            given = None if splitter is StratifiedScoreKFold else groups
            alarms = []
            for seed in range(n_studies):
                X, y = study(seed, 300, 10, [1.0, 1.0], groups)
                scores, _, ratio = score_folds(X, y, rounds(splitter, y, 5, 3, seed, given))
                d = scores[:, 1] - scores[:, 0]
                alarms.append([corrected(d[:5], ratio) < LEVEL, corrected(d, ratio) < LEVEL])
            one, three = np.mean(alarms, axis=0)
            print(f"  {n_groups:6}  {splitter.__name__:28}{one:9.1%}{three:8.1%}")
            found[splitter.__name__] = np.array(alarms)[:, 1]
        figures.append(
            scored(
                f"{n_groups} groups, {DEFAULT}: false alarms",
                found["StratifiedGroupScoreKFold"],
                unit="of studies",
                better="lower",
                peer=float(found["GroupKFold"].mean()),
                peer_name="GroupKFold",
            )
        )
    return figures


def tests_of_many(n_studies: int) -> list[Figure]:
    """Count studies with any false alarm among several equally good models."""
    print(f"\nSeveral equally good models, corrected t, {DEFAULT}: studies with any false alarm")
    print(
        f"  {'models':>6}{'not adjusted':>14}{'Holm, with best':>17}{'Holm, all pairs':>17}"
        f"{'Holm, baseline':>16}"
    )
    figures = []
    for n_models in (4, 8):
        alarms = []
        for seed in range(n_studies):
            X, y = study(seed, 250, 10, [1.0] * n_models)
            scores, _, ratio = score_folds(X, y, rounds(StratifiedScoreKFold, y, 5, 3, seed))
            pairs = list(combinations(range(n_models), 2))
            p = np.array([corrected(scores[:, i] - scores[:, j], ratio) for i, j in pairs])
            best = scores.mean(axis=0).argmax()
            with_best = np.array([best in pair for pair in pairs])
            with_first = np.array([0 in pair for pair in pairs])
            alarms.append(
                [
                    p[with_best].min() < LEVEL,
                    holm(p[with_best]).min() < LEVEL,
                    holm(p)[with_best].min() < LEVEL,
                    holm(p[with_first]).min() < LEVEL,
                ]
            )
        rates = np.mean(alarms, axis=0)
        print(f"  {n_models:6}{rates[0]:14.1%}{rates[1]:17.1%}{rates[2]:17.1%}{rates[3]:16.1%}")
        figures.append(
            scored(
                f"{n_models} models, Holm, all pairs: any false alarm",
                np.array(alarms)[:, 2],
                unit="of studies",
                better="lower",
                peer=float(rates[0]),
                peer_name="not adjusted",
            )
        )
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400, help="studies a figure")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="see above")
    add_json_option(parser)
    arguments = parser.parse_args()
    started = time.process_time()
    figures = measure_folds(arguments.scores)
    for measure in (tests_of_two, sizes, tests_in_groups, tests_of_many):
        figures += measure(arguments.studies)
        print(f"  ({time.process_time() - started:.0f} s of processor time so far)", flush=True)
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
