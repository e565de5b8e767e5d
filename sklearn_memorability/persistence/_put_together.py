"""A model put together again from its structure and its tensors."""

import dataclasses
import inspect
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as read_safetensors
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch

from sklearn_memorability._torch import resolve_device
from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.features._networks import Recipe
from sklearn_memorability.persistence._file import hash_of_file
from sklearn_memorability.persistence._neighbours import grow_search_tree
from sklearn_memorability.persistence._requests import put_requests
from sklearn_memorability.persistence._take_apart import STORED
from sklearn_memorability.persistence._trees import check_trees
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._stored import put_network


def put_together(
    structure: Any,
    members: Mapping[str, bytes],
    *,
    device: str | torch.device | None = None,
    weights: Sequence[Path] = (),
) -> Any:
    """Put together what was taken apart.

    Parameters
    ----------
    structure : estimator
        Without networks; it is filled in place.
    members : mapping of str to bytes
        The tensors.
    device : str, torch.device or None
        Where networks are to be; None is what the model says, where that is here.
    weights : sequence of pathlib.Path
        Where files of image networks' weights may be.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        If the parts don't fit.
    """
    work = _PuttingTogether(members, device, weights)
    model = work.part(structure)
    if not (isinstance(model, BaseEstimator) and hasattr(model, "get_params")):
        raise ValueError(f"it holds a {type(model).__name__}, not an estimator.")
    spare = members.keys() - work.used
    if spare:
        raise ValueError(f"{sorted(spare)[0]} belongs to nothing in it.")
    return model


class _PuttingTogether:
    def __init__(
        self,
        members: Mapping[str, bytes],
        device: str | torch.device | None,
        weights: Sequence[Path],
    ) -> None:
        self.used: set[str] = set()
        self._members = members
        self._device = device
        self._weights = weights
        self._done: dict[int, tuple[Any, Any]] = {}

    def part(self, thing: Any) -> Any:
        """Return a thing with what belongs to it; the same for the same thing."""
        if id(thing) not in self._done:
            self._done[id(thing)] = thing, self._part(thing)
        return self._done[id(thing)][1]

    def _part(self, thing: Any) -> Any:
        if type(thing) in {list, tuple, set}:
            return type(thing)(self.part(item) for item in thing)
        if type(thing) in {dict, Bunch}:
            items = {key: self.part(value) for key, value in thing.items()}
            return Bunch(**items) if isinstance(thing, Bunch) else items
        if isinstance(thing, np.ndarray) and thing.dtype == object:
            for i, item in enumerate(thing.flat):
                thing.flat[i] = self.part(item)
            return thing
        if isinstance(thing, BaseEstimator):
            return self._estimator(thing)
        return thing

    def _estimator(self, thing: Any) -> Any:
        stored = self.part(thing.__dict__.pop(STORED, None))
        if isinstance(thing, VisualSemanticEmbedding) and stored is not None:
            return self._embedding(stored)
        for name, value in vars(thing).items():
            thing.__dict__[name] = self.part(value)
        if getattr(thing, "memory", None) is not None:
            raise ValueError(f"{type(thing).__name__}.memory names a folder; no model does.")
        if type(thing).__module__.startswith("sklearn_memorability."):
            _add_newer_parameters(thing)
        if isinstance(thing, BalancedQuantileClassifierRegressor):
            self._regressor(thing, stored)
        elif isinstance(thing, ImageExtractor):
            self._extractor(thing, stored)
        put_requests(thing)
        grow_search_tree(thing)
        check_trees(thing)
        return thing

    def _regressor(self, model: Any, stored: Any) -> None:
        model.__dict__.pop("net_", None)
        if self._device is not None:
            model.device = str(self._device)
        model._validate_params()
        if stored is not None:
            tensors = read_safetensors(self._member(stored["member"]))
            put_network(model, stored, tensors, self._device_for(model.device))

    def _extractor(self, thing: Any, stored: Any) -> None:
        if thing.cache is not None or not isinstance(getattr(thing, "backbone", ""), str | None):
            raise ValueError(f"{type(thing).__name__} holds a cache or a network of its own.")
        thing._network = None
        if self._device is not None:
            thing.device = str(self._device)
        files = {} if stored is None else stored["weights_files"]
        thing.weights = self._weights_file(thing.weights, files)
        thing._validate_params()
        if "_recipe" not in vars(thing):
            return
        device = self._device_for(thing.device)
        weights = self._weights_file(thing._recipe.weights, files)
        thing._recipe = dataclasses.replace(thing._recipe, device=str(device), weights=weights)
        thing.device_ = device
        _check_recipe(thing._recipe)

    def _embedding(self, stored: Any) -> VisualSemanticEmbedding:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "embedding.safetensors")
            path.write_bytes(self._member(stored["member"]))
            embedding = VisualSemanticEmbedding.load(path)
        embedding.random_state = stored["random_state"]
        if "feature_names_in_" in stored:
            embedding.feature_names_in_ = stored["feature_names_in_"]
        return embedding

    def _member(self, name: str) -> bytes:
        if name in self.used:
            raise ValueError(f"{name} belongs to two parts of it.")
        self.used.add(name)
        return self._members[name]

    def _device_for(self, wanted: str | torch.device | None) -> torch.device:
        try:
            return resolve_device(wanted)
        except ValueError:
            if self._device is not None:
                raise
            # A model of another machine, whose device is not here.
            return resolve_device(None)

    def _weights_file(self, name: str | None, files: Mapping[str, str]) -> str | None:
        if name is None:
            return None
        wanted = files[name]
        for path in self._weights:
            if path.is_file() and hash_of_file(path) == wanted:
                return str(path)
        raise ValueError(
            f"its image network has the weights of a file {name!r} (SHA-256 {wanted}), which is "
            "not beside it: put it there, or pass weights=<that file>."
        )


def _add_newer_parameters(thing: BaseEstimator) -> None:
    """Give an estimator the defaults of parameters that are newer than its file."""
    for name, parameter in inspect.signature(type(thing)).parameters.items():
        if parameter.default is not parameter.empty:
            thing.__dict__.setdefault(name, parameter.default)


def _check_recipe(recipe: Any) -> None:
    kinds = {
        "backbone": str,
        "layer": str,
        "preprocessing": str | None,
        "crops": int,
        "precision": str,
        "channels_last": bool,
    }
    if not isinstance(recipe, Recipe) or not all(
        isinstance(getattr(recipe, name), kind) for name, kind in kinds.items()
    ):
        raise ValueError("its image network is none that the package knows.")
