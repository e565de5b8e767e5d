"""
Pictures and folds on a Dask cluster
====================================

The same estimators as on one machine; ``joblib.parallel_config("dask")`` sends their
work to the cluster's workers. Here the cluster is two processes on this machine.
``Client("tcp://scheduler:8786")`` in its place, or one of ``dask_jobqueue``'s, is all
that another one needs. Needs the extras ``dask`` and ``embedded``, and runs offline.
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
import sklearn.datasets
from distributed import Client, LocalCluster
from sklearn.model_selection import cross_val_score

from sklearn_memorability import ImageFeatures, spearman_scorer
from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.images import list_images
from sklearn_memorability.pipelines import mlp_regressor


def main() -> None:
    """Compute features, then score folds."""
    # A script that starts processes needs this function: they import the script, too.
    parser = argparse.ArgumentParser(description="Features and folds on a Dask cluster.")
    parser.add_argument("folder", type=Path, nargs="?", help="pictures that all workers can read")
    folder = parser.parse_args().folder or Path(sklearn.datasets.__file__).parent / "images"
    paths = list_images(folder)

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster):
        # %%
        # Features
        # --------
        # Paths travel to the workers and rows come back, in the order of the paths. A
        # worker loads the network when its first pictures come, and keeps it.
        with joblib.parallel_config("dask"):
            features = ImageFeatures(n_jobs=-1, on_error="nan").fit_transform(paths)
        print(f"{features.shape[0]} pictures, {np.isfinite(features).all(axis=1).sum()} readable")

        # %%
        # Folds
        # -----
        # ``n_jobs`` belongs to the outermost search or cross-validation only.
        X, y = load_things_concepts(return_X_y=True)
        model = mlp_regressor(random_state=0)
        with joblib.parallel_config("dask"):
            scores = cross_val_score(model, X, y, scoring=spearman_scorer, n_jobs=-1)
        print(f"Spearman {scores.mean():.3f} over {len(scores)} folds")


if __name__ == "__main__":
    main()
