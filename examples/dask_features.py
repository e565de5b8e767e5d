"""
Features of millions of images with Dask
========================================

Dask partitions the images, sends the paths to its workers, does again what a lost worker had,
and writes the rows to Parquet files, whose sizes no memory limits. Here a cluster is started
on this machine with two workers; ``Client("tcp://...")`` joins one that runs. Needs the extras
``dask`` and ``embedded``, pandas and pyarrow.
"""

# sphinx_gallery_thumbnail_path = "_static/workers.svg"
import argparse
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from sklearn_memorability import ImageFeatures
from sklearn_memorability.images import list_images


def with_features(part: pd.DataFrame, transformer: ImageFeatures) -> pd.DataFrame:
    """Return a partition with its rows; those of images that can't be read are NaN."""
    names = transformer.get_feature_names_out()
    rows = transformer.transform(part["path"])  # a worker loads the network once
    return part.join(pd.DataFrame(rows, columns=names, index=part.index))


def main() -> None:
    """Write the features of a folder's images to a folder of Parquet files."""
    parser = argparse.ArgumentParser(description="Features with Dask.")
    parser.add_argument("folder", type=Path, help="images that all workers can read")
    parser.add_argument("output", type=Path, help="a folder that all workers can write to")
    arguments = parser.parse_args()
    paths = [str(path.resolve()) for path in list_images(arguments.folder)]
    transformer = ImageFeatures(on_error="nan").fit(paths)

    names = transformer.get_feature_names_out()
    meta = {"path": "string", **dict.fromkeys(names, "float32")}
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**settings) as cluster, Client(cluster):
        # On a cluster: some thousand images a partition.
        images = dd.from_pandas(pd.DataFrame({"path": paths}), npartitions=2)
        rows = images.map_partitions(with_features, transformer, meta=meta)
        rows.to_parquet(arguments.output.resolve())

    features = pd.read_parquet(arguments.output)[names]  # in the order of the paths
    print(f"{len(features)} images, {np.isfinite(features).all(axis=1).sum()} readable")


if __name__ == "__main__":
    main()
