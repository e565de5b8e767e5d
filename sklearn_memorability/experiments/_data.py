"""What an experiment is given: images with scores, folds, CNN and IC features."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, check_cv
from sklearn.utils import Bunch, check_consistent_length

from sklearn_memorability.features import CaptionEmbedding, VGGFeatures
from sklearn_memorability.images._collect import as_image_list

# Parameters that decide features; those that differ from the usual are named in the notes.
_DECISIVE = ("backbone", "depth", "layer", "embedding", "weights", "precision")


class Features(NamedTuple):
    """Features of each different image, and the row in them of each row of the data."""

    matrices: dict[str, np.ndarray]
    row_of: np.ndarray
    sources: dict[str, str]


def as_image_set(data: Any, name: str = "data") -> Bunch:
    """Return a set of images, or a tuple (images, scores), as a Bunch of checked arrays."""
    if isinstance(data, tuple) and len(data) == 2:
        data = {"images": data[0], "target": data[1]}
    elif not (hasattr(data, "get") and "images" in data and "target" in data):
        raise TypeError(
            f"{name} is a {type(data).__name__}; expected a set of images with images and "
            "target, as the loaders of sklearn_memorability.datasets return, or a tuple "
            "(images, scores)."
        )
    if data["target"] is None:
        raise ValueError(f"{name} has no scores; load it with its table of scores.")
    images = as_image_list(data["images"])
    target = np.asarray(data["target"], dtype=np.float64)
    check_consistent_length(images, target)
    if target.ndim != 1 or not np.isfinite(target).all():
        raise ValueError(f"The scores of {name} must be one finite number per image.")
    return Bunch(**{**data, "images": images, "target": target})


def with_folds(data: Any, cv: Any, random_state: int) -> Bunch:
    """Return a set of images with ``folds``; its own where ``cv`` is None, else five."""
    data = as_image_set(data)
    groups = None if data.get("groups") is None else np.asarray(data["groups"])
    if cv is None:
        cv = data.get("cv")
    if cv is None:
        kind = KFold if groups is None else GroupKFold
        cv = kind(5, shuffle=True, random_state=random_state)
    splits = check_cv(cv).split(data.images, data.target, groups)
    folds = [(np.asarray(train), np.asarray(test)) for train, test in splits]
    for i, (train, test) in enumerate(folds, 1):
        if len(test) < 2 or len(train) < 2:
            raise ValueError(f"Fold {i} has {len(train)} training and {len(test)} test images.")
        if np.intersect1d(train, test).size:
            raise ValueError(f"Fold {i} has images in both its training and its test part.")
    score_range = data.get("score_range") or (0.0, 1.0)
    return Bunch(**{**data, "groups": groups, "folds": folds, "score_range": score_range})


def compute_features(
    images: list[Any], given: dict[str, Any], cache: Path | None, verbose: int
) -> Features:
    """Return features of each kind, from a transformer, an array, or None for the usual one.

    An image that several rows share, by its path, is computed once (LaMem has a row for
    each split's scores). ``cache`` is for transformers that have none.
    """
    names = [str(x) if isinstance(x, str | os.PathLike) else id(x) for x in images]
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    row_of = np.array([place[name] for name in names])
    first = np.unique(row_of, return_index=True)[1]
    matrices, sources = {}, {}
    for kind, source in given.items():
        if source is None:
            source = VGGFeatures() if kind == "CNN" else CaptionEmbedding()
        if not hasattr(source, "fit_transform"):
            matrix = np.asarray(source)
            if matrix.ndim != 2 or len(matrix) != len(images):
                raise ValueError(
                    f"The {kind} features have shape {matrix.shape}; expected a row for each of "
                    f"the {len(images)} images."
                )
            matrices[kind] = matrix[first]
            sources[kind] = f"an array of {matrix.shape[1]} columns"
            continue
        transformer = clone(source)
        params = transformer.get_params(deep=False)
        if cache is not None and params.get("cache", "") is None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            transformer.set_params(cache=cache)
        if verbose and "verbose" in params:
            transformer.set_params(verbose=verbose)
        matrices[kind] = transformer.fit_transform([images[i] for i in first])
        decisive = ", ".join(
            f"{name}={params[name]!r}"
            for name in _DECISIVE
            if params.get(name) not in (None, "float32")
        )
        sources[kind] = f"{type(transformer).__name__}({decisive})"
    return Features(matrices, row_of, sources)
