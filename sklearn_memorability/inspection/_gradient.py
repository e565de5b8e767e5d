"""What a model looks at, by the gradient of its score."""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_scalar
from torch.nn import functional

from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.features._joint_space import ClipSpace
from sklearn_memorability.features._networks import Network
from sklearn_memorability.images import read_image
from sklearn_memorability.inspection._occlusion import fill_colour
from sklearn_memorability.inspection._unwrap import fitted_steps
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._layers import LayersRegressor

_Function = Callable[[torch.Tensor], torch.Tensor]

# Width of the smoothing, by default, in shares of the shorter side.
_SMOOTHING = 0.02
# How far a pixel may be off from where scaling and cropping would put it, as a share of
# the image, on average: 8 bits and smoothed edges take their part.
_TOLERANCE = 0.02


def gradient_map(
    model: Any,
    image: Any,
    *,
    fill: str | int | tuple[int, int, int] = "mean",
    n_steps: int = 32,
    smoothing: float | None = None,
    batch_size: int = 8,
) -> Bunch:
    """Share the predicted score out among an image's pixels, by its gradient.

    Gradient times input, averaged along the way from an image of one colour to this one:
    integrated gradients [1]_. A pixel's share is how much of the difference between the
    two scores is due to it.

    Parameters
    ----------
    model : estimator
        A fitted one that can be differentiated: a Pipeline of
        :class:`~sklearn_memorability.features.ImageFeatures`,
        :class:`~sklearn_memorability.features.VGGFeatures` or
        :class:`~sklearn_memorability.features.CaptionEmbedding` (or a FeatureUnion of
        them), of StandardScaler, and of
        :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor` or
        a published model's layers; or a search or frozen estimator around it.
    image : path, bytes, open file, PIL image, array or tensor
        One image; see :func:`~sklearn_memorability.images.read_image`.
    fill : "mean", int or tuple of three int, default="mean"
        Colour of the plain image: the image's mean colour, a grey, or a red, green
        and blue, from 0 to 255.
    n_steps : int, default=32
        Steps from the plain image to this one, at each of which the gradient is taken.
    smoothing : float, optional
        Standard deviation of the Gaussian that smooths the map, in pixels of the
        image; gradients of deep networks vary much from pixel to pixel. By default, a
        fiftieth of the shorter side. 0 leaves the map as it is.
    batch_size : int, default=8
        Steps that go through the network at a time.

    Returns
    -------
    sklearn.utils.Bunch
        With the attributes

        map : numpy.ndarray of shape (height, width)
            Each pixel's share. Above zero: it raises the predicted score. Below zero:
            it lowers it. The sum approaches ``score - fill_score`` with more steps;
            what the network's input leaves out of the image has no share.
        score : float
            The predicted score of the image.
        fill_score : float
            That of the plain image.
        image : PIL.Image.Image
            The image.
        label : str
            What the map's values are.

    Raises
    ------
    TypeError
        If the model can't be differentiated, or its preprocessing does more than to
        scale, crop and mirror; :func:`occlusion_map` works there too.
    ValueError
        If a number is out of range or ``fill`` is no colour.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    sklearn_memorability.images.ImageReadError
        If the image can't be read.

    See Also
    --------
    occlusion_map : For every model from images to scores.
    MapDisplay : Draws a map over its image.

    Notes
    -----
    The model is left as it was: gradients are taken with respect to the images alone,
    in float32, and nothing is hooked into the network.

    Next to a plain image deep networks change abruptly. Steps are shorter there, and
    still the shares of such a network add up to ``score - fill_score`` only roughly: a
    large gap between the two sums asks for more steps.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks",
       ICML 2017, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.features import ImageFeatures
    >>> from sklearn_memorability.inspection import gradient_map
    >>> from sklearn_memorability.pipelines import mlp_regressor
    >>> images, scores = load_sample_images().images, [0.6, 0.8]
    >>> model = mlp_regressor(ImageFeatures(), n_classes=2, random_state=0)
    >>> model = model.fit(images, scores)
    >>> gradient_map(model, images[0], n_steps=2).map.shape
    (427, 640)
    """
    check_scalar(n_steps, "n_steps", Integral, min_val=1)
    check_scalar(batch_size, "batch_size", Integral, min_val=1)
    if smoothing is not None:
        check_scalar(smoothing, "smoothing", Real, min_val=0)
    image = read_image(image)
    red, green, blue = fill_colour(np.asarray(image), fill).tolist()
    plain = Image.new("RGB", image.size, (red, green, blue))
    # Whoever calls may have switched gradients off.
    with torch.inference_mode(False), torch.enable_grad():
        networks, score_of = _differentiable(model)
        places = [_edges_of_input(network.preprocess, image.size) for network in networks]
        ends = [
            (_input(n.preprocess, plain, n.device), _input(n.preprocess, image, n.device))
            for n in networks
        ]
        with torch.no_grad():
            fill_score, score = (score_of([end[i] for end in ends]).item() for i in (0, 1))
        gradients = _mean_gradients(score_of, ends, n_steps, batch_size)
    values = np.zeros(image.size[::-1])
    for (start, end), gradient, edges in zip(ends, gradients, places, strict=True):
        shares = ((end - start) * gradient).sum(dim=(0, 1)).cpu().double().numpy()
        across, down = (_overlaps(e, n) for e, n in zip(edges, image.size, strict=True))
        values += down @ shares @ across.T
    if smoothing is None:
        smoothing = _SMOOTHING * min(image.size)
    return Bunch(
        # Reflected at its border, the map keeps its sum.
        map=gaussian_filter(values, smoothing, mode="reflect"),
        score=score,
        fill_score=fill_score,
        image=image,
        label="share of the score, by its gradient",
    )


def _mean_gradients(
    score_of: Callable[[Sequence[torch.Tensor]], torch.Tensor],
    ends: list[tuple[torch.Tensor, torch.Tensor]],
    n_steps: int,
    batch_size: int,
) -> list[torch.Tensor]:
    """Return the mean gradient of the score along the straight way between two inputs."""
    total = [torch.zeros_like(start) for start, _ in ends]
    # Deep networks change fastest next to a plain image, so that is where steps are
    # short: at the squares of the middles of equal parts, weighted by their lengths.
    middles = (torch.arange(n_steps) + 0.5) / n_steps
    for part in torch.split(middles, batch_size):
        inputs = [
            torch.lerp(start, end, (part**2).to(start.device).view(-1, 1, 1, 1)).requires_grad_()
            for start, end in ends
        ]
        score = score_of(inputs).sum()
        gradients: tuple[Any, ...] = ()
        if score.requires_grad:
            gradients = torch.autograd.grad(score, inputs, allow_unused=True)
        if all(gradient is None for gradient in gradients):
            raise TypeError(
                "gradient_map finds no gradient: the network's features are cut off from its "
                "input. occlusion_map takes every model from images to scores."
            )
        for sum_, gradient in zip(total, gradients, strict=True):
            if gradient is not None:
                lengths = (2 * part / n_steps).to(gradient.device)
                sum_ += torch.tensordot(lengths, gradient, dims=1)[None]
    return total


def _differentiable(
    model: Any,
) -> tuple[list[Network], Callable[[Sequence[torch.Tensor]], torch.Tensor]]:
    """Return a model's networks, and its score as a function of their normalised inputs."""
    first, *steps = fitted_steps(model)
    weighted = _extractors(first)
    heads = BalancedQuantileClassifierRegressor | LayersRegressor
    if not steps or not isinstance(steps[-1], heads):
        raise _refusal((steps or [first])[-1])
    networks = [extractor._network for _, extractor in weighted]
    finishes = [(weight, _finish(extractor)) for weight, extractor in weighted]
    functions = [*map(_scale, steps[:-1]), _head(steps[-1])]

    def score_of(inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        rows = []
        for network, (weight, finish), batch in zip(networks, finishes, inputs, strict=True):
            # A copy, as a network may work in place.
            features = network.module(batch.clone()).float().flatten(1)
            rows.append(weight * finish(features).to(networks[0].device))
        x = torch.cat(rows, dim=1)
        for function in functions:
            x = function(x)
        return x

    return networks, score_of


def _extractors(step: Any) -> list[tuple[float, ImageExtractor]]:
    """Return the transformers of images in a model's first step, each with its weight."""
    if isinstance(step, ImageExtractor):
        return [(1.0, step)]
    if not isinstance(step, FeatureUnion):
        raise _refusal(step)
    weights = step.transformer_weights or {}
    weighted = []
    for name, transformer in step.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        inner = fitted_steps(transformer)
        if len(inner) != 1 or not isinstance(inner[0], ImageExtractor):
            raise _refusal(transformer)
        weighted.append((float(weights.get(name, 1.0)), inner[0]))
    return weighted


def _finish(extractor: Any) -> _Function:
    """Return what the transformer makes of its network's features."""
    if not hasattr(extractor, "embedding_"):
        return lambda rows: rows
    space = extractor.embedding_
    if isinstance(space, ClipSpace):
        project: _Function = functional.normalize
    elif hasattr(space, "image_weights_"):
        project = _projection(space.image_weights_, space.image_bias_)
    else:
        raise _refusal(space)
    if not extractor._with_cnn:
        return project
    return lambda rows: torch.cat([rows, project(rows)], dim=1)


def _projection(weights: Any, bias: Any) -> _Function:
    weights, bias = torch.as_tensor(weights), torch.as_tensor(bias)

    def project(rows: torch.Tensor) -> torch.Tensor:
        unit = functional.normalize(rows)
        return functional.normalize(unit @ weights.to(rows.device) + bias.to(rows.device))

    return project


def _scale(step: Any) -> _Function:
    if not isinstance(step, StandardScaler):
        raise _refusal(step)
    mean = torch.as_tensor(step.mean_ if step.with_mean else 0.0, dtype=torch.float32)
    scale = torch.as_tensor(step.scale_ if step.with_std else 1.0, dtype=torch.float32)
    return lambda x: (x - mean.to(x.device)) / scale.to(x.device)


def _head(regressor: Any) -> _Function:
    if isinstance(regressor, LayersRegressor):
        layers = regressor.as_module()
        return lambda x: layers.to(x.device)(x)
    module = regressor.net_.module_
    values = torch.as_tensor(regressor.class_values_, dtype=torch.float32)

    def head(x: torch.Tensor) -> torch.Tensor:
        x = x.to(regressor.net_.device)
        # As for every prediction; without it dropout would draw.
        proba = module.eval()(x).softmax(dim=-1)
        return proba @ values.to(x.device)

    return head


def _refusal(step: Any) -> TypeError:
    return TypeError(
        f"gradient_map can't differentiate {type(step).__name__}. It takes models of "
        "ImageFeatures, VGGFeatures or CaptionEmbedding (or a FeatureUnion of them), then "
        "StandardScaler, then BalancedQuantileClassifierRegressor. occlusion_map takes every model "
        "from images to scores."
    )


def _input(preprocess: Any, image: Image.Image, device: Any = "cpu") -> torch.Tensor:
    """Return an image as a network takes it: (1, channels, height, width), normalised."""
    return preprocess.normalize(preprocess.view(image)[None].to(device))


def _edges_of_input(preprocess: Any, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return where the pixels of a network's input begin and end in the image."""
    # The preprocessing is tried, not understood: two images whose brightness tells the column and
    # the row go through it, and a black and a white one, which undo its arithmetic.
    width, height = size
    across = np.broadcast_to(np.arange(width) + 0.5, (height, width)) / width
    down = np.broadcast_to(np.arange(height)[:, np.newaxis] + 0.5, (height, width)) / height
    black, white, *ramps = (
        _grey(preprocess, grey) for grey in (0 * across, 0 * across + 1, across, down)
    )
    contrast = white - black
    # A border that was put around the image is as bright in both.
    shown = np.abs(contrast) > 0.5 * np.abs(contrast).max(initial=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.where(shown, (ramp - black) / contrast, np.nan) for ramp in ramps)
    edges = _edges(x, width), _edges(y.T, height)
    if any(edge is None for edge in edges):
        raise TypeError(
            f"gradient_map can't tell what part of an image {preprocess!r} shows the network: it "
            "does more than to scale, crop and mirror. occlusion_map takes every model from images "
            "to scores."
        )
    return edges[0] * width, edges[1] * height


def _grey(preprocess: Any, grey: np.ndarray) -> np.ndarray:
    image = Image.fromarray(np.rint(255 * grey).astype(np.uint8)).convert("RGB")
    with torch.no_grad():
        return _input(preprocess, image)[0].double().mean(dim=0).numpy()


def _edges(places: np.ndarray, length: int) -> Any:
    """Return the edges of an input's columns, in shares of the image; None if there are none."""
    columns = np.flatnonzero(~np.isnan(places).all(axis=0))
    if len(columns) < 2:
        return None
    slope, first = np.polyfit(columns + 0.5, np.nanmean(places[:, columns], axis=0), 1)
    n_pixels = places.shape[1]
    fitted = first + slope * (np.arange(n_pixels) + 0.5)
    if slope == 0 or not np.nanmean(np.abs(places - fitted)) < _TOLERANCE + 0.5 / length:
        return None
    return first + slope * np.arange(n_pixels + 1)


def _overlaps(edges: np.ndarray, length: int) -> np.ndarray:
    """Return which share of each pixel of the input lies on each pixel of the image."""
    low, high = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    pixel = np.arange(length)[:, np.newaxis]
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    return overlap / (high - low)
