"""A fitted model as a structure without networks, and the networks' tensors beside it."""

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as safetensors_bytes
from sklearn.base import BaseEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import Bunch
from skorch import NeuralNet

from sklearn_memorability.captions import BUNDLED, VisualSemanticEmbedding, load_embedding
from sklearn_memorability.features._caption_embedding import CaptionEmbedding
from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.persistence._file import hash_of_file
from sklearn_memorability.persistence._neighbours import has_search_tree, without_search_tree
from sklearn_memorability.persistence._requests import ATTRIBUTE, as_dict
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._stored import take_network

# Under this name, an estimator says what belongs to it in the file.
STORED = "_stored"

# What scikit-learn's callbacks leave in an estimator while it is fitted.
_CALLBACKS = {
    "_callback_fit_ctx",
    "_parent_callback_ctx",
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
}


def take_apart(model: Any) -> tuple[Any, dict[str, bytes], dict[str, Any]]:
    """Take a model apart into what a file may hold.

    Parameters
    ----------
    model : estimator
        Fitted; it is not changed.

    Returns
    -------
    structure : estimator
        A copy without networks and caches; each search is what it found.
    members : dict of str to bytes
        Tensors, as safetensors.
    facts : dict
        What is known of its parts.

    Raises
    ------
    ValueError
        If a part of it can't be in a file; names it, and the way out.
    """
    work = _TakingApart()
    structure = work.part(model, type(model).__name__)
    facts = {
        "n_samples": max(work.n_samples, default=None),
        "image_networks": work.image_networks,
        "weights_files": work.files.hashes,
    }
    return structure, work.members, facts


class _TakingApart:
    def __init__(self) -> None:
        self.members: dict[str, bytes] = {}
        self.n_samples: list[int] = []
        self.image_networks: list[dict[str, Any]] = []
        self.files = _WeightsFiles()
        # The originals are held too, so that none of their ids is used again.
        self._done: dict[int, tuple[Any, Any]] = {}

    def part(self, thing: Any, place: str) -> Any:
        """Return what stands for a thing; the same for the same thing."""
        if id(thing) not in self._done:
            self._done[id(thing)] = thing, self._part(thing, place)
        return self._done[id(thing)][1]

    def _part(self, thing: Any, place: str) -> Any:
        if isinstance(thing, torch.device):
            return str(thing)
        if isinstance(thing, bytes | bytearray | memoryview):
            raise ValueError(f"{place} holds bytes, which could be anything; no model needs them.")
        if isinstance(thing, NeuralNet | torch.nn.Module | torch.Tensor):
            raise ValueError(_own_network(thing, place))
        if type(thing) in {list, tuple, set}:
            return type(thing)(self.part(item, f"{place}[{i}]") for i, item in enumerate(thing))
        if type(thing) in {dict, Bunch}:
            items = {key: self.part(v, f"{place}[{key!r}]") for key, v in thing.items()}
            return type(thing)(**items) if isinstance(thing, Bunch) else items
        if isinstance(thing, np.ndarray) and thing.dtype == object:
            found = np.empty_like(thing)
            for i, item in enumerate(thing.flat):
                found.flat[i] = self.part(item, f"{place}.flat[{i}]")
            return found
        if isinstance(thing, BaseSearchCV):
            # What it found is the model; how it was searched is not.
            found = getattr(thing, "best_estimator_", thing.estimator)
            return self.part(found, f"{place}.best_estimator_")
        if isinstance(thing, BaseEstimator):
            return self._estimator(thing, place)
        return thing

    def _estimator(self, thing: Any, place: str) -> Any:
        self._note(thing)
        if isinstance(thing, BalancedQuantileClassifierRegressor):
            return self._regressor(thing, place)
        if isinstance(thing, CaptionEmbedding):
            return self._captions(thing, place)
        if isinstance(thing, ImageExtractor):
            return self._extractor(thing, dict(vars(thing)), place)
        if isinstance(thing, VisualSemanticEmbedding) and hasattr(thing, "image_weights_"):
            return self._embedding(thing)
        if has_search_tree(thing):
            return self._shell(thing, without_search_tree(thing), place)
        return self._shell(thing, vars(thing), place)

    def _shell(self, thing: Any, attributes: dict[str, Any], place: str) -> Any:
        """Return an estimator of the same class with what stands for its attributes."""
        shell = object.__new__(type(thing))
        for name, value in attributes.items():
            if name == "memory":
                value = None  # a folder of this machine, of pickles
            if name == ATTRIBUTE:
                value = as_dict(value)
            if name not in _CALLBACKS:
                shell.__dict__[name] = self.part(value, f"{place}.{name}")
        return shell

    def _regressor(self, model: Any, place: str) -> Any:
        if model.net_callbacks:
            raise ValueError(
                f"{place}.net_callbacks are objects of your own, which a file can't hold: "
                "set_params(net_callbacks=None) before saving; predictions stay the same."
            )
        left_out = {"net_", "history_", "device_"}
        attributes = {name: value for name, value in vars(model).items() if name not in left_out}
        if hasattr(model, "net_"):
            settings, tensors = take_network(model)
            member = self._add("network", safetensors_bytes(tensors))
            attributes[STORED] = {"member": member, **settings}
        return self._shell(model, attributes, place)

    def _extractor(self, thing: Any, attributes: dict[str, Any], place: str) -> Any:
        for name in ("backbone", "preprocessing"):
            value = attributes.get(name)
            if isinstance(value, torch.nn.Module):
                raise ValueError(_own_network(value, f"{place}.{name}"))
            if value is not None and not isinstance(value, str):
                raise ValueError(
                    f"{place}.{name} is a function of your own, which a file can't hold. Save the "
                    "steps behind the features alone, pipeline[1:], and compute the features "
                    "with the function where the model is used."
                )
        # A cache is a file of this machine; weights are known by their hash.
        attributes |= {"cache": None, "_network": None}
        attributes["weights"] = self.files.name_of(thing.weights, f"{place}.weights")
        recipe = attributes.get("_recipe")
        if recipe is not None:
            if not (isinstance(recipe.backbone, str) and not callable(recipe.preprocessing)):
                raise ValueError(_own_network(recipe.backbone, place))
            weights = self.files.name_of(recipe.weights, f"{place}.weights")
            attributes["_recipe"] = dataclasses.replace(recipe, weights=weights)
            known = dataclasses.asdict(attributes["_recipe"])
            self.image_networks.append({k: known[k] for k in ("backbone", "layer", "weights")})
        attributes[STORED] = {"weights_files": dict(self.files.hashes)}
        return self._shell(thing, attributes, place)

    def _captions(self, thing: Any, place: str) -> Any:
        attributes = dict(vars(thing))
        fitted = attributes.get("_space") if "_source" in attributes else None
        source = attributes.get("_source")
        given = attributes["embedding"]
        if source is not None and _is_file(source):
            fitted = thing.embedding_
            attributes["_source"] = None
        elif source is not None:
            fitted = None  # opened again by its name
        if isinstance(given, str | os.PathLike) and _is_file(os.fspath(given)):
            same = source == os.fspath(given)
            attributes["embedding"] = fitted if same else load_embedding(given)
        if "_source" in attributes:
            attributes["_space"] = fitted
        return self._extractor(thing, attributes, place)

    def _embedding(self, thing: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "embedding.safetensors")
            thing.save(path)
            member = self._add("embedding", path.read_bytes())
        stored = {"member": member, "random_state": thing.random_state}
        if hasattr(thing, "feature_names_in_"):
            stored["feature_names_in_"] = thing.feature_names_in_
        shell = object.__new__(type(thing))
        shell.__dict__[STORED] = stored
        return shell

    def _add(self, kind: str, content: bytes) -> str:
        member = f"{kind}-{len(self.members)}.safetensors"
        self.members[member] = content
        return member

    def _note(self, thing: Any) -> None:
        if hasattr(thing, "class_counts_"):
            self.n_samples.append(int(np.sum(thing.class_counts_)))
        seen = getattr(thing, "n_samples_seen_", None)
        if seen is not None:
            self.n_samples.append(int(np.max(seen)))


class _WeightsFiles:
    """Files of image networks' weights: they stay outside, known by name and hash."""

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}
        self._seen: dict[str, str] = {}

    def name_of(self, path: Any, place: str) -> str | None:
        """Return a file's name without its folder, and remember its hash."""
        if path is None:
            return None
        path = Path(path)
        if str(path) not in self._seen:
            if not path.is_file():
                raise ValueError(
                    f"{place} is the file {str(path)!r}, which is no longer there; the model is "
                    "saved with its hash, so put it back first."
                )
            digest = hash_of_file(path)
            if self.hashes.setdefault(path.name, digest) != digest:
                raise ValueError(
                    f"Two files of weights have the name {path.name!r}; rename one of them, as "
                    "they are told apart by it."
                )
            self._seen[str(path)] = path.name
        return self._seen[str(path)]


def _is_file(embedding: str) -> bool:
    return embedding not in BUNDLED and not embedding.startswith("clip:")


def _own_network(thing: Any, place: str) -> str:
    kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
    return (
        f"{place} holds a network of your own ({kind}), and files hold no code that could build it "
        "again. Name a network that the package knows (backbone='...', with weights=<file> for "
        "weights of your own), or save the steps behind the features alone, pipeline[1:], and "
        "the network's weights with safetensors."
    )
