"""
Features of millions of images with Ray Data
============================================

Ray Data partitions the images, streams them through actors that hold the transformer, does
again what a lost machine had, and writes the rows to Parquet files, whose sizes no memory
limits. Here Ray is started on this machine with two cores; ``ray.init("auto")`` joins a
cluster that runs. Needs the extras ``ray`` and ``embedded``, and pyarrow.
"""

# sphinx_gallery_thumbnail_path = "_static/workers.svg"
import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data

from sklearn_memorability import ImageFeatures
from sklearn_memorability.images import list_images


class Features:
    """An actor: it loads the network once, and computes rows of batches of paths."""

    def __init__(self, transformer: ImageFeatures) -> None:
        self.transformer = transformer

    def __call__(self, batch: dict[str, Any]) -> pa.Table:
        """Return a batch's rows; those of images that can't be read are NaN."""
        rows = self.transformer.transform(list(batch["path"]))
        lists = pa.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])
        return pa.table({"row": batch["row"], "path": batch["path"], "features": lists})


def main() -> None:
    """Write the features of a folder's images to a folder of Parquet files."""
    parser = argparse.ArgumentParser(description="Features with Ray Data.")
    parser.add_argument("folder", type=Path, help="images that all machines can read")
    parser.add_argument("output", type=Path, help="a new folder that all machines can write to")
    arguments = parser.parse_args()
    paths = [str(path.resolve()) for path in list_images(arguments.folder)]
    transformer = ImageFeatures(on_error="nan").fit(paths)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    images = ray.data.from_items([{"row": i, "path": path} for i, path in enumerate(paths)])
    actors = ray.data.ActorPoolStrategy(size=2)  # on a cluster: one for each core or GPU
    settings = {"batch_size": 64, "fn_constructor_args": (transformer,), "compute": actors}
    images.map_batches(Features, **settings).write_parquet(str(arguments.output.resolve()))
    ray.shutdown()

    table = pq.read_table(arguments.output).sort_by("row")  # parts end in any order
    features = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    print(f"{len(features)} images, {np.isfinite(features).all(axis=1).sum()} readable")


if __name__ == "__main__":
    main()
