"""Which part of a picture each of a network's views shows, whatever its preprocessing."""

from typing import Any

import numpy as np
import torch
from PIL import Image

# How far a pixel may be off from where scaling and cropping would put it, as a share of
# the picture, on average: 8 bits and smoothed edges take their part.
_TOLERANCE = 0.02


class ViewPlaces:
    """Where the views of a picture lie in it.

    The preprocessing is asked, not understood: two pictures whose brightness tells the
    column and the row go through it, beside a black and a white one, which undo its
    arithmetic.

    Parameters
    ----------
    preprocess : Preprocess
        From a picture to its views.
    n_crops : int
        How many views it makes.
    size : tuple of two int
        Width and height of the picture.

    Raises
    ------
    TypeError
        If it does more than to scale, crop and mirror.
    """

    def __init__(self, preprocess: Any, n_crops: int, size: tuple[int, int]) -> None:
        width, height = size
        self.size = size
        column = np.broadcast_to(_ramp(width), (height, width))
        row = np.broadcast_to(_ramp(height)[:, np.newaxis], (height, width))
        black, white, *ramps = (
            _values(preprocess, n_crops, np.asarray(grey, dtype=np.uint8))
            for grey in (np.zeros((height, width)), np.full((height, width), 255), column, row)
        )
        contrast = white - black
        # A border that was put around the picture is as bright in both.
        shown = np.abs(contrast) > 0.5 * np.abs(contrast).max(initial=0)
        if not shown.any():
            raise _refusal(preprocess)
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = (np.where(shown, (ramp - black) / contrast, np.nan) for ramp in ramps)
        self._edges = [
            (
                _edges(across, width, preprocess),
                _edges(down.T, height, preprocess),
            )
            for across, down in zip(x, y, strict=True)
        ]

    def onto_picture(self, views: np.ndarray) -> np.ndarray:
        """Bring values of the views' pixels back to the picture's.

        Parameters
        ----------
        views : numpy.ndarray of shape (n_crops, height, width)
            A value for each pixel of each view.

        Returns
        -------
        numpy.ndarray of shape (height, width) of the picture
            Each value is spread evenly over what its pixel shows; the sum stays the
            same but for what lies outside of the picture.
        """
        width, height = self.size
        return sum(
            _shares(down, height) @ view @ _shares(across, width).T
            for (across, down), view in zip(self._edges, views, strict=True)
        )


def _ramp(length: int) -> np.ndarray:
    return np.rint((np.arange(length) + 0.5) / length * 255)


def _values(preprocess: Any, n_crops: int, grey: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(grey)).convert("RGB")
    with torch.no_grad():
        views = preprocess.normalize(preprocess.views(picture, n_crops))
    return views.double().mean(dim=1).numpy()


def _edges(found: np.ndarray, length: int, preprocess: Any) -> np.ndarray:
    """Return where a view's pixels begin and end along one side, in shares of the picture.

    Parameters
    ----------
    found : numpy.ndarray
        For each pixel of the view, its place along the side, which should be the same in
        each column; NaN where it shows none of the picture.
    length : int
        The picture's pixels along the side.
    preprocess : Preprocess
        For the error message.
    """
    known = np.flatnonzero(~np.isnan(found).all(axis=0))
    places = np.nanmean(found[:, known], axis=0)
    n_pixels = found.shape[1]
    if length == 1 or len(known) == 1:
        # A single column has no slope to fit: it is all there is.
        slope, first = 1 / len(known), -known[0] / len(known)
        return first + slope * np.arange(n_pixels + 1)
    slope, first = np.polyfit(known + 0.5, places, 1)
    fitted = first + slope * (np.arange(n_pixels) + 0.5)
    if not np.nanmean(np.abs(found - fitted)) < _TOLERANCE + 0.5 / length:
        raise _refusal(preprocess)
    if abs(slope) * n_pixels < 0.5 / length:
        # Of a thin picture, a crop may show a single row: its pixels are all there.
        row = int(places.mean() * length)
        return (row + np.linspace(0, 1, n_pixels + 1)) / length
    return first + slope * np.arange(n_pixels + 1)


def _shares(edges: np.ndarray, length: int) -> np.ndarray:
    """Return which share of each of a view's pixels lies on each of the picture's."""
    low, high = (
        np.minimum(edges[:-1], edges[1:]) * length,
        np.maximum(edges[:-1], edges[1:]) * length,
    )
    pixel = np.arange(length)[:, np.newaxis]
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    return overlap / (high - low)


def _refusal(preprocess: Any) -> TypeError:
    return TypeError(
        f"gradient_map can't tell what part of a picture {preprocess!r} shows the network: it does "
        "more than to scale, crop and mirror. occlusion_map takes every model from pictures to "
        "scores."
    )
