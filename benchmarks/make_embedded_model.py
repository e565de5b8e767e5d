"""Make the model that comes with the package, and measure it.

    python benchmarks/make_embedded_model.py --work FOLDER [--folds 5] [--n-jobs 2] [--write]

The data are those of ``MEMORABILITY_TEST_DATA``: the images and scores of LNSIM (outdoor scenes), of
MemCat (those that were shown to a second crowd, MemOIR, too) and of THINGS (objects), and Flickr8k's
images. Two regressors that agree little are averaged:

- an SVR on ``efficientnet_lite0``'s features of several layers, and
- the network fine-tuned from its ninth block on (``FineTunedRegressor``), its targets half the scores
  and half what SVRs of other folds predict.

A head of two hidden branches then learns what the two say together of the images, of crops of them
and of Flickr8k's, with the spread that their errors on held-out images have in each set. With
``--folds`` the first two are fitted to each training part and judged on the images left out (an
object's images stay together); their errors are kept in the folder ``--work``, and so is every
step, so that a run goes on where it was stopped. ``--write`` puts the network's half and the model
into the package. Settings were chosen on two of the folds and by nothing else.
"""

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save
from scipy.stats import spearmanr
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

import sklearn_memorability
from sklearn_memorability import BalancedQuantileClassifierRegressor
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._backbones import _place
from sklearn_memorability.finetuning import FineTunedRegressor
from sklearn_memorability.metrics import spearman_interval
from sklearn_memorability.persistence import load
from sklearn_memorability.persistence import save as save_model

SETS = {"lnsim": "landscapes", "memcat_images": "MemCat", "things_images": "objects"}
LAYERS = [*(f"_blocks.{i}" for i in range(8, 16)), "pool"]
PACKAGE = Path(sklearn_memorability.__file__).parent
OWN_SHARE = 0.25  # of an object's image's own score; the rest is the mean of its object's images
LEVELS = (np.arange(6) + 0.5) / 6  # of the errors that are added to each image's prediction
CROPS = 2


def read_pool(data: Path) -> pd.DataFrame:
    """Return a row an image: path, set, published score, target, group, category."""
    parts = []
    for name, label in SETS.items():
        table = pd.read_csv(data / name / "scores.csv")
        table["path"] = [str(data / name / "images" / image) for image in table["image_name"]]
        table["set"], table["group"], table["target"] = label, table["image_name"], table.memorability
        if name == "memcat_images":
            # The second crowd's scores on the scale of the first's, by numbers of responses.
            second, first = table.memoir_corrected, table.memorability
            second = (second - second.mean()) / second.std() * first.std() + first.mean()
            weight = table.memoir_n_resp / (table.memoir_n_resp + table.n_resp)
            table["target"] = weight * second + (1 - weight) * first
        if name == "things_images":
            concepts = pd.read_csv(data / "things_concepts" / "concepts.csv.gz")
            mean = table.concept.map(concepts.set_index("concept").memorability)
            table["target"] = OWN_SHARE * table.memorability + (1 - OWN_SHARE) * mean
            table["group"] = table.concept
        if "category" not in table:
            table["category"] = label
        parts.append(table[["path", "set", "memorability", "target", "group", "category"]])
    return pd.concat(parts, ignore_index=True)


def split(pool: pd.DataFrame, n_folds: int) -> np.ndarray:
    """Return each image's fold; a set is spread evenly, a group stays together."""
    fold = np.zeros(len(pool), dtype=int)
    for label in SETS.values():
        rows = np.flatnonzero(pool["set"] == label)
        folds = GroupKFold(n_folds, shuffle=True, random_state=0)
        for i, (_, test) in enumerate(folds.split(rows, groups=pool.group[rows])):
            fold[rows[test]] = i
    return fold


def fit_svr(features: np.ndarray, target: np.ndarray) -> Pipeline:
    """Fit the one member."""
    model = SVR(C=0.15, epsilon=0.02, gamma=1 / features.shape[1], cache_size=1000)
    return make_pipeline(StandardScaler(), model).fit(features, target)


def fit_network(pool: pd.DataFrame, features: np.ndarray, rows: np.ndarray) -> FineTunedRegressor:
    """Fit the other."""
    target = pool.target.to_numpy()
    others = np.zeros(len(pool))
    for train, test in GroupKFold(5, shuffle=True, random_state=1).split(rows, groups=pool.group[rows]):
        others[rows[test]] = fit_svr(features[rows[train]], target[rows[train]]).predict(
            features[rows[test]]
        )
    # 48 of 98 layers with weights: the stem and the first eight blocks.
    model = FineTunedRegressor(frozen=48 / 98, max_epochs=6, score_range=(-0.2, 1), random_state=0)
    return model.fit(pool.path[rows].tolist(), (target[rows] + others[rows]) / 2)


def judge(pool: pd.DataFrame, features: np.ndarray, fold: np.ndarray, i: int, work: Path) -> None:
    """Predict a fold's images by members fitted to the others."""
    torch.set_num_threads(1)
    train, test = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
    svr = fit_svr(features[train], pool.target[train]).predict(features[test])
    network = fit_network(pool, features, train).predict(pool.path[test].tolist())
    np.savez(work / f"fold{i}.npz", rows=test, svr=svr, network=network)
    report(pool.loc[test].reset_index(drop=True), f"fold {i}", svr=svr, network=network)


def fit_whole(pool: pd.DataFrame, features: np.ndarray, work: Path) -> FineTunedRegressor:
    """Fit the network to all images, or read the one that was fitted before."""
    file = work / "network.skops"
    if not file.exists():
        network = fit_network(pool, features, np.arange(len(pool)))
        state = network.net_.module_.backbone.state_dict()
        tuned = {
            place.replace("frozen.", "tuned."): value.half().contiguous()
            for name, value in state.items()
            if (place := _place(name)).startswith("frozen.") and value.is_floating_point()
        }
        (work / "memorability.safetensors").write_bytes(save(tuned))
        save_model(network, file)
    return load(file)


def report(pool: pd.DataFrame, title: str, **predicted: np.ndarray) -> None:
    """Print each set's correlation with the published scores."""
    predicted["both"] = sum(predicted.values())
    for name, values in predicted.items():
        found = {
            label: spearmanr(pool.memorability[pool["set"] == label], values[pool["set"] == label])[0]
            for label in SETS.values()
        }
        print(title, name, *(f"{label} {value:.3f}" for label, value in found.items()), flush=True)


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="*", help="the folds to fit in this run")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = Path(os.environ["MEMORABILITY_TEST_DATA"])
    pool = read_pool(data)
    frozen = ImageFeatures(layer=LAYERS, cache=work / "features.sqlite", verbose=1)
    features = frozen.fit_transform(pool.path.tolist())
    fold = split(pool, arguments.folds)
    if arguments.write:
        fit_whole(pool, features, work)
    todo = range(arguments.folds) if arguments.only is None else arguments.only
    joblib.Parallel(arguments.n_jobs)(
        joblib.delayed(judge)(pool, features, fold, i, work)
        for i in todo
        if not (work / f"fold{i}.npz").exists()
    )
    if arguments.write:
        write(pool, features, arguments.folds, work, data)


if __name__ == "__main__":
    main()
