"""One image, in any of the forms users have it, as an RGB picture."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageOps

ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray


class ImageReadError(ValueError):
    """An image that can't be read; the message names its row and its file."""


def read_image(image: ImageLike, *, row: int | None = None) -> Image.Image:
    """Return an image as an RGB picture, upright, 8 bits a channel.

    Parameters
    ----------
    image : str, path-like, PIL.Image.Image or numpy.ndarray
        A file in any format that Pillow reads, a picture, or an array of shape
        (height, width) or (height, width, channels) with 1, 3 or 4 channels:
        uint8, uint16, or float in [0, 1].
    row : int, optional
        The image's place among those asked for, for the error message.

    Returns
    -------
    PIL.Image.Image
        In mode ``"RGB"``. The orientation in a file's EXIF data is applied, what is
        transparent lies over white, 16 bits become 8, and of an animation the first
        frame is taken. The image given is not changed.

    Raises
    ------
    ImageReadError
        If the image is missing, empty, damaged, not an image, or not of a form that
        is read here. The message names the row, the file and the reason.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.images import read_image
    >>> read_image(np.zeros((4, 6), dtype=np.uint8)).size
    (6, 4)
    """
    try:
        if isinstance(image, str | os.PathLike):
            with Image.open(image) as opened:
                return _upright_rgb(opened)
        if isinstance(image, Image.Image):
            return _upright_rgb(image)
        if isinstance(image, np.ndarray):
            return _to_rgb(_picture_from_array(image))
    except Exception as error:
        # Pillow's decoders meet damaged files with errors of many kinds, from
        # OSError to struct.error; all mean the same here.
        raise ImageReadError(f"{_name(image, row)}: {_reason(image, error)}") from error
    raise ImageReadError(
        f"{_name(image, row)}: a {type(image).__name__} is not an image. "
        "Give a path, a PIL image or a NumPy array."
    )


def _name(image: Any, row: int | None) -> str:
    place = "Image" if row is None else f"Image in row {row}"
    if isinstance(image, str | os.PathLike):
        return f"{place}, {os.fspath(image)!r}"
    if isinstance(image, np.ndarray):
        return f"{place} (array of shape {image.shape}, dtype {image.dtype})"
    return place


def _reason(image: Any, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file does not exist."
    if isinstance(error, IsADirectoryError):
        return "is a folder; images.list_images lists the images in it."
    if isinstance(image, str | os.PathLike):
        try:
            if os.path.getsize(image) == 0:
                return "the file is empty."
        except (OSError, ValueError):
            pass
    text = str(error) or type(error).__name__
    return f"can't be read as an image: {text}"


def _upright_rgb(picture: Image.Image) -> Image.Image:
    # A lazily opened file decodes here, so that a damaged one fails now.
    picture.load()
    return _to_rgb(ImageOps.exif_transpose(picture))


def _to_rgb(picture: Image.Image) -> Image.Image:
    mode = picture.mode
    if mode == "RGB" and "transparency" not in picture.info:
        return picture
    if mode == "F":
        raise ValueError(
            "a picture of mode F has no set range of values; give a float array in [0, 1]."
        )
    if mode.startswith("I"):
        return _eight_bits(picture).convert("RGB")
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(white, layers).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    # Pillow's own conversion clips 16-bit grey at 255 where it should scale.
    values = np.asarray(picture).astype(np.int64)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise ValueError(
            f"values from {values.min()} to {values.max()} don't fit 16-bit grey (0 to 65535)."
        )
    return Image.fromarray(_scale_uint16(values))


def _scale_uint16(values: np.ndarray) -> np.ndarray:
    return np.rint(values / 257.0).astype(np.uint8)


def _check_unit_range(values: np.ndarray) -> np.ndarray:
    # The comparison is false for NaN, which is thereby refused as well.
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            "float pixels must lie in [0, 1] without NaN; "
            f"found values from {np.min(values)} to {np.max(values)}."
        )
    return np.rint(values * 255.0).astype(np.uint8)


_TO_UINT8: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uint8": np.ascontiguousarray,
    "uint16": _scale_uint16,
    "float16": _check_unit_range,
    "float32": _check_unit_range,
    "float64": _check_unit_range,
}


def _picture_from_array(values: np.ndarray) -> Image.Image:
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))):
        raise ValueError("the shape must be (height, width) or (height, width, 1, 3 or 4).")
    if values.size == 0:
        raise ValueError("the array has no pixels.")
    to_uint8 = _TO_UINT8.get(values.dtype.name)
    if to_uint8 is None:
        raise ValueError("the dtype must be uint8, uint16 or float (in [0, 1]).")
    return Image.fromarray(to_uint8(values))
