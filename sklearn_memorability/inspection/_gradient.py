"""What a model looks at, by the gradient of its score."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.utils import Bunch, check_scalar

from sklearn_memorability.features._networks import Network
from sklearn_memorability.images import read_image
from sklearn_memorability.inspection._differentiable import DifferentiableModel
from sklearn_memorability.inspection._occlusion import plain_picture
from sklearn_memorability.inspection._view_places import ViewPlaces

# Width of the smoothing, by default, in shares of the shorter side.
_SMOOTHING = 0.02


def gradient_map(
    model: Any,
    image: Any,
    *,
    fill: str | int | tuple[int, int, int] = "mean",
    n_steps: int = 32,
    smoothing: float | None = None,
    batch_size: int = 8,
) -> Bunch:
    """Share the predicted score out among a picture's pixels, by its gradient.

    Gradient times input, averaged over the way from a plain picture to this one:
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
        :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`;
        or a search or frozen estimator around it.
    image : path, bytes, open file, PIL image, array or tensor
        One picture; see :func:`~sklearn_memorability.images.read_image`.
    fill : "mean", int or tuple of three int, default="mean"
        Colour of the plain picture: the picture's mean colour, a grey, or a red, green
        and blue, from 0 to 255.
    n_steps : int, default=32
        Pictures on the way, at each of which the gradient is taken.
    smoothing : float, optional
        Standard deviation of the Gaussian that smooths the map, in pixels of the
        picture; gradients of deep networks vary much from pixel to pixel. By default, a
        fiftieth of the shorter side. 0 leaves the map as it is.
    batch_size : int, default=8
        Pictures on the way that go through the network at a time.

    Returns
    -------
    sklearn.utils.Bunch
        With the attributes

        map : numpy.ndarray of shape (height, width)
            Each pixel's share. Above zero: it raises the predicted score. Below zero:
            it lowers it. The sum approaches ``score - fill_score`` with more steps;
            what the network's input leaves out of the picture has no share.
        score : float
            The predicted score of the picture.
        fill_score : float
            That of the plain picture.
        image : PIL.Image.Image
            The picture.

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
        If the picture can't be read.

    See Also
    --------
    occlusion_map : For every model from pictures to scores.
    MapDisplay : Draws a map over its picture.

    Notes
    -----
    The model is left as it was: gradients are taken with respect to the pictures alone,
    in float32, and nothing is hooked into the network.

    Next to a plain picture deep networks change abruptly. Steps are shorter there, and
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
    >>> pictures, scores = load_sample_images().images, [0.6, 0.8]
    >>> model = mlp_regressor(ImageFeatures(), n_classes=2, random_state=0)
    >>> model = model.fit(pictures, scores)
    >>> gradient_map(model, pictures[0], n_steps=2).map.shape
    (427, 640)
    """
    check_scalar(n_steps, "n_steps", Integral, min_val=1)
    check_scalar(batch_size, "batch_size", Integral, min_val=1)
    if smoothing is not None:
        check_scalar(smoothing, "smoothing", Real, min_val=0)
    picture = read_image(image)
    plain = plain_picture(picture, fill)
    # Whoever calls may have switched gradients off.
    with torch.inference_mode(False), torch.enable_grad():
        parts = DifferentiableModel(model)
        places = [
            ViewPlaces(network.preprocess, network.recipe.crops, picture.size)
            for network in parts.networks
        ]
        ends = [(_views(n, plain), _views(n, picture)) for n in parts.networks]
        with torch.no_grad():
            fill_score, score = (parts.score([end[i][None] for end in ends]).item() for i in (0, 1))
        gradients = _mean_gradients(parts, ends, n_steps, batch_size)
    found = np.zeros(picture.size[::-1])
    for (start, end), gradient, place in zip(ends, gradients, places, strict=True):
        shares = ((end - start) * gradient).sum(dim=1)
        found += place.onto_picture(shares.cpu().double().numpy())
    if smoothing is None:
        smoothing = _SMOOTHING * min(picture.size)
    return Bunch(
        # Reflected at its border, the map keeps its sum.
        map=gaussian_filter(found, smoothing, mode="reflect"),
        score=score,
        fill_score=fill_score,
        image=picture,
    )


def _views(network: Network, picture: Image.Image) -> torch.Tensor:
    views = network.preprocess.views(picture, network.recipe.crops).to(network.device)
    return network.preprocess.normalize(views)


def _mean_gradients(
    parts: DifferentiableModel,
    ends: list[tuple[torch.Tensor, torch.Tensor]],
    n_steps: int,
    batch_size: int,
) -> list[torch.Tensor]:
    """Return the mean gradient of the score along the straight way between two pictures."""
    total = [torch.zeros_like(start) for start, _ in ends]
    # Deep networks change fastest next to a plain picture, so that is where steps are
    # short: at the squares of the middles of equal parts, weighted by their lengths.
    middles = (torch.arange(n_steps) + 0.5) / n_steps
    for part in torch.split(middles, batch_size):
        at = part**2
        inputs = [
            torch.lerp(start, end, at.to(start.device).view(-1, 1, 1, 1, 1)).requires_grad_()
            for start, end in ends
        ]
        score = parts.score(inputs).sum()
        found: tuple[Any, ...] = ()
        if score.requires_grad:
            found = torch.autograd.grad(score, inputs, allow_unused=True)
        if all(gradient is None for gradient in found):
            raise TypeError(
                "gradient_map finds no gradient: the network's features are cut off from its "
                "input. occlusion_map takes every model from pictures to scores."
            )
        for sum_, gradient in zip(total, found, strict=True):
            if gradient is not None:
                lengths = (2 * part / n_steps).to(gradient.device)
                sum_ += torch.tensordot(lengths, gradient, dims=1)
    return total
