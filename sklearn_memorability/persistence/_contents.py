"""What of a fitted model goes into a file, and what is added when it is loaded."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.neighbors import BallTree, KDTree
from sklearn.tree._tree import Tree
from sklearn.utils import Bunch

from sklearn_memorability._torch import resolve_device
from sklearn_memorability._utils._estimators import is_search
from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.features import CaptionEmbedding, ImageFeatures, VGGFeatures
from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.features._joint_space import is_name
from sklearn_memorability.finetuning import FineTunedRegressor
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._baselines import ScoreNeighbors, ScoreSVR, ScoreTree
from sklearn_memorability.regression._layers import LayersRegressor
from sklearn_memorability.regression._scaler import BatchedScaler, SpreadScaler

# Beside what skops trusts: scikit-learn's estimators, NumPy's arrays, Python's containers.
TRUSTED = (
    BalancedQuantileClassifierRegressor,
    BatchedScaler,
    CaptionEmbedding,
    FineTunedRegressor,
    ImageFeatures,
    LayersRegressor,
    VGGFeatures,
    ScoreNeighbors,
    ScoreSVR,
    ScoreTree,
    SpreadScaler,
    VisualSemanticEmbedding,
    Bunch,
    Tree,  # its nodes are checked below
    np.dtype,
)

# Callbacks and metadata routing refer back to the estimator, which skops can't write.
_NOT_SAVED = {"_metadata_request", "_skl_callbacks"}
# Folders and files to write to are None in a file, and so are the vectors that words began with.
_NONE = ("cache", "memory", "word_vectors")

_ON_A_DEVICE = (
    BalancedQuantileClassifierRegressor,
    FineTunedRegressor,
    ImageExtractor,
    VisualSemanticEmbedding,
)
_SEARCH_TREES = {"kd_tree": KDTree, "ball_tree": BallTree}


def to_save(model: Any) -> tuple[Any, dict[str, Any]]:
    """Return a copy of a model without what belongs to this machine, and facts about it."""
    n_samples: list[int] = []
    facts: dict[str, Any] = {"n_samples": None, "image_networks": [], "weights_files": {}}

    def attributes_of(part: Any) -> dict[str, Any]:
        attributes = {k: v for k, v in _portable(part).items() if k not in _NOT_SAVED}
        if hasattr(part, "class_counts_"):
            n_samples.append(int(np.sum(part.class_counts_)))
        if hasattr(part, "n_samples_seen_"):
            n_samples.append(int(np.max(part.n_samples_seen_)))
        if isinstance(part, LayersRegressor):
            facts.update(part.about or {})
        # The nodes of a search tree in a file could point anywhere; it is grown again.
        if isinstance(attributes.get("_tree"), KDTree | BallTree):
            attributes["_tree"] = None
        if getattr(part, "net_callbacks", None):
            raise ValueError(
                f"{type(part).__name__}.net_callbacks are objects of your own, which a file can't "
                "hold: set_params(net_callbacks=None) before saving; predictions stay the same."
            )
        if isinstance(part, ImageExtractor):
            attributes |= _extractor_to_save(part, facts)
        if isinstance(part, FineTunedRegressor):
            _refuse_own_code(part, part.get_params())
            _refuse_own_code(part, {"backbone": part._source[0], "preprocessing": part._source[2]})
            # The tuned network is in the file, so the pretrained one's weights are not needed.
            del attributes["features_"]
            attributes["weights"] = None
        return attributes

    copied = _copy_of(model, attributes_of, {})
    return copied, {**facts, "n_samples": max(n_samples, default=None)}


def _extractor_to_save(part: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of an image transformer that differ in its file."""
    recipe = getattr(part, "_recipe", None)
    for settings in (vars(part), vars(recipe) if recipe else {}):
        _refuse_own_code(part, settings)
    weights = _name_of(part.weights, facts["weights_files"])
    attributes: dict[str, Any] = {"weights": weights}
    if recipe is not None:
        recipe = dataclasses.replace(
            recipe, weights=_name_of(recipe.weights, facts["weights_files"])
        )
        attributes["_recipe"] = recipe
        facts["image_networks"].append(
            {"backbone": recipe.backbone, "layer": recipe.layer, "weights": recipe.weights}
        )
    embedding = getattr(part, "embedding", None)
    if isinstance(embedding, str | os.PathLike) and not is_name(embedding):
        attributes["embedding"] = (
            part.embedding_ if recipe else VisualSemanticEmbedding.load(embedding)
        )
    return attributes


def _refuse_own_code(part: Any, settings: Mapping[str, Any]) -> None:
    for name in ("backbone", "preprocessing"):
        value = settings.get(name)
        if value is not None and not isinstance(value, str):
            kind = "network" if isinstance(value, torch.nn.Module) else "function"
            raise ValueError(
                f"{type(part).__name__}.{name} is a {kind} of your own, and a file holds no "
                "code. Save the steps behind the features alone, pipeline[1:], and compute "
                "the features where the model is used."
            )


def _name_of(weights: Any, files: dict[str, str]) -> str | None:
    """Return the name of a file of weights, and add its hash to the files that are needed."""
    if weights is None:
        return None
    path = Path(weights)
    if not path.is_file():
        raise ValueError(f"the file of weights {str(path)!r} is no longer there; put it back.")
    digest = hash_of_file(path)
    if files.setdefault(path.name, digest) != digest:
        raise ValueError(f"two files of weights have the name {path.name!r}; rename one of them.")
    return path.name


def hash_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def after_loading(
    model: Any,
    device: str | torch.device | None,
    candidates: Sequence[Path],
    files: Mapping[str, str],
) -> Any:
    """Return a loaded model with its files of weights, its device and its search trees.

    ``candidates`` are files that may be those of weights, ``files`` the hashes by name.
    """
    if not isinstance(model, BaseEstimator):
        raise ValueError(f"it holds a {type(model).__name__}, not an estimator.")

    def path_of(name: Any) -> str | None:
        if name is None:
            return None
        for path in candidates:
            if path.is_file() and hash_of_file(path) == files[name]:
                return str(path)
        raise ValueError(
            f"its image network has the weights of a file {name!r} (SHA-256 {files[name]}), which "
            "is not beside it: put it there, or pass weights=<that file>."
        )

    def attributes_of(part: Any) -> dict[str, Any]:
        _check_trees(part)
        if device is not None and isinstance(part, _ON_A_DEVICE):
            part.__setstate__({**part.__getstate__(), "device": str(device)})
        attributes = _portable(part)
        if isinstance(part, ImageExtractor):
            attributes["weights"] = path_of(part.weights)
            if hasattr(part, "_recipe"):
                attributes["_recipe"] = dataclasses.replace(
                    part._recipe,
                    weights=path_of(part._recipe.weights),
                    device=str(_device_here(part.device)),
                )
        if attributes.get("_fit_method") in _SEARCH_TREES:
            attributes["_tree"] = _SEARCH_TREES[part._fit_method](
                part._fit_X,
                leaf_size=part.leaf_size,
                metric=part.effective_metric_,
                **part.effective_metric_params_,
            )
        return attributes

    return _copy_of(model, attributes_of, {})


def _device_here(device: Any) -> torch.device:
    """Return a device, or the best one where the model's own is not on this machine."""
    try:
        return resolve_device(device)
    except ValueError:
        return resolve_device(None)


def _check_trees(part: Any) -> None:
    """Check where the nodes of decision trees point: scikit-learn follows them unchecked."""
    members = getattr(part, "estimators_", [])
    members = members.flat if isinstance(members, np.ndarray) else members
    trees = [getattr(member, "tree_", None) for member in members]
    if any(isinstance(t, Tree) and t.n_features > part.n_features_in_ for t in trees):
        raise ValueError("a decision tree in it takes more features than its ensemble.")
    tree = getattr(part, "tree_", None)
    if not isinstance(tree, Tree):
        return
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = np.flatnonzero(left != -1)
    # A node is grown before its children, so every way leads on to a leaf.
    if not (
        tree.node_count > 0
        and tree.n_features == part.n_features_in_
        and ((left[inner] > inner) & (left[inner] < tree.node_count)).all()
        and ((right[inner] > inner) & (right[inner] < tree.node_count)).all()
        and ((feature[inner] >= 0) & (feature[inner] < tree.n_features)).all()
    ):
        raise ValueError("the nodes of a decision tree in it point to where there is nothing.")


def _portable(part: Any) -> dict[str, Any]:
    """Return an estimator's attributes, without those of this machine."""
    return {name: None if name in _NONE else value for name, value in vars(part).items()}


def _copy_of(
    thing: Any, attributes_of: Callable[[Any], dict[str, Any]], memo: dict[int, Any]
) -> Any:
    """Copy containers and the estimators in them; a search becomes its best estimator."""
    if id(thing) in memo:
        return memo[id(thing)][0]

    def copied(item: Any) -> Any:
        return _copy_of(item, attributes_of, memo)

    new = thing
    if type(thing) in (list, tuple):
        new = type(thing)(map(copied, thing))
    elif type(thing) in (dict, Bunch):
        items = {key: copied(value) for key, value in thing.items()}
        new = items if type(thing) is dict else Bunch(**items)
    elif isinstance(thing, np.ndarray) and thing.dtype == object:
        new = thing.copy()
        for place in np.ndindex(thing.shape):
            new[place] = copied(thing[place])
    elif isinstance(thing, BaseEstimator) and is_search(thing):
        new = copied(getattr(thing, "best_estimator_", thing.estimator))
    elif isinstance(thing, BaseEstimator):
        new = object.__new__(type(thing))
        for name, value in attributes_of(thing).items():
            new.__dict__[name] = copied(value)
    elif hasattr(thing, "to_numpy"):
        new = thing.to_numpy()  # names of columns that pandas gave
    # With the original, so that its id is not used again.
    memo[id(thing)] = new, thing
    return new
