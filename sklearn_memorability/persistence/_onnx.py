"""Fitted models as ONNX, for programs without Python."""

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
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_memorability.images import as_image_list, read_image
from sklearn_memorability.persistence._onnx_parts import as_module, is_of_pictures, steps_of

# One file of protocol buffers can't be larger than 2 GB.
_LARGEST_FILE = 2_000_000_000

_PARTS = ("all", "head")


def export_onnx(model: Any, path: str | os.PathLike[str], *, part: str = "all") -> None:
    """Write a fitted model as ONNX.

    Parameters
    ----------
    model : estimator
        A fitted
        :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`, or a
        Pipeline or search around one, with image features, StandardScaler and PCA in
        front of it.
    path : str or path-like
        The file, ending in ``.onnx``. It is there as a whole or not at all. Above 2 GB,
        the weights lie beside it in ``<path>.data``.
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
    onnx_input : What the exported model takes, from pictures.

    Notes
    -----
    The input is ``"pixels"`` of shape (n, 3, height, width), or ``"features"`` of shape
    (n, n_features); the outputs are ``"score"`` (n,) and ``"class_proba"`` (n, n_classes).
    n is free. Pixels are what the picture is after scaling and cropping, red first: of 8
    bits, 0 to 255, where the network's preprocessing is this package's own; else the
    floating-point numbers that the library's preprocessing gives. Normalising is part of
    the exported model. Its metadata tell the preprocessing, the classes' thresholds and
    values. Scores agree with the model's own to about 1e-6, and networks compute in
    single precision, whatever ``precision`` is.

    Examples
    --------
    >>> from sklearn_memorability.persistence import export_onnx
    >>> export_onnx(model, "model.onnx")  # doctest: +SKIP
    """
    if part not in _PARTS:
        raise ValueError(f"part={part!r} must be 'all' or 'head'.")
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"{str(path)!r} must end in .onnx.")
    check_is_fitted(model)
    steps = steps_of(model)
    if part == "head":
        steps = [step for step in steps if not is_of_pictures(step)]
    if not steps:
        raise ValueError("Nothing is left to export.")
    _import_onnx()
    modules = [as_module(step, is_last=step is steps[-1]) for step in steps]
    if any(is_of_pictures(step) for step in steps[1:]):
        raise ValueError("Image features can be exported as the first step only.")
    whole = nn.Sequential(*modules).eval()
    facts = {
        "thresholds": steps[-1].thresholds_.tolist(),
        "values": steps[-1].class_values_.tolist(),
    }
    if is_of_pictures(steps[0]):
        name, first = "pixels", modules[0]
        example = _views(first, Image.new("RGB", (256, 256), "grey")).repeat(2, 1, 1, 1)
        facts["preprocessing"] = repr(first.preprocess)
    else:
        name, example = "features", torch.zeros(2, steps[0].n_features_in_)
    _export(whole, name, example, facts, path)


def onnx_input(model: Any, images: Any) -> np.ndarray:
    """Return what an exported model takes, from pictures.

    To compare it with the model, and to check another program's scaling and cropping.

    Parameters
    ----------
    model : estimator
        Fitted; its first step takes pictures.
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
        If the model takes no pictures, or can't be exported.

    Examples
    --------
    >>> from sklearn_memorability.persistence import onnx_input
    >>> onnx_input(model, ["cat.jpg"])  # doctest: +SKIP
    """
    check_is_fitted(model)
    first = steps_of(model)[0]
    if not is_of_pictures(first):
        raise ValueError(f"The model's first step, {type(first).__name__}, takes no pictures.")
    module = as_module(first, is_last=False)
    views = [_views(module, read_image(image)) for image in as_image_list(images)]
    return torch.cat(views).contiguous().numpy()


def _views(module: Any, picture: Image.Image) -> torch.Tensor:
    return module.preprocess.views(picture, 1)


def _export(
    whole: nn.Module, name: str, example: torch.Tensor, facts: dict[str, Any], path: Path
) -> None:
    size = sum(t.numel() * t.element_size() for t in whole.state_dict().values())
    with warnings.catch_warnings():
        # The exporter warns of what it will do otherwise in versions to come.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            whole,
            (example,),
            dynamo=True,
            input_names=[name],
            output_names=["score", "class_proba"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            verbose=False,
        )
    if program is None:  # pragma: no cover
        raise RuntimeError("torch exported nothing.")
    program.model.metadata_props.update(
        {
            "producer": f"sklearn-memorability {metadata.version('sklearn-memorability')}",
            **{key: v if isinstance(v, str) else json.dumps(v) for key, v in facts.items()},
        }
    )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".onnx-") as folder:
        program.save(Path(folder, path.name), external_data=size > _LARGEST_FILE)
        # The model last: it names the other.
        for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name):
            os.replace(file, path.with_name(file.name))


def _import_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Exporting comes with the extra 'onnx': pip install 'sklearn-memorability[onnx]'"
        ) from error
