"""Fit and judge the model that comes with the package.

    python benchmarks/make_embedded_model.py [--write PATH] [--repeats 3]

Trained on the scores of 946 THINGS photographs, each averaged with the mean score of all
photographs of its object (about 14, published with the set): one photograph's own score rests on
few responses, and the mean of its object steadies it. How much of each (``--own``) is chosen by
inner folds among 0, .25, .5, .75 and 1.

Printed is Spearman's correlation with the photographs' own scores, on five outer folds that keep
the photographs of an object together, drawn anew in each repetition: of a model fitted to own
scores alone, and of one whose share was chosen within each training part. Objects of a test fold
give nothing to training, neither photographs nor means. ``--write`` fits all photographs with the
share chosen by five folds and writes the file.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.metrics._rank import rank_correlation
from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import recommended_regressor

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Photographs:
    """Features, own scores, objects, and the mean score of each object."""

    def __init__(self) -> None:
        photographs, concepts = load_things_photographs(), load_things_concepts()
        mean = dict(zip(concepts.concepts, concepts.target, strict=True))
        self.X = photographs.data
        self.own = photographs.target
        self.groups = photographs.groups
        self.ceiling = photographs.ceiling
        self.of_object = np.array(
            [mean.get(name, own) for name, own in zip(self.groups, self.own, strict=True)]
        )

    def fit(self, rows: np.ndarray, share: float) -> Pipeline:
        """Fit the recommended regressor to a share of own scores and the rest of means."""
        model = recommended_regressor(score_range=(-1.0, 1.0), random_state=0)
        return model.fit(self.X[rows], self.target(rows, share))

    def fit_ridge(self, rows: np.ndarray, share: float) -> Pipeline:
        """Fit a ridge regression to the same."""
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(2, 6, 9)))
        return model.fit(self.X[rows], self.target(rows, share))

    def target(self, rows: np.ndarray, share: float) -> np.ndarray:
        """Return a share of own scores and the rest of means."""
        return share * self.own[rows] + (1 - share) * self.of_object[rows]

    def score(self, model: Pipeline, rows: np.ndarray) -> float:
        """Return the correlation with own scores."""
        return rank_correlation(self.own[rows], model.predict(self.X[rows]))

    def choose(self, rows: np.ndarray, n_folds: int) -> float:
        """Return the share that is best by inner folds."""
        folds = GroupKFold(n_folds, shuffle=True, random_state=1)
        found = np.zeros(len(SHARES))
        for train, test in folds.split(rows, groups=self.groups[rows]):
            for i, share in enumerate(SHARES):
                found[i] += self.score(self.fit_ridge(rows[train], share), rows[test])
        return SHARES[int(found.argmax())]


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    photographs = Photographs()
    rows = np.arange(len(photographs.own))
    own, chosen, shares = [], [], []
    for repeat in range(arguments.repeats):
        folds = GroupKFold(5, shuffle=True, random_state=repeat)
        for train, test in folds.split(rows, groups=photographs.groups):
            share = photographs.choose(train, 4)
            shares.append(share)
            own.append(photographs.score(photographs.fit(train, 1.0), test))
            chosen.append(photographs.score(photographs.fit(train, share), test))
    for name, found in (("own scores alone", own), ("share chosen within", chosen)):
        by_repeat = np.reshape(found, (arguments.repeats, 5))
        error = np.mean(by_repeat.std(axis=1, ddof=1)) / np.sqrt(5)
        print(f"{name:20} {np.mean(found):.3f} (standard error {error:.3f})")
    print(f"shares of own scores chosen: {shares}")
    print(f"no predictor can be expected to pass {photographs.ceiling}")
    if arguments.write:
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        share = photographs.choose(rows, 5)
        fitted = photographs.fit(rows, share)
        # The features are those of this transformer, which learns nothing from pictures.
        picture = np.zeros((1, 224, 224, 3), dtype=np.uint8)
        features = ImageFeatures().fit(picture)
        save(Pipeline([("features", features), *fitted.steps]), arguments.write)
        print(f"share {share}, written to {arguments.write}: {arguments.write.stat().st_size:,} B")


if __name__ == "__main__":
    main()
