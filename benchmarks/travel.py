"""How far a model travels: ready models, and an SVR fitted to each set, applied to every set.

    python benchmarks/travel.py [--models embedded resmem] [--cache FILE] [--figure FILE]

Printed is the matrix of ``experiments.table2``: Spearman's correlation with its bootstrap interval,
and its share of the ceiling that people's agreement sets. ``--figure`` is its heat map.

The sets lie in the folder that MEMORABILITY_TEST_DATA names. ``resmem`` needs ``pip install
resmem`` and a third of a second an image.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from sklearn_memorability.experiments import table2
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.inspection import TableDisplay
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.persistence import load, read_facts
from sklearn_memorability.pipelines import svr_regressor


def read(name: str) -> Bunch:
    """Return the images of a set, their scores, groups and people's agreement."""
    folder = Path(os.environ["MEMORABILITY_TEST_DATA"]) / name
    with open(folder / "scores.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    data = Bunch(
        images=[folder / "images" / row["image_name"] for row in rows],
        target=np.array([float(row["memorability"]) for row in rows]),
    )
    if name == "lnsim":  # the authors' 25 random halves of the participants
        with np.load(folder / "halves.npz") as halves:
            pairs = zip(halves["half1"], halves["half2"], strict=True)
            data.consistency = float(np.mean([spearman_score(*pair) for pair in pairs]))
    elif name == "memcat_images":  # a second crowd saw the same images
        second = [float(row["memoir_corrected"]) for row in rows]
        data.ceiling = spearman_score(data.target, second) ** 0.5
    else:  # published; an object's images stay together
        data.consistency, data.groups = 0.45, np.array([row["concept"] for row in rows])
    return data


def main() -> None:
    """Print the matrix and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["embedded"])
    parser.add_argument("--cache", default="build/features.sqlite", help="of features")
    parser.add_argument("--figure", type=Path, default=Path("docs/images/travel.png"))
    arguments = parser.parse_args()
    Path(arguments.cache).parent.mkdir(parents=True, exist_ok=True)
    folders = {"LNSIM": "lnsim", "MemCat": "memcat_images", "THINGS": "things_images"}
    models = {name: load(name) for name in arguments.models}
    for model in models.values():
        model[0].set_params(cache=arguments.cache, verbose=0)
    models["SVR"] = svr_regressor(ImageFeatures(layer="stages", cache=arguments.cache))
    trained_on = {name: read_facts(name)["trained_on"] for name in arguments.models}
    sets = {name: read(folder) for name, folder in folders.items()}
    table = table2(models, sets, trained_on=trained_on)
    print(table)
    TableDisplay.from_table(table).figure_.savefig(arguments.figure, dpi=100)


if __name__ == "__main__":
    main()
