"""
Pictures and folds on Ray
=========================

The same estimators as on one machine; ``joblib.parallel_config("ray")`` sends their work
to Ray. Here Ray is started on this machine with two cores; ``ray.init("auto")`` joins a
cluster that runs. Needs the extras ``ray`` and ``embedded``, and runs offline.
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
import ray
import sklearn.datasets
from ray.util.joblib import register_ray
from sklearn.model_selection import cross_val_score

from sklearn_memorability import ImageFeatures, spearman_scorer
from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.images import list_images
from sklearn_memorability.pipelines import mlp_regressor


def main() -> None:
    """Compute features, then score folds."""
    parser = argparse.ArgumentParser(description="Features and folds on Ray.")
    parser.add_argument("folder", type=Path, nargs="?", help="pictures that all workers can read")
    folder = parser.parse_args().folder or Path(sklearn.datasets.__file__).parent / "images"
    paths = list_images(folder)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()  # joblib knows Ray by name from here on

    # %%
    # Features
    # --------
    # Paths travel to the workers and rows come back, in the order of the paths. A worker
    # loads the network when its first pictures come, and keeps it.
    with joblib.parallel_config("ray"):
        features = ImageFeatures(n_jobs=-1, on_error="nan").fit_transform(paths)
    print(f"{features.shape[0]} pictures, {np.isfinite(features).all(axis=1).sum()} readable")

    # %%
    # Folds
    # -----
    # ``n_jobs`` belongs to the outermost search or cross-validation only.
    X, y = load_things_concepts(return_X_y=True)
    with joblib.parallel_config("ray"):
        scores = cross_val_score(
            mlp_regressor(random_state=0), X, y, scoring=spearman_scorer, n_jobs=-1
        )
    print(f"Spearman {scores.mean():.3f} over {len(scores)} folds")
    ray.shutdown()


if __name__ == "__main__":
    main()
