"""The steps of a model as torch modules that compute the same, to be exported."""

import copy
import dataclasses
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.features._caption_embedding import CaptionEmbedding
from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.features._joint_space import ClipSpace
from sklearn_memorability.features._preprocessing import Preprocess
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

# Floor of a norm, as in the joint space.
_TINY = 1e-12


def steps_of(model: Any) -> list[Any]:
    """Return a model's steps in order, whatever they are nested in.

    Parameters
    ----------
    model : estimator
        A regressor, or a Pipeline, search or frozen estimator around one.

    Returns
    -------
    list of estimators
    """
    if isinstance(model, BaseSearchCV):
        return steps_of(model.best_estimator_)
    if isinstance(model, FrozenEstimator):
        return steps_of(model.estimator)
    if isinstance(model, Pipeline):
        return [part for _, step in model.steps for part in steps_of(step)]
    return [] if model is None or model == "passthrough" else [model]


def is_of_pictures(step: Any) -> bool:
    """Tell whether a step takes pictures."""
    if isinstance(step, FeatureUnion):
        return any(is_of_pictures(part) for _, part in step.transformer_list)
    return isinstance(step, ImageExtractor)


class PictureFeatures(nn.Module):
    """What a transformer of pictures computes from their preprocessed pixels.

    Parameters
    ----------
    extractor : ImageExtractor
        Fitted.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        if extractor._recipe.crops != 1:
            raise ValueError(
                f"crops={extractor._recipe.crops} would need as many views of each picture as "
                "input: fit with crops=1 to export, or export part='head'."
            )
        recipe = dataclasses.replace(extractor._recipe, device="cpu")
        network = recipe.load()
        self.preprocess: Preprocess = network.preprocess
        self.network = network.module
        self.space: nn.Module | None = None
        self.with_network = True
        if isinstance(extractor, CaptionEmbedding):
            self.space = _space(extractor.embedding_)
            self.with_network = extractor._with_cnn

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """From pixels, not yet normalised, to features."""
        found = self.network(self.preprocess.normalize(pixels)).flatten(1)
        if self.space is None:
            return found
        projected = self.space(found)
        return torch.cat([found, projected], dim=1) if self.with_network else projected


class SideBySide(nn.Module):
    """Features of several transformers of the same pixels.

    Parameters
    ----------
    union : sklearn.pipeline.FeatureUnion
        Fitted.
    """

    def __init__(self, union: FeatureUnion) -> None:
        super().__init__()
        parts = [part for _, part in union.transformer_list if part != "drop"]
        if union.transformer_weights or not all(isinstance(p, ImageExtractor) for p in parts):
            raise ValueError(_unknown(union, "a FeatureUnion of other things than image features"))
        self.parts = nn.ModuleList(PictureFeatures(part) for part in parts)
        inputs = {repr(part.preprocess) for part in self.parts}
        if len(inputs) > 1:
            raise ValueError(
                f"The parts of the FeatureUnion take different inputs ({', '.join(inputs)}), and "
                "the exported model has one: export part='head'."
            )
        first: Any = self.parts[0]
        self.preprocess: Preprocess = first.preprocess

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """From pixels to all features."""
        return torch.cat([part(pixels) for part in self.parts], dim=1)


class Affine(nn.Module):
    """What a scaler or a PCA does: subtract, multiply by a matrix, divide.

    Parameters
    ----------
    mean, scale : array-like
        What is subtracted and divided by.
    matrix : array-like of shape (n_features, n_outputs), optional
        What is multiplied by in between.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    matrix: torch.Tensor | None

    def __init__(self, mean: Any, scale: Any, matrix: Any = None) -> None:
        super().__init__()
        for name, value in {"mean": mean, "scale": scale, "matrix": matrix}.items():
            tensor = None if value is None else torch.tensor(np.array(value, dtype=np.float32))
            self.register_buffer(name, tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the transformed rows."""
        x = x - self.mean
        return (x if self.matrix is None else x @ self.matrix) / self.scale


class Scores(nn.Module):
    """The regressor: class probabilities, and the score that they add up to.

    Parameters
    ----------
    model : BalancedQuantileClassifierRegressor
        Fitted.
    """

    values: torch.Tensor

    def __init__(self, model: BalancedQuantileClassifierRegressor) -> None:
        super().__init__()
        self.network = copy.deepcopy(model.net_.module_).cpu()
        self.register_buffer("values", torch.tensor(model.class_values_, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores and the class probabilities."""
        proba = self.network(x).softmax(dim=-1)
        return (proba @ self.values).clamp(self.values[0], self.values[-1]), proba


def as_module(step: Any, *, is_last: bool) -> nn.Module:
    """Return a module that computes what a step does.

    Parameters
    ----------
    step : estimator
        Fitted.
    is_last : bool
        Whether the model's score comes from it.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If there is none; says the way out.
    """
    if isinstance(step, BalancedQuantileClassifierRegressor) and is_last:
        return Scores(step)
    if is_last:
        raise ValueError(_unknown(step, "only BalancedQuantileClassifierRegressor gives scores"))
    if isinstance(step, FeatureUnion):
        return SideBySide(step)
    if isinstance(step, ImageExtractor):
        return PictureFeatures(step)
    if type(step) is StandardScaler or _is_incremental_scaler(step):
        mean = step.mean_ if step.with_mean else 0.0
        return Affine(mean, step.scale_ if step.with_std else 1.0)
    if type(step) is PCA:
        # scikit-learn has the same floor.
        floor = np.finfo(step.explained_variance_.dtype).eps
        scale = np.maximum(np.sqrt(step.explained_variance_), floor) if step.whiten else 1.0
        return Affine(step.mean_, scale, step.components_.T)
    raise ValueError(_unknown(step, "of transformers, image features, StandardScaler and PCA are"))


def _is_incremental_scaler(step: Any) -> bool:
    # By name, as its room is beside this one; a subclass of a user's may do more.
    kind = type(step)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return name == "sklearn_memorability.pipelines._scaler.IncrementalScaler"


class _JointSpace(nn.Module):
    """The projection of pictures into a joint space."""

    def __init__(self, embedding: VisualSemanticEmbedding) -> None:
        super().__init__()
        self.project = Affine(-embedding.image_bias_, 1.0)
        self.weights = Affine(0.0, 1.0, embedding.image_weights_)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _unit(self.project(self.weights(_unit(x))))


class _Unit(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _unit(x)


def _space(space: Any) -> nn.Module:
    if isinstance(space, FrozenEstimator):
        space = space.estimator
    if isinstance(space, ClipSpace):
        return _Unit()
    if isinstance(space, VisualSemanticEmbedding):
        return _JointSpace(space)
    raise ValueError(_unknown(space, "of embeddings, VisualSemanticEmbedding and CLIP's are"))


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=1, keepdim=True).clamp_min(_TINY)


def _unknown(step: Any, reason: str) -> str:
    return (
        f"{type(step).__name__} can't be exported: {reason}. Export what is known, with "
        "part='head' or as Pipeline of fewer steps; skl2onnx converts scikit-learn's own "
        "estimators, such as an SVR on exported features; save writes any of them for Python."
    )
