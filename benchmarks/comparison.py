"""How often comparisons of models are wrong, and how far folds are from the whole set.

    python benchmarks/comparison.py [--studies 400] [--quick]

Each study draws images with hidden features, scores that depend on them, and models that see the
features through noise of their own, of one strength. So the models are equally good, though they
differ on any one set of images: a test at 5 % should find a difference in 5 % of studies. Another
model has less noise; how often that is found is the power. Models are ridge regressions in closed
form, and the tests those that ``compare`` uses. Three rounds of five shuffled folds are "3 x 5".
About two minutes on one core.
"""

import argparse
from collections import defaultdict
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, rankdata, ttest_1samp
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.model_selection import StratifiedGroupScoreKFold, StratifiedScoreKFold
from sklearn_memorability.model_selection._paired import corrected_t_test, holm

LEVEL = 0.05
Folds = list[tuple[np.ndarray, np.ndarray]]


def measure_folds() -> None:
    """Print the distance of the farthest fold's scores from all, for ways to make folds."""
    y = load_things_concepts().target
    deciles = np.ceil(rankdata(y, method="max") / len(y) * 10)
    ways = {"KFold": (KFold, y), "StratifiedKFold, 10 quantiles": (StratifiedKFold, deciles)}
    ways["StratifiedScoreKFold"] = (StratifiedScoreKFold, y)
    print("THINGS concepts: Kolmogorov-Smirnov distance of the farthest of five folds, 20 seeds")
    for name, (kind, target) in ways.items():
        far = []
        for seed in range(20):
            folds = kind(5, shuffle=True, random_state=seed).split(y, target)
            far.append(max(ks_2samp(y[test], y).statistic for _, test in folds))
        print(f"  {name:30}{np.mean(far):.4f}")


def study(
    seed: int, n: int, n_features: int, noise: list[float], groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw each model's features, (n_models, n, n_features), and the scores."""
    rng = np.random.default_rng(seed)

    def draw(width: int) -> np.ndarray:
        own = rng.normal(size=(n, width))
        if groups is None:
            return own
        # Images of a group share half of every variance.
        return np.sqrt(0.5) * (rng.normal(size=(groups.max() + 1, width))[groups] + own)

    hidden = draw(n_features)
    y = hidden.sum(axis=1) / np.sqrt(n_features) + draw(1)[:, 0]
    return np.array([hidden + strength * draw(n_features) for strength in noise]), y


def score_folds(X: np.ndarray, y: np.ndarray, folds: Folds) -> tuple[np.ndarray, float]:
    """Return scores (n_folds, n_models), and the ratio of test to train."""
    scores = []
    for train, test in folds:
        centre = X[:, train].mean(axis=1, keepdims=True)
        A = X[:, train] - centre
        squares = A.transpose(0, 2, 1) @ A + np.eye(A.shape[2])
        target = A.transpose(0, 2, 1) @ (y[train] - y[train].mean())[:, None]
        predicted = ((X[:, test] - centre) @ np.linalg.solve(squares, target))[:, :, 0]
        ranks = rankdata(np.vstack([y[test], predicted]), axis=1)
        scores.append(np.corrcoef(ranks)[0, 1:])
    ratio = float(np.mean([len(test) / len(train) for train, test in folds]))
    return np.array(scores), ratio


def rounds(kind: Any, y: np.ndarray, k: int, n: int, seed: int, groups: Any = None) -> Folds:
    """Return n rounds of k shuffled folds."""
    rng = np.random.RandomState(seed)
    splitters = [kind(k, shuffle=True, random_state=rng) for _ in range(n)]
    return [fold for splitter in splitters for fold in splitter.split(y, y, groups)]


def two_models(n_studies: int) -> None:
    """Count false alarms and finds among two models, by test and folds."""
    ways = {"1 x 5": (5, 1), "3 x 5": (5, 3), "10 x 5": (5, 10), "10 x 10": (10, 10)}
    p: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for seed in range(n_studies):
        X, y = study(seed, 250, 20, [1.0, 1.0, 0.75])
        for way, (k, n) in ways.items():
            folds = rounds(StratifiedScoreKFold, y, k, n, seed)
            scores, ratio = score_folds(X, y, folds)
            gaps = [scores[:, i] - scores[:, 0] for i in (1, 2)]
            p["corrected t", way].append([corrected_t_test(d, ratio).p_value for d in gaps])
            p["plain t", way].append([ttest_1samp(d, 0).pvalue for d in gaps])
    print(f"\nTwo models, 250 images, 20 features, {n_studies} studies at {LEVEL:.0%}")
    print(f"  {'test':14}{'folds':10}{'false alarms':>13}{'power':>8}")
    for (test, way), values in sorted(p.items()):
        alarms, power = np.mean(np.array(values) < LEVEL, axis=0)
        print(f"  {test:14}{way:10}{alarms:13.1%}{power:8.1%}")


def in_groups(n_studies: int) -> None:
    """Count false alarms where images come in groups, by what makes the folds."""
    print("\nFalse alarms, corrected t, 3 x 5, two models, 300 images in 20 groups, 10 features")
    groups = np.arange(300) % 20
    for splitter in (StratifiedScoreKFold, StratifiedGroupScoreKFold, GroupKFold):
        given = None if splitter is StratifiedScoreKFold else groups
        alarms = []
        for seed in range(n_studies):
            X, y = study(seed, 300, 10, [1.0, 1.0], groups)
            scores, ratio = score_folds(X, y, rounds(splitter, y, 5, 3, seed, given))
            alarms.append(corrected_t_test(scores[:, 1] - scores[:, 0], ratio).p_value < LEVEL)
        print(f"  {splitter.__name__:28}{np.mean(alarms):8.1%}")


def many_models(n_studies: int) -> None:
    """Count studies with any false alarm among eight equally good models."""
    print("\nEight equally good models, corrected t, 3 x 5: studies with any false alarm")
    alarms, pairs = [], list(combinations(range(8), 2))
    for seed in range(n_studies):
        X, y = study(seed, 250, 10, [1.0] * 8)
        scores, ratio = score_folds(X, y, rounds(StratifiedScoreKFold, y, 5, 3, seed))
        gaps = [scores[:, i] - scores[:, j] for i, j in pairs]
        p = np.array([corrected_t_test(d, ratio).p_value for d in gaps])
        with_best = np.array([scores.mean(axis=0).argmax() in pair for pair in pairs])
        adjusted = [p[with_best], holm(p[with_best]), holm(p)[with_best]]
        alarms.append([values.min() < LEVEL for values in adjusted])
    names = ("not adjusted", "Holm, pairs with the best", "Holm, all pairs")
    for name, share in zip(names, np.mean(alarms, axis=0), strict=True):
        print(f"  {name:28}{share:8.1%}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400, help="studies a figure")
    parser.add_argument("--quick", action="store_true", help="10 studies a figure")
    arguments = parser.parse_args()
    measure_folds()
    for measure in (two_models, in_groups, many_models):
        measure(10 if arguments.quick else arguments.studies)


if __name__ == "__main__":
    main()
