"""Fitted models as ONNX, for programs without Python."""

import copy
import dataclasses
import json
import os
import tempfile
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_memorability._utils._estimators import steps_of
from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.features._caption_embedding import CaptionEmbedding
from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.features._joint_space import ClipSpace
from sklearn_memorability.features._preprocessing import view_of
from sklearn_memorability.images._collect import as_image_list
from sklearn_memorability.images._read import ImageContent
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._layers import LayersRegressor

# One file of protocol buffers can't be larger than 2 GB.
_LARGEST_FILE = 2_000_000_000

# Floor of a norm, as in the joint space.
_TINY = 1e-12


def export_onnx(model: Any, path: str | os.PathLike[str], *, part: str = "all") -> None:
    """Write a fitted model as ONNX.

    Parameters
    ----------
    model : estimator
        A fitted :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`, or
        a Pipeline or search around one, with image features, StandardScaler and PCA in front of
        it; or a ready model.
    path : str or path-like
        The file, ending in ``.onnx``. It is there as a whole or not at all. Above 2 GB, the weights
        lie beside it in ``<path>.data``.
    part : {"all", "head"}, default="all"
        ``"head"`` leaves the image features out: the exported model takes features.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    ValueError
        If a step can't be exported; says the way out.
    ImportError
        If onnx or onnxscript is missing; names the extra.

    See Also
    --------
    onnx_input : The exported model's input, from images.

    Notes
    -----
    The input is ``"pixels"`` of shape (n, 3, height, width), or ``"features"`` of shape
    (n, n_features); the outputs are ``"score"`` (n,) and, of models with classes,
    ``"class_proba"`` (n, n_classes). n is free. Pixels are those of the image after scaling and
    cropping, red first: of 8 bits, 0 to 255, where the network's preprocessing is this package's
    own; else the floating-point numbers that the library's preprocessing gives. Normalising is
    part of the exported model. Its metadata tell the preprocessing, and the classes' thresholds
    and values. Scores agree with the model's own to about 1e-6. Networks compute in single
    precision, whatever ``precision`` is.

    Examples
    --------
    >>> from sklearn_memorability.persistence import export_onnx
    >>> export_onnx(model, "model.onnx")  # doctest: +SKIP
    """
    if part not in ("all", "head"):
        raise ValueError(f"part={part!r} must be 'all' or 'head'.")
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"{str(path)!r} must end in .onnx.")
    check_is_fitted(model)
    steps = [step for _, step in steps_of(model)]
    if part == "head":
        steps = [step for step in steps if not _takes_images(step)]
    if not steps:
        raise ValueError("Nothing is left to export.")
    if any(_takes_images(step) for step in steps[1:]):
        raise ValueError("Image features can be exported as the first step only.")
    for module in ("onnx", "onnxscript"):
        import_extra(module, "export_onnx", "onnx")
    facts = {"producer": f"sklearn-memorability {metadata.version('sklearn-memorability')}"}
    head = steps[-1]
    if isinstance(head, LayersRegressor):
        scores = head.as_module()
        facts |= {key: str(value) for key, value in (head.about or {}).items()}
    else:
        scores = _Scores(head)
        facts["thresholds"] = json.dumps(head.thresholds_.tolist())
        facts["values"] = json.dumps(head.class_values_.tolist())
    modules = [*map(_as_module, steps[:-1]), scores]
    if _takes_images(steps[0]):
        grey = Image.new("RGB", (256, 256), "grey")
        name, example = "pixels", _pixels(modules[0], grey).repeat(2, 1, 1, 1)
        facts["preprocessing"] = repr(modules[0].preprocess)
    else:
        name, example = "features", torch.zeros(2, steps[0].n_features_in_)
    _write(nn.Sequential(*modules).eval(), name, example, facts, path)


def onnx_input(model: Any, images: Any) -> np.ndarray:
    """Return an exported model's input, from images.

    It serves to compare the exported model with this one, and to check another program's scaling
    and cropping.

    Parameters
    ----------
    model : estimator
        Fitted; its first step takes images.
    images : list, tuple, array, Series or one-column DataFrame of n_images images
        As for its ``predict``.

    Returns
    -------
    numpy.ndarray of shape (n_images, 3, height, width)
        Of dtype uint8 or float32.

    Raises
    ------
    ImageReadError
        At the first image that can't be read.
    ValueError
        If the model takes no images, or can't be exported.

    Examples
    --------
    >>> from sklearn_memorability.persistence import onnx_input
    >>> onnx_input(model, ["cat.jpg"])  # doctest: +SKIP
    """
    check_is_fitted(model)
    first = steps_of(model)[0][1]
    if not _takes_images(first):
        raise ValueError(f"The model's first step, {type(first).__name__}, takes no images.")
    module = _as_module(first)
    pixels = [view_of(module.preprocess, ImageContent(image)) for image in as_image_list(images)]
    return torch.stack(pixels).contiguous().numpy()


def _takes_images(step: Any) -> bool:
    if isinstance(step, FeatureUnion):
        return any(_takes_images(part) for _, part in step.transformer_list)
    return isinstance(step, ImageExtractor)


def _pixels(module: Any, image: Image.Image) -> torch.Tensor:
    return module.preprocess.view(image)[None]


def _write(
    module: nn.Module, name: str, example: torch.Tensor, facts: dict[str, str], path: Path
) -> None:
    """Export a module, and write it with its facts, whole or not at all."""
    size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    with warnings.catch_warnings():
        # The exporter warns of what it will do otherwise in versions to come.
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[name],
            output_names=["score", "class_proba"][: 1 + ("values" in facts)],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            verbose=False,
        )
    program.model.metadata_props.update(facts)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".onnx-") as folder:
        program.save(Path(folder, path.name), external_data=size > _LARGEST_FILE)
        # The model last: it names the other.
        for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name):
            os.replace(file, path.with_name(file.name))


def _as_module(step: Any) -> Any:
    """Return a torch module that computes what a fitted transformer does."""
    if isinstance(step, FeatureUnion):
        return _SideBySide(step)
    if isinstance(step, ImageExtractor):
        return _ImageFeatures(step)
    if isinstance(step, StandardScaler):
        mean = step.mean_ if step.with_mean else 0.0
        return _Affine(mean, step.scale_ if step.with_std else 1.0)
    if type(step) is PCA:
        # scikit-learn has the same floor.
        floor = np.finfo(step.explained_variance_.dtype).eps
        scale = np.maximum(np.sqrt(step.explained_variance_), floor) if step.whiten else 1.0
        return _Affine(step.mean_, scale, step.components_.T)
    raise ValueError(_unknown(step, "of transformers, image features, StandardScaler and PCA are"))


class _ImageFeatures(nn.Module):
    """From preprocessed pixels to the features of an image transformer."""

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        network = dataclasses.replace(extractor._recipe, device="cpu").load()
        self.preprocess = network.preprocess
        self.network = network.module
        self.space: nn.Module | None = None
        self.with_network = True
        if isinstance(extractor, CaptionEmbedding):
            self.space = _space(extractor.embedding_)
            self.with_network = extractor._with_cnn

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.network(self.preprocess.normalize(pixels)).flatten(1)
        if self.space is None:
            return features
        projected = self.space(features)
        return torch.cat([features, projected], dim=1) if self.with_network else projected


class _SideBySide(nn.Module):
    """The features of several image transformers, from the same pixels."""

    def __init__(self, union: FeatureUnion) -> None:
        super().__init__()
        parts = [part for _, part in union.transformer_list if part != "drop"]
        if union.transformer_weights or not all(isinstance(p, ImageExtractor) for p in parts):
            raise ValueError(_unknown(union, "a FeatureUnion of other things than image features"))
        modules = [_ImageFeatures(part) for part in parts]
        inputs = {repr(module.preprocess) for module in modules}
        if len(inputs) > 1:
            raise ValueError(
                f"The parts of the FeatureUnion take different inputs ({', '.join(inputs)}), and "
                "the exported model has one: export part='head'."
            )
        self.preprocess = modules[0].preprocess
        self.parts = nn.ModuleList(modules)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([part(pixels) for part in self.parts], dim=1)


class _Affine(nn.Module):
    """A scaler or a PCA: subtract, multiply by a matrix, divide."""

    mean: torch.Tensor
    scale: torch.Tensor
    matrix: torch.Tensor | None

    def __init__(self, mean: Any, scale: Any, matrix: Any = None) -> None:
        super().__init__()
        for name, value in {"mean": mean, "scale": scale, "matrix": matrix}.items():
            tensor = None if value is None else torch.tensor(np.array(value, dtype=np.float32))
            self.register_buffer(name, tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x - self.mean
        return (x if self.matrix is None else x @ self.matrix) / self.scale


class _Unit(nn.Module):
    """Rows scaled to unit length."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / x.norm(dim=1, keepdim=True).clamp_min(_TINY)


def _space(space: Any) -> nn.Module:
    """Return a module that projects features of images into a joint space."""
    if isinstance(space, FrozenEstimator):
        space = space.estimator
    if isinstance(space, ClipSpace):
        return _Unit()
    if isinstance(space, VisualSemanticEmbedding):
        weights = _Affine(0.0, 1.0, space.image_weights_)
        return nn.Sequential(_Unit(), weights, _Affine(-space.image_bias_, 1.0), _Unit())
    raise ValueError(_unknown(space, "of embeddings, VisualSemanticEmbedding and CLIP's are"))


class _Scores(nn.Module):
    """The regressor: class probabilities, and the score that they add up to."""

    values: torch.Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        if not isinstance(model, BalancedQuantileClassifierRegressor):
            raise ValueError(
                _unknown(model, "only BalancedQuantileClassifierRegressor gives scores")
            )
        self.network = copy.deepcopy(model.net_.module_).cpu()
        self.register_buffer("values", torch.tensor(model.class_values_, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        proba = self.network(x).softmax(dim=-1)
        return (proba @ self.values).clamp(self.values[0], self.values[-1]), proba


def _unknown(step: Any, reason: str) -> str:
    return (
        f"{type(step).__name__} can't be exported: {reason}. Export what is known, with "
        "part='head' or as Pipeline of fewer steps; skl2onnx converts scikit-learn's own "
        "estimators, such as an SVR on exported features; save writes any of them for Python."
    )
