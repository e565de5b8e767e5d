"""From PIL images and arrays to 8 bits of red, green and blue, in sRGB."""

import io
import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_CHANNELS = (1, 3, 4)
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF
_TOP = np.iinfo(np.uint16).max
_NARROWEST = (_TOP + 1) // 16
# Levels of 256 that lie nearer to each other show nothing.
_VISIBLE = 4

_NARROW = (
    "uses less than a sixteenth of its 16-bit range, so it is nearly black, or of one colour. "
    "Scale values of fewer bits first: as a float array, value / largest possible value."
)
_ONE_COLOUR = (
    "has transparent parts, and over the background one colour is all that it shows. "
    "read_image(..., background=...) takes another one."
)

# What each orientation in EXIF data asks for; 1 is upright, others have no meaning.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ToRGB:
    """One image's way to RGB; what may have been lost on it is told in ``remarks``."""

    def __init__(self, background: tuple[int, ...]) -> None:
        self._background = background
        self.remarks: list[str] = []

    def image(self, image: Image.Image, factor: int = 1, deep: bool = False) -> Image.Image:
        """Return a loaded PIL image upright, in mode RGB, its sides divided by a factor.

        ``deep`` images had colours of 16 bits, of which Pillow has kept the upper 8.
        """
        check_size(*image.size)
        tags = getattr(image, "tag_v2", {})  # of a TIFF
        # Pillow's exif_transpose copies even what is upright, and trips over damaged
        # metadata of images that are whole.
        turn = _TURNS.get(orientation(image))
        if turn is not None:
            image = image.transpose(turn)
            # What is upright now must not be turned once more by who reads it next.
            for key in ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"):
                image.info.pop(key, None)
        profile = image.info.get("icc_profile")
        if image.mode == "F":
            raise ValueError(
                "an image of mode F has no set range of values; give a float array in [0, 1]."
            )
        if image.mode.startswith("I"):
            image = self._eight_bits(image, tags)
        is_grey = image.mode in ("1", "L", "LA", "La")
        alpha = None
        if image.has_transparency_data:
            image = _reduced(image.convert("LA" if is_grey else "RGBA"), factor)
            alpha = image.getchannel("A")
            image = image.convert("L" if is_grey else "RGB")
        else:
            if image.mode not in ("RGB", "CMYK", "L"):
                image = image.convert("L" if is_grey else "RGB")
            image = _reduced(image, factor)
        rgb = _to_srgb(image, profile)
        if alpha is not None:
            rgb = self._over_background(rgb, alpha)
        if deep and (_span(rgb) in range(1, 256 // 16) or rgb.getbbox() is None):
            self.remarks.append(_NARROW)
        return rgb

    def array(self, values: np.ndarray, channels_first: bool = False) -> Image.Image:
        """Return an array of pixels as an image in mode RGB."""
        if np.ma.is_masked(values):
            raise ValueError("the array has masked pixels, which show nothing; fill them first.")
        values = np.asarray(values)  # without a subclass's own idea of indexing and minima
        if values.ndim == 3:
            could_be_first = values.shape[0] in _CHANNELS
            could_be_last = values.shape[2] in _CHANNELS
            if could_be_first and (channels_first or not could_be_last):
                values = np.moveaxis(values, 0, 2)
            if values.shape[2] == 1:
                values = values[:, :, 0]
        if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in _CHANNELS)):
            raise ValueError(
                "the shape must be (height, width), (height, width, channels) or "
                "(channels, height, width) with 1, 3 or 4 channels."
            )
        check_size(values.shape[1], values.shape[0])
        to_uint8 = _TO_UINT8.get(values.dtype.name)
        if to_uint8 is None:
            raise ValueError("the dtype must be uint8, uint16 or float (in [0, 1]).")
        if values.dtype.name == "uint16":
            self._remark_if_narrow(values if values.ndim == 2 else values[:, :, :3])
        return self.image(Image.fromarray(np.ascontiguousarray(to_uint8(values))))

    def tensor(self, tensor: Any) -> Image.Image:
        """Return a torch tensor of pixels as an image in mode RGB."""
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":  # NumPy has no such type
            tensor = tensor.float()
        return self.array(tensor.numpy(), channels_first=True)

    def _eight_bits(self, image: Image.Image, tags: Any) -> Image.Image:
        # Pillow's own conversion clips 16-bit grey at 255 where it should scale.
        values = np.asarray(image).astype(np.int32)
        if values.min() < 0 or values.max() > _TOP:
            raise ValueError(
                f"values from {values.min()} to {values.max()} don't fit 16-bit grey (0 to {_TOP})."
            )
        transparent = image.info.get("transparency")
        alpha = np.where(values == transparent, 0, 255) if isinstance(transparent, int) else None
        if tags.get(_BITS) in (12, (12,)):  # which Pillow leaves at the lower end of 16
            values = np.rint(values * (_TOP / 4095))
        else:
            self._remark_if_narrow(values)
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow minds it in up to 8 bits only
            values = _TOP - values
        grey = Image.fromarray(_scale_uint16(values))
        if alpha is not None:
            grey.putalpha(Image.fromarray(alpha.astype(np.uint8)))
        return grey

    def _over_background(self, rgb: Image.Image, alpha: Image.Image) -> Image.Image:
        shows_something = max(_span(rgb), _span(alpha)) >= _VISIBLE
        rgb.putalpha(alpha)
        below = Image.new("RGBA", rgb.size, self._background)
        over = Image.alpha_composite(below, rgb).convert("RGB")
        if shows_something and _span(over) < _VISIBLE:
            self.remarks.append(_ONE_COLOUR)
        return over

    def _remark_if_narrow(self, values: np.ndarray) -> None:
        if 0 < int(values.max()) - int(values.min()) < _NARROWEST:
            self.remarks.append(_NARROW)


def check_size(width: int, height: int) -> None:
    """Refuse images without pixels, and those for which Pillow refuses to open a file."""
    if not width or not height:
        raise ValueError("the image has no pixels.")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > 2 * limit:
        raise Image.DecompressionBombError(
            f"its {width} x {height} pixels are more than Pillow's limit of {2 * limit}."
        )


def orientation(image: Image.Image) -> Any:
    """Return the EXIF orientation, 1 to 8 if it is sound."""
    try:
        return image.getexif().get(0x0112)
    except Warning:
        raise  # where warnings are errors, the caller lets them pass and asks again
    except Exception:
        # Pillow's reader of EXIF meets damaged data with errors of many kinds.
        return None


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    return image if factor == 1 else image.reduce(factor)


def _span(image: Image.Image) -> int:
    bounds: Any = np.reshape(image.getextrema(), (-1, 2))
    return int((bounds[:, 1] - bounds[:, 0]).max())


def _to_srgb(image: Image.Image, profile: Any) -> Image.Image:
    """Return an image of mode L, RGB or CMYK in RGB, by its ICC profile if that is sound."""
    transform = _transform(profile, image.mode) if profile else None
    if transform is None and image.mode != "RGB":
        # Profiles of colours go with grey images, too.
        transform = _transform(profile, "RGB") if profile and image.mode == "L" else None
        image = image.convert("RGB")
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what converts to sRGB; None if the profile is damaged, or changes next to nothing."""
    try:
        # Without a cache of its own, a transform may be used by several threads.
        transform = ImageCms.buildTransform(
            io.BytesIO(profile),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            flags=ImageCms.Flags.NOCACHE,
        )
        colours = bytes(itertools.chain(*itertools.product(range(0, 256, 51), repeat=len(mode))))
        some = Image.frombytes(mode, (len(colours) // len(mode), 1), colours)
        found = np.asarray(transform.apply(some), dtype=int)
    except Exception:
        # Other software, too, shows such images as if they had no profile.
        return None
    return transform if np.abs(found - np.asarray(some.convert("RGB"))).max() > 2 else None


def _scale_uint16(values: np.ndarray) -> np.ndarray:
    return np.rint(values / 257.0).astype(np.uint8)


def _scale_unit_range(values: np.ndarray) -> np.ndarray:
    # The comparison is false for NaN, which is thereby refused as well.
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            "float pixels must lie in [0, 1] without NaN; "
            f"found values from {np.min(values)} to {np.max(values)}."
        )
    return np.rint(values * 255.0).astype(np.uint8)


_TO_UINT8: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uint8": np.asarray,
    "uint16": _scale_uint16,
    "float16": _scale_unit_range,
    "float32": _scale_unit_range,
    "float64": _scale_unit_range,
}


def is_tensor(image: Any) -> bool:
    """Tell whether something is a torch tensor, without importing torch."""
    # torchvision's images are subclasses that live outside torch.
    return hasattr(image, "detach") and any(
        base.__module__.partition(".")[0] == "torch" for base in type(image).__mro__
    )
