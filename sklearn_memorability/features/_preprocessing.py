"""From an RGB image to a network's input: the preprocessing its weights were trained with.

Two halves, because they run in different places: the geometry, on each image as it is
read, and the arithmetic, on the whole batch where the network is. The ``repr`` of a
preprocessing says all that it does: the cache tells features by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import functional

from sklearn_memorability.images._read import ImageContent

# Scaling the shorter side of a thread-like image to 256 would blow it up to gigabytes.
# What lies further out than this from its middle no central crop sees.
_LONGEST_SHAPE = 16

# How many times the side that a network takes images keep that are decoded at a reduced
# scale. With 2, some features differ in the second digit.
_REDUCED_TO = 2.5


class Preprocess(Protocol):
    """What a network needs to know of its input.

    Those that also have ``side``, ``crop``, ``interpolation`` and ``seen`` get large images at
    a reduced scale.
    """

    def view(self, image: Image.Image) -> torch.Tensor:
        """Return what is seen of an RGB image, of shape (channels, height, width)."""

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return a batch of views as the network takes it, in floating point."""


def view_of(preprocess: Preprocess, content: ImageContent) -> torch.Tensor:
    """Return a preprocessing's view of an image, which is decoded no larger than that needs."""
    least = reading_side(preprocess)
    if least is None:
        return preprocess.view(content.rgb())
    image, size, box = content.reduced(least)
    if image.size == size:
        return preprocess.view(image)
    scaled: Any = preprocess
    # To the fraction of a pixel: features tell where the view begins.
    across, down = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    left, top, right, bottom = scaled.seen(*size)
    place = (
        max(0.0, box[0] + left * across),
        max(0.0, box[1] + top * down),
        min(image.width, box[0] + right * across),
        min(image.height, box[1] + bottom * down),
    )
    method = Image.Resampling[scaled.interpolation.upper()]
    return _pixels(image.resize((scaled.crop, scaled.crop), method, place))


def reading_side(preprocess: Preprocess) -> int | None:
    """Return how long an image's shorter side must be at least; None if nothing may be lost."""
    side = getattr(preprocess, "side", None)
    return None if side is None else int(_REDUCED_TO * side)


@dataclass(frozen=True)
class Standard:
    """Scale the shorter side, crop, normalise: torchvision's, and what goes with it.

    ``resize`` is the shorter side after scaling, ``crop`` the side of the square cut out of
    its middle; ``mean`` and ``std`` are in the network's order of channels. White is
    ``white`` (1 or 255) before normalising, and ``bgr`` networks take blue first.
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

    def view(self, image: Image.Image) -> torch.Tensor:
        """Return 8 bits a channel, scaled first and then cropped."""
        image = functional.resize(
            _without_far_ends(image),
            [self.resize],
            interpolation=functional.InterpolationMode(self.interpolation),
        )
        return _pixels(_square(image, *self._corner(*image.size), self.crop))

    @property
    def side(self) -> int:
        """How long the shorter side is after scaling."""
        return self.resize

    def seen(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return what the view shows of an image of this size: left, top, right, bottom."""
        wide, high = (int(self.resize * side / min(width, height)) for side in (width, height))
        left, top = self._corner(wide, high)
        across, down = width / wide, height / high
        return left * across, top * down, (left + self.crop) * across, (top + self.crop) * down

    def _corner(self, width: int, height: int) -> tuple[int, int]:
        # To even, as torchvision rounds.
        return round((width - self.crop) / 2), round((height - self.crop) / 2)

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
    """The reference preprocessing of EfficientNet-Lite: crop, scale, (rgb - 127) / 128."""

    size: int = 224
    interpolation: ClassVar[str] = "bicubic"

    def view(self, image: Image.Image) -> torch.Tensor:
        """Return 8 bits a channel, cropped first and then scaled."""
        image = _without_far_ends(image)
        # Cropping comes first, since resize(box=...) would also weigh in pixels around the box.
        cut = image.crop(self.seen(*image.size))
        return _pixels(cut.resize((self.size, self.size), Image.Resampling.BICUBIC))

    @property
    def side(self) -> int:
        """How long the shorter side would be after scaling."""
        return self.size + 32

    @property
    def crop(self) -> int:
        """The side of the view."""
        return self.size

    def seen(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return what the view shows of an image of this size: left, top, right, bottom."""
        # The central 7/8, rounded up as in TensorFlow's reference code.
        side = max(1, min(width, height) * self.size // self.side)
        left, top = (width - side + 1) // 2, (height - side + 1) // 2
        return left, top, left + side, top + side

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return ``(rgb - 127) / 128``."""
        return batch.float().sub_(127.0).div_(128.0)


@dataclass(frozen=True)
class Stretched:
    """The preprocessing of ResMem and ViTMem: 256 x 256 whatever the shape, then its middle."""

    crop: int

    def view(self, image: Image.Image) -> torch.Tensor:
        """Return 8 bits a channel, scaled first and then cropped."""
        start = round((256 - self.crop) / 2)  # to even, as torchvision rounds
        scaled = image.resize((256, 256), Image.Resampling.BILINEAR)
        return _pixels(_square(scaled, start, start, self.crop))

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return ``pixels / 255``."""
        return batch.float().div_(255.0)


@dataclass(frozen=True)
class Transform:
    """A user's or a library's own transform, from an RGB image to the network's input."""

    transform: Callable[[Image.Image], torch.Tensor]

    def view(self, image: Image.Image) -> torch.Tensor:
        """Return the transformed image."""
        return torch.as_tensor(self.transform(_without_far_ends(image)))

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the batch, which is as the transform made it."""
        return batch.float()


def _square(image: Image.Image, left: int, top: int, side: int) -> Image.Image:
    # What lies outside of a smaller image is black, as in torchvision.
    return image.crop((left, top, left + side, top + side))


def _pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _channels(values: tuple[float, ...], batch: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, device=batch.device).view(1, -1, 1, 1)


def _without_far_ends(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = _LONGEST_SHAPE * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))
