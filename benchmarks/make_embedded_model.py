"""Make the model that comes with the package, and measure it.

    python benchmarks/make_embedded_model.py --work FOLDER [--folds 5] [--n-jobs 2] [--write]

The data are those of ``MEMORABILITY_TEST_DATA``: the images and scores of LNSIM (outdoor scenes),
of MemCat (those that were shown to a second crowd, MemOIR, too) and of THINGS (objects), and
Flickr8k's images. Two regressors that agree little are averaged:

- an SVR on ``efficientnet_lite0``'s features of several layers, and
- the network fine-tuned from its ninth block on (``FineTunedRegressor``), its targets half the
  scores and half what SVRs of other folds predict.

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
from sklearn_memorability.regression._scaler import BatchedScaler

SETS = {
    "lnsim": "landscapes (LNSIM)",
    "memcat_images": "MemCat",
    "things_images": "objects (THINGS)",
}
# Roots of the scores' reliability: Spearman-Brown of LNSIM's and THINGS' halves; the correlation
# of MemCat's two crowds.
CEILINGS = dict(zip(SETS.values(), (0.936, 0.749**0.5, 0.788), strict=True))
ABOUT = {
    "terms": "BSD-3-Clause; trained on data for research",
    "trained_on": "1,842 images of LNSIM, 700 of MemCat, 946 of THINGS",
    "citation": "sklearn-memorability; the scores are Lu et al. 2020, Goetschalckx & Wagemans 2019 "
    "and Kramer et al. 2023",
    "scale": "corrected recognition rate of a repeat-detection game, 0 to 1",
}
LAYERS = [*(f"_blocks.{i}" for i in range(8, 16)), "pool"]
PACKAGE = Path(sklearn_memorability.__file__).parent
OWN_SHARE = 0.25  # of an object's image's own score; the rest is the mean of its object's images
SCORE_RANGE = (-0.2, 1)
LEVELS = (np.arange(6) + 0.5) / 6  # of the errors that are added to each image's prediction
CROPS, N_FLICKR = 2, 3000  # images beyond the pool's own that the head is taught
N_STAGES = 2848  # features of the blocks' maps, in front of the halves' 1,280 each


def read_pool(data: Path) -> pd.DataFrame:
    """Return a row an image: path, set, published score, target, group, category."""
    parts = []
    for name, label in SETS.items():
        table = pd.read_csv(data / name / "scores.csv")
        table["path"] = [str(data / name / "images" / image) for image in table["image_name"]]
        table["set"], table["group"], table["target"] = (
            label,
            table["image_name"],
            table.memorability,
        )
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
    for train, test in GroupKFold(5, shuffle=True, random_state=1).split(
        rows, groups=pool.group[rows]
    ):
        others[rows[test]] = fit_svr(features[rows[train]], target[rows[train]]).predict(
            features[rows[test]]
        )
    # 48 of 98 layers with weights: the stem and the first eight blocks.
    model = FineTunedRegressor(
        frozen=48 / 98, max_epochs=6, score_range=SCORE_RANGE, random_state=0
    )
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
    if len(predicted) > 1:
        predicted["both"] = sum(predicted.values())
    for name, values in predicted.items():
        print(
            title, name, *(f"{k} {v[0]:.3f}" for k, v in by_set(pool, values).items()), flush=True
        )


def by_set(pool: pd.DataFrame, values: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Return each set's correlation with the published scores, with its interval of 95 %."""
    found = {}
    for label in SETS.values():
        rows = (pool["set"] == label).to_numpy()
        own = pool.memorability[rows].to_numpy()
        low, high = spearman_interval(own, values[rows], random_state=0)
        found[label] = float(spearmanr(own, values[rows])[0]), float(low), float(high)
    return found


def held_out(pool: pd.DataFrame, work: Path) -> pd.DataFrame:
    """Return the images of the folds that were fitted, with what was predicted of them."""
    parts = []
    for file in sorted(work.glob("fold*.npz")):
        fold = np.load(file)
        predicted = {"fold": int(file.stem[4:]), "svr": fold["svr"], "network": fold["network"]}
        parts.append(pool.loc[fold["rows"]].assign(**predicted))
    out = pd.concat(parts, ignore_index=True)
    out["both"] = (out.svr + out.network) / 2
    out["error"] = out.memorability - out.both
    return out


def card(out: pd.DataFrame) -> None:
    """Print the figures of the model's card."""
    print(f"{len(out)} held-out images of the folds {sorted(out.fold.unique())}")
    for name in ("svr", "network", "both"):
        report(out, "held out", **{name: out[name].to_numpy()})
    for label, (rho, low, high) in by_set(out, out.both.to_numpy()).items():
        part = out[out["set"] == label]
        # Each fold's errors stay within the quantiles of the other folds'.
        inside = [
            part.error[part.fold == i].between(*part.error[part.fold != i].quantile([0.05, 0.95]))
            for i in part.fold.unique()
        ]
        slope = np.polyfit(part.both, part.memorability, 1)[0]
        print(
            f"{label}: {len(part)} images, {rho:.3f} ({low:.3f} to {high:.3f}), "
            f"{rho / CEILINGS[label]:.2f} of the ceiling {CEILINGS[label]:.2f}; "
            f"intervals of .9 hold {pd.concat(inside).mean():.3f}; "
            f"bias {part.error.mean():.3f}, slope {slope:.2f}"
        )
    for category, part in out[out["set"] == "MemCat"].groupby("category"):
        low, high = spearman_interval(part.memorability, part.both, random_state=0)
        rho = spearmanr(part.memorability, part.both)[0]
        print(f"MemCat, {category}: {len(part)} images, {rho:.3f} ({low:.3f} to {high:.3f})")


def write(pool: pd.DataFrame, svr: Pipeline, out: pd.DataFrame, work: Path, data: Path) -> None:
    """Teach the head what both members say, and put it and the network into the package."""
    network = load(work / "network.skops")
    rng = np.random.default_rng(0)
    flickr = sorted(map(str, (data / "flickr8k" / "images").glob("*.jpg")))[: 2 * N_FLICKR : 2]
    crops = [crop for path in pool.path for crop in random_crops(path, rng)]
    images = [*pool.path, *flickr, *crops]
    sets = [*pool["set"], *[None] * len(flickr), *pool["set"].repeat(CROPS)]
    weights = work / "memorability.safetensors"
    kept = work / "features.sqlite"
    features = ImageFeatures("memorability", layer="stages", weights=weights, cache=kept, verbose=1)
    X = features.fit_transform(images)
    tuned = slice(N_STAGES, N_STAGES + 1280)
    both = (svr.predict(np.delete(X, tuned, axis=1)) + network.head_.predict(X[:, tuned])) / 2

    scale = BatchedScaler().fit(X)
    errors = {None: out.error, **dict(iter(out.groupby("set").error))}
    added = np.array([errors[name].quantile(LEVELS) for name in sets])
    y = np.clip(both[:, None] + added, *SCORE_RANGE)
    is_taught = rng.random(len(X)) < 0.95
    head = BalancedQuantileClassifierRegressor(
        n_classes=16,
        aggregation="mean",
        score_range=SCORE_RANGE,
        branches=(N_STAGES, 1280, 1280),
        branch_sizes=(128,),
        hidden_layer_sizes=(64,),
        dropout=0.2,
        lr=3e-4,
        batch_size=64,
        max_epochs=6,
        n_members=2,
        random_state=0,
    )
    taught = np.repeat(scale.transform(X[is_taught]), len(LEVELS), axis=0)
    head.fit(taught, y[is_taught].ravel())
    round_weights(head)
    model = Pipeline([("features", features), ("scale", scale), ("model", head)])
    said = model[1:].predict(X[~is_taught])
    print(
        f"the head's agreement with its teachers on {len(said)} images that it was not taught: "
        f"{spearmanr(said, both[~is_taught])[0]:.3f}, "
        f"root mean square {np.sqrt(np.mean((said - both[~is_taught]) ** 2)):.3f}"
    )
    # The same network, by name.
    package = PACKAGE / "features" / "data" / weights.name
    package.write_bytes(weights.read_bytes())
    features.set_params(weights=None, cache=None, verbose=0).fit([images[0]])
    found = by_set(out, out.both.to_numpy())
    facts = {
        **ABOUT,
        "n_samples": len(pool),
        "measured": {name: round(rho, 3) for name, (rho, _, _) in found.items()},
        "measured_95": {name: np.round(ends, 3).tolist() for name, (_, *ends) in found.items()},
        "ceilings": {name: round(value, 3) for name, value in CEILINGS.items()},
    }
    file = PACKAGE / "persistence" / "data" / "embedded.skops"
    save_model(model, file, facts=facts)
    print(f"{file.stat().st_size:,} and {package.stat().st_size:,} bytes")


def round_weights(head: BalancedQuantileClassifierRegressor) -> None:
    """Round weights to multiples of 1/512: they take a third of the room in the wheel."""
    with torch.no_grad():
        for weights in head.net_.module_.parameters():
            weights.copy_((weights * 512).round() / 512)


def random_crops(path: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Return squares of .7 to 1 of an image's shorter side, each mirrored or not."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    found = []
    for _ in range(CROPS):
        side = int(rng.uniform(0.7, 1) * min(pixels.shape[:2]))
        top, left = (rng.integers(0, length - side + 1) for length in pixels.shape[:2])
        square = pixels[top : top + side, left : left + side]
        found.append(square[:, ::-1].copy() if rng.random() < 0.5 else square)
    return found


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
    out = held_out(pool, work)
    card(out)
    if arguments.write:
        write(pool, fit_svr(features, pool.target.to_numpy()), out, work, data)


if __name__ == "__main__":
    main()
