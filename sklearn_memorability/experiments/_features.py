"""The CNN and IC features of an experiment's pictures, each computed once."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from sklearn_memorability.experiments._data import Study
from sklearn_memorability.features import CaptionEmbedding, VGGFeatures

# What decides features and is told in a table's notes.
_TOLD = ("backbone", "depth", "layer", "embedding", "weights", "crops", "precision")


class Features(NamedTuple):
    """Features of each different picture, and where each row of the data finds its own."""

    matrices: dict[str, np.ndarray]
    row_of: np.ndarray
    sources: dict[str, str]

    def of(self, kinds: list[str], rows: np.ndarray) -> np.ndarray:
        """Return the features of these rows of the data, kinds side by side."""
        found = [self.matrices[kind][self.row_of[rows]] for kind in kinds]
        return found[0] if len(found) == 1 else np.hstack(found)


def compute_features(
    study: Study,
    needed: set[str],
    given: dict[str, Any],
    cache: Path | None,
    verbose: int,
) -> Features:
    """Return the features that an experiment needs.

    Parameters
    ----------
    study : Study
        The pictures. One that several rows of the data share, by its path, is taken once
        (LaMem has a row for each split's scores).
    needed : set of {"CNN", "IC"}
        Which kinds.
    given : dict
        For each kind a transformer, an array with a row for each row of the data, or
        None for the usual transformer.
    cache : pathlib.Path or None
        A file for the features of transformers that have no cache of their own.
    verbose : int
        Above 0, progress bars.

    Returns
    -------
    Features

    Raises
    ------
    ValueError
        If an array has another number of rows than the data.
    """
    names = [str(x) if isinstance(x, str | os.PathLike) else id(x) for x in study.images]
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    row_of = np.array([place[name] for name in names])
    first = np.unique(row_of, return_index=True)[1]
    matrices, sources = {}, {}
    for kind in sorted(needed):
        source = given[kind]
        if source is None:
            source = VGGFeatures() if kind == "CNN" else CaptionEmbedding()
        if hasattr(source, "fit_transform"):
            transformer = _prepared(source, cache, verbose)
            matrices[kind] = transformer.fit_transform([study.images[i] for i in first])
            sources[kind] = _describe(transformer)
            continue
        matrix = np.asarray(source)
        if matrix.ndim != 2 or len(matrix) != len(names):
            raise ValueError(
                f"The {kind} features have shape {matrix.shape}; expected a row for each of the "
                f"{len(names)} pictures."
            )
        matrices[kind] = matrix[first]
        sources[kind] = f"an array of {matrix.shape[1]} columns"
    return Features(matrices, row_of, sources)


def _prepared(source: Any, cache: Path | None, verbose: int) -> Any:
    transformer = clone(source)
    params = transformer.get_params(deep=False)
    if cache is not None and "cache" in params and params["cache"] is None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        transformer.set_params(cache=cache)
    if verbose and "verbose" in params:
        transformer.set_params(verbose=verbose)
    return transformer


def _describe(transformer: Any) -> str:
    params = transformer.get_params(deep=False)
    told = [name for name in _TOLD if params.get(name) not in (None, 1, "float32")]
    return f"{type(transformer).__name__}({', '.join(f'{x}={params[x]!r}' for x in told)})"
