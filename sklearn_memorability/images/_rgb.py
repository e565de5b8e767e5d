"""From PIL images and arrays to 8 bits of red, green and blue."""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

_CHANNELS = (1, 3, 4)

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


def image_to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded PIL image upright and in mode RGB."""
    if 0 in image.size:
        raise ValueError("the image has no pixels.")
    # Pillow's exif_transpose copies even what is upright, and trips over damaged
    # metadata of images that are whole.
    turn = _TURNS.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
        # What is upright now must not be turned once more by who reads it next.
        for key in ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"):
            image.info.pop(key, None)
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode == "F":
        raise ValueError(
            "an image of mode F has no set range of values; give a float array in [0, 1]."
        )
    if mode.startswith("I"):
        return _eight_bits(image).convert("RGB")
    if mode == "La":  # Pillow undoes the premultiplied alpha of grey in one step alone
        image = image.convert("LA")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(white, layers).convert("RGB")
    return image.convert("RGB")


def array_to_rgb(values: np.ndarray, channels_first: bool = False) -> Image.Image:
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
    if values.size == 0:
        raise ValueError("the array has no pixels.")
    to_uint8 = _TO_UINT8.get(values.dtype.name)
    if to_uint8 is None:
        raise ValueError("the dtype must be uint8, uint16 or float (in [0, 1]).")
    return image_to_rgb(Image.fromarray(np.ascontiguousarray(to_uint8(values))))


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(0x0112)
    except Warning:
        raise  # where warnings are errors, the caller lets them pass and asks again
    except Exception:
        # Pillow's reader of EXIF meets damaged data with errors of many kinds.
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion clips 16-bit grey at 255 where it should scale.
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise ValueError(
            f"values from {values.min()} to {values.max()} don't fit 16-bit grey (0 to 65535)."
        )
    grey = _scale_uint16(values)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


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


def tensor_to_rgb(tensor: Any) -> Image.Image:
    """Return a torch tensor of pixels as an image in mode RGB."""
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # NumPy has no such type
        tensor = tensor.float()
    return array_to_rgb(tensor.numpy(), channels_first=True)
