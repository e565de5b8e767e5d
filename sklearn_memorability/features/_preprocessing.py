"""From an RGB picture to a network's input: the preprocessing its weights were trained with.

Two halves, because they run in different places: the geometry, on each picture as it is
read, and the arithmetic, on the whole batch where the network is. The ``repr`` of a
preprocessing says all that it does: the cache tells features by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import functional

# The views that can be averaged: the centre; with the four corners; with all mirrored.
CROPS = (1, 5, 10)

# Scaling the shorter side of a thread-like picture to 256 would blow it up to
# gigabytes. What lies further out than this from its middle no central crop sees.
_LONGEST_SHAPE = 16


class Preprocess(Protocol):
    """What a network needs to know of its input."""

    def views(self, picture: Image.Image, n_crops: int) -> torch.Tensor:
        """Return views of one picture, of shape (n_crops, channels, height, width)."""

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return a batch of views as the network takes it, in floating point."""


@dataclass(frozen=True)
class Standard:
    """Scale the shorter side, crop, normalise: torchvision's, and what goes with it.

    Attributes
    ----------
    resize, crop : int
        The shorter side after scaling, and the side of the square cut out of it.
    mean, std : tuple of float
        Subtracted from and divided into each channel, in the network's order.
    interpolation : str
        ``"bilinear"`` or ``"bicubic"``.
    white : float
        What white is before normalising: 1 or 255.
    bgr : bool
        Whether the network takes blue first, as Caffe's do.
    """

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    white: float = 1.0
    bgr: bool = False

    @classmethod
    def of_preset(cls, preset: Any) -> "Standard":
        """Take the numbers of torchvision's ``weights.transforms()``."""
        return cls(
            resize=int(preset.resize_size[0]),
            crop=int(preset.crop_size[0]),
            mean=tuple(preset.mean),
            std=tuple(preset.std),
            interpolation=preset.interpolation.value,
        )

    def views(self, picture: Image.Image, n_crops: int) -> torch.Tensor:
        """Return views of 8 bits, scaled first and then cropped."""
        picture = functional.resize(
            _without_far_ends(picture),
            [self.resize],
            interpolation=functional.InterpolationMode(self.interpolation),
        )
        return _bytes(_crops(picture, self.crop, n_crops))

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return ``(pixels / 255 * white - mean) / std``."""
        pixels = batch.float()
        if self.white != 255:
            pixels = pixels.div_(255 / self.white)
        if self.bgr:
            pixels = pixels.flip(1)
        return pixels.sub_(_channels(self.mean, batch)).div_(_channels(self.std, batch))


# What the networks of Simonyan and Zisserman were trained with, in Caffe: the shorter
# side 256, the means of ImageNet's blue, green and red taken off.
CAFFE = Standard(
    256, 224, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), white=255.0, bgr=True
)


@dataclass(frozen=True)
class EfficientNetLite:
    """The reference preprocessing of EfficientNet-Lite: crop, scale, (rgb - 127) / 128.

    Attributes
    ----------
    size : int
        Side of the network's input.
    """

    size: int = 224

    def views(self, picture: Image.Image, n_crops: int) -> torch.Tensor:
        """Return views of 8 bits, cropped first and then scaled."""
        picture = _without_far_ends(picture)
        # The central 7/8. Cropping comes first, since resize(box=...) would also weigh in
        # pixels around the box.
        side = max(1, min(picture.size) * self.size // (self.size + 32))
        size = (self.size, self.size)
        cut = _crops(picture, side, n_crops, half=_half_upwards)
        return _bytes([view.resize(size, Image.Resampling.BICUBIC) for view in cut])

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return ``(rgb - 127) / 128``."""
        return batch.float().sub_(127.0).div_(128.0)


class Transform:
    """A user's or a library's own transform, from a picture to a tensor.

    Parameters
    ----------
    transform : callable
        From an RGB picture to a tensor of shape (channels, height, width), as the
        network takes it. Several crops need a torchvision ``Compose`` in which a
        ``CenterCrop`` stands.
    """

    def __init__(self, transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.transform = transform

    def __repr__(self) -> str:
        return f"Transform({self.transform!r})"

    def views(self, picture: Image.Image, n_crops: int) -> torch.Tensor:
        """Return the transformed views."""
        picture = _without_far_ends(picture)
        if n_crops == 1:
            return torch.as_tensor(self.transform(picture))[None]
        before, side, after = self._parts
        for step in before:
            picture = step(picture)
        views = []
        for crop in _crops(picture, side, n_crops):
            view: Any = crop
            for step in after:
                view = step(view)
            views.append(view)
        return torch.stack(views)

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the batch, which is as the transform made it."""
        return batch.float()

    @cached_property
    def _parts(self) -> tuple[list[Any], int, list[Any]]:
        steps = list(getattr(self.transform, "transforms", ()))
        for i, step in enumerate(steps):
            if type(step).__name__ == "CenterCrop":
                return steps[:i], int(np.ravel(step.size)[0]), steps[i + 1 :]
        raise ValueError(
            "crops above 1 need a preprocessing whose central crop can be moved: a torchvision "
            "Compose with a CenterCrop in it."
        )


def _half_to_even(spare: int) -> int:
    return round(spare / 2)  # as torchvision places its central crop


def _half_upwards(spare: int) -> int:
    return (spare + 1) // 2  # as TensorFlow's reference code for EfficientNet does


def _crops(
    picture: Image.Image, side: int, n_crops: int, half: Callable[[int], int] = _half_to_even
) -> list[Image.Image]:
    width, height = picture.size
    # What lies outside of a smaller picture is black, as in torchvision.
    corners = [(half(width - side), half(height - side))]
    if n_crops > 1:
        right, bottom = max(0, width - side), max(0, height - side)
        corners += [(0, 0), (right, 0), (0, bottom), (right, bottom)]
    views = [picture.crop((x, y, x + side, y + side)) for x, y in corners]
    if n_crops == 10:
        views += [view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for view in views]
    return views


def _bytes(views: list[Image.Image]) -> torch.Tensor:
    # Height, width, channels in memory is the channels-last layout of the batch.
    return torch.from_numpy(np.stack([np.asarray(view) for view in views])).permute(0, 3, 1, 2)


def _channels(values: tuple[float, ...], batch: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, device=batch.device).view(1, -1, 1, 1)


def _without_far_ends(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    longest = _LONGEST_SHAPE * min(width, height)
    if max(width, height) <= longest:
        return picture
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return picture.crop((left, top, left + min(width, longest), top + min(height, longest)))
