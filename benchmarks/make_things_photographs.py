"""Make the bundled file of ``datasets.load_things_photographs``.

Computes the ``efficientnet_lite0`` features of the 946 THINGS photographs and writes
them, as float16, with the names and scores, to one ``.npz`` file without any pickle:

    python benchmarks/make_things_photographs.py FOLDER

FOLDER holds ``images/*.jpg`` and ``scores.csv`` (image_name, concept, memorability).
The photographs themselves are third-party works and are not part of the project.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from sklearn_memorability.datasets import _things
from sklearn_memorability.features import ImageFeatures


def main() -> None:
    """Compute the features and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=_things.PHOTOGRAPHS)
    arguments = parser.parse_args()
    with (arguments.folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["image_name"])
    paths = [arguments.folder / "images" / row["image_name"] for row in rows]
    features = ImageFeatures("efficientnet_lite0", verbose=1).fit_transform(paths)
    np.savez_compressed(
        arguments.output,
        data=features.astype(np.float16),
        target=np.array([float(row["memorability"]) for row in rows]),
        image_names=np.array([row["image_name"] for row in rows]),
        concepts=np.array([row["concept"] for row in rows]),
    )
    print(f"{len(rows)} photographs, {features.shape[1]} features -> {arguments.output}")


if __name__ == "__main__":
    main()
