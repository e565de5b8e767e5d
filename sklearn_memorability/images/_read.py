"""One image, in any of the forms users have it, as an RGB image of Pillow."""

import hashlib
import io
import os
import stat
import threading
import warnings
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability.images._rgb import ToRGB, check_size, is_tensor, orientation

ImageLike = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | np.ndarray
) | (dict[str, Any] | tuple[Any, int])

# Four times what the largest image that Pillow decodes without protest takes
# uncompressed; what is larger is no image, and would fill the memory.
_LARGEST_FILE = 1 << 30

# Formats of pixels. Pillow knows others too, which it hands to programs outside it
# (PostScript to Ghostscript), or can't decode without them. HEIF comes with the extra.
_FORMATS = frozenset(
    {"AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM"}
    | {"QOI", "SGI", "TGA", "TIFF", "WEBP"}
)

HEIF_SUFFIXES = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
# What a HEIF file of HEVC images calls itself in its first bytes; AVIF files don't.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})

# An open file has one position, and an image that Pillow has opened but not read is
# such a file; two threads must not read one at the same time. Nor must they change
# Python's filters of warnings, which all threads share.
_ONE_AT_A_TIME = threading.RLock()


class ImageReadError(ValueError):
    """An image that can't be read; the message names its row, its file and the reason.

    Parameters
    ----------
    reason : str
        Why it can't be read.
    row : int, optional
        Its place among the images asked for, from 0.
    path : str, optional
        Its file, where it has one.
    form : str, optional
        What it is where it has no file, such as the shape of an array.

    Examples
    --------
    >>> from sklearn_memorability.images import ImageReadError, read_image
    >>> try:
    ...     read_image("nowhere.jpg", row=3)
    ... except ImageReadError as error:
    ...     print(error.row, error.path, error.reason)
    3 nowhere.jpg the file does not exist.
    """

    def __init__(
        self, reason: str, *, row: int | None = None, path: str | None = None, form: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.row = row
        self.path = path
        self.form = form

    def __str__(self) -> str:
        place = "Image" if self.row is None else f"Image in row {self.row}"
        if self.path:
            place += f", {self.path!r}"
        elif self.form:
            place += f" ({self.form})"
        return f"{place}: {self.reason}"

    def __reduce__(self) -> tuple[Any, ...]:
        facts: dict[str, Any] = {"row": self.row, "path": self.path, "form": self.form}
        return partial(ImageReadError, **facts), (self.reason,)


def read_image(
    image: ImageLike, *, row: int | None = None, background: str | tuple[int, int, int] = "white"
) -> Image.Image:
    """Return an image as an RGB image, upright, 8 bits a channel, in sRGB.

    Parameters
    ----------
    image : path, bytes, open file, PIL.Image.Image, numpy.ndarray, torch.Tensor, dict or tuple
        - A path (str or path-like) of a file, its content (bytes), or a file opened
          in binary mode, which is read from its beginning and then wound back. Formats
          are JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000, HEIC (extra ``heif``) and
          the rarer raster formats of Pillow.
        - A PIL image.
        - A row of Hugging Face's library ``datasets``, ``{"bytes": ..., "path": ...}``, or a pair
          (image, class) of torchvision's ``ImageFolder``.
        - An array or tensor of shape (height, width), (height, width, channels) or
          (channels, height, width) with 1, 3 or 4 channels: uint8, uint16, or float in
          [0, 1]. Where both ends could be channels, an array's are last, a tensor's
          first.
    row : int, optional
        The image's place among those asked for, for errors and warnings.
    background : str or tuple of three int, default="white"
        What transparent pixels lie on: a colour's name or ``"#rrggbb"``, or red, green
        and blue from 0 to 255.

    Returns
    -------
    PIL.Image.Image
        In mode ``"RGB"``. The orientation in a file's EXIF data is applied, colours are
        converted to sRGB by the ICC profile (one that is damaged is ignored), 16 bits
        become 8, and of an animation the first frame is taken. The image given is not
        changed.

    Raises
    ------
    ImageReadError
        If the image is missing, empty, damaged, not an image, larger than Pillow allows,
        or not of a form that is read here. The message names the row, the file and the
        reason.
    ValueError
        If ``background`` is no colour.

    Warns
    -----
    UserWarning
        If transparency leaves one colour, or a 16-bit image uses less than a sixteenth
        of its range. Names the row and the file.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.images import read_image
    >>> read_image(np.zeros((4, 6), dtype=np.uint8)).size
    (6, 4)
    """
    try:
        colour: Any = Image.new("RGB", (1, 1), background).getpixel((0, 0))
    except (TypeError, ValueError) as error:
        raise ValueError(f"background={background!r} is no colour: {error}.") from error
    content = ImageContent(image, row=row, background=colour)
    rgb = content.rgb()
    for remark in content.remarks:
        warnings.warn(str(remark), UserWarning, stacklevel=2)
    return rgb


class Reduced(NamedTuple):
    """An image in RGB and upright, with fewer pixels than it has."""

    image: Image.Image
    size: tuple[int, int]
    """Its full size."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom of the full image, in pixels of the reduced one."""


class ImageContent:
    """An image whose file is read once: what it is known by, and what it shows.

    The two come from the same bytes, so a file that changes in between can't be taken
    for what it was. What may have been lost is told in ``remarks`` once it is decoded.
    """

    def __init__(
        self,
        image: ImageLike,
        *,
        row: int | None = None,
        background: tuple[int, ...] = (255, 255, 255),
    ) -> None:
        self._image: Any = image
        self._row = row
        self._background = background
        self._image = self._guarded(unwrapped, image)
        self._encoded = self._guarded(_encoded, self._image)
        self._rgb: Image.Image | None = None
        self.remarks: list[ImageReadError] = []

    def digest(self) -> bytes:
        """Return 32 bytes that tell this image from every other.

        The SHA-256 of a file's bytes, or of the size and the pixels of an image that
        was in memory.
        """
        if self._encoded is not None:
            return hashlib.sha256(self._encoded).digest()
        rgb = self.rgb()
        pixels = hashlib.sha256(b"RGB %d x %d\n" % rgb.size)
        pixels.update(rgb.tobytes())
        return pixels.digest()

    def rgb(self) -> Image.Image:
        """Return the image, in mode RGB and upright."""
        if self._rgb is None:
            self._rgb = self._guarded(self._decode_in_spite_of_warnings).image
        return self._rgb

    def reduced(self, side: int) -> Reduced:
        """Return the image with fewer pixels, if its shorter side stays as long as ``side``."""
        if self._encoded is not None:
            found: Reduced = self._guarded(self._decode_in_spite_of_warnings, side)
            return found
        rgb = self.rgb()
        factor = max(1, min(rgb.size) // side)
        image = rgb if factor == 1 else rgb.reduce(factor)
        return Reduced(image, rgb.size, (0, 0, rgb.width / factor, rgb.height / factor))

    def _decode_in_spite_of_warnings(self, side: int | None = None) -> Reduced:
        # Pillow warns of damaged metadata and of very large images, and reads them.
        # They are no less images where the user has made warnings errors.
        try:
            return self._decode(self._image, side)
        except Warning:
            with _ONE_AT_A_TIME, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # An image keeps the metadata that it had read up to the warning, a
                # copy reads them all.
                again = self._image
                again = again.copy() if isinstance(again, Image.Image) else again
                return self._decode(again, side)

    def _decode(self, image: Any, side: int | None) -> Reduced:
        to_rgb = ToRGB(self._background)
        if self._encoded is not None:
            if len(self._encoded) == 0:
                what = "file is" if _is_path(image) else "content is"
                raise _RefusedError(f"the {what} empty.")
            with _opened(self._encoded) as opened:
                found = _decoded(opened, to_rgb, side)
        else:
            rgb = _from_memory(image, to_rgb)
            found = Reduced(rgb, rgb.size, (0, 0, *rgb.size))
        self.remarks = [self._error(remark) for remark in to_rgb.remarks]
        return found

    def _guarded(self, read: Any, *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except Exception as error:
            # Pillow's decoders meet damaged files with errors of many kinds, from
            # OSError to struct.error; all mean the same here.
            raise self._error(_reason(error)) from error

    def _error(self, reason: str) -> ImageReadError:
        image = self._image
        path = path_of(image)
        if path:
            return ImageReadError(reason, row=self._row, path=path)
        is_array = hasattr(image, "shape") and hasattr(image, "dtype")
        form = f"array of shape {tuple(image.shape)}, dtype {image.dtype}" if is_array else ""
        return ImageReadError(reason, row=self._row, form=form)


class _RefusedError(ValueError):
    """An error whose text is the whole reason."""


@lru_cache(maxsize=1)
def _formats() -> list[str]:
    Image.init()
    return sorted(_FORMATS.intersection(Image.OPEN))  # a build may lack some


@lru_cache(maxsize=1)
def suffixes() -> frozenset[str]:
    """Return the endings of the files that can be read, in lower case."""
    found = {name for name, form in Image.registered_extensions().items() if form in _FORMATS}
    # Some browsers save JPEG files so; and floats, which PFM holds, have no set range.
    found = found - HEIF_SUFFIXES - {".pfm"} | {".pjp", ".pjpeg"}
    return frozenset(found | HEIF_SUFFIXES if find_spec("pillow_heif") else found)


def _opened(encoded: bytes) -> Image.Image:
    """Open the content of a file; nothing is decoded yet."""
    brands = encoded[8 : min(int.from_bytes(encoded[:4]), 256)]
    if encoded[4:8] == b"ftyp" and _HEIF_BRANDS.intersection(
        brands[i : i + 4] for i in range(0, len(brands), 4)
    ):
        heif = import_extra("pillow_heif", "the format HEIC", "heif")
        opened: Image.Image = heif.HeifImageFile(io.BytesIO(encoded))
        check_size(*opened.size)
        return opened
    return Image.open(io.BytesIO(encoded), formats=_formats())


def _decoded(opened: Any, to_rgb: ToRGB, side: int | None) -> Reduced:
    """Decode an opened file, with its shorter side at least as long as ``side``."""
    size, scale, factor = opened.size, 1, 1
    deep = any(";16" in str(tile[3]) for tile in opened.tile)
    if side is not None and opened.format in ("JPEG", "MPO"):
        # The decoder leaves out what only finer detail needs: an eighth of the time.
        opened.draft(None, (side, side))
        scale = round(size[0] / opened.width)
    opened.load()
    if scale == 1:
        size = opened.size  # which some formats know only now
    if side is not None:
        factor = max(1, min(opened.size) // side)
    turn = orientation(opened)
    rgb = to_rgb.image(opened, factor, deep)
    # Of the last pixels across and down, only a part may lie in the image; turned, they are
    # the first.
    width, height = opened.size
    if turn in (5, 6, 7, 8):
        size, width, height = size[::-1], height, width
    left = width - size[0] / scale if turn in (2, 3, 6, 7) else 0
    top = height - size[1] / scale if turn in (3, 4, 7, 8) else 0
    right, bottom = left + size[0] / scale, top + size[1] / scale
    box = (left / factor, top / factor, right / factor, bottom / factor)
    return Reduced(rgb, size, box)


def _from_memory(image: Any, to_rgb: ToRGB) -> Image.Image:
    if isinstance(image, Image.Image):
        check_size(*image.size)
        deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
        with _ONE_AT_A_TIME:
            image.load()
        return to_rgb.image(image, deep=deep)
    if isinstance(image, np.ndarray):
        return to_rgb.array(image)
    if is_tensor(image):
        return to_rgb.tensor(image)
    raise _RefusedError(
        f"a {type(image).__name__} is not an image. Give a path, the bytes of a file, "
        "a file opened in binary mode, a PIL image, or a NumPy or torch array."
    )


def unwrapped(image: Any) -> Any:
    """Return the image in a row of the library datasets, or in a pair of torchvision's."""
    if isinstance(image, tuple) and len(image) == 2 and isinstance(image[1], int):
        return image[0]
    if isinstance(image, dict) and image.keys() == {"bytes", "path"}:
        if image["bytes"] is None:
            return image["path"]
        file = io.BytesIO(image["bytes"])
        file.name = image["path"]
        return file
    return image


def path_of(image: Any) -> Any:
    """Return the path of an image that was unwrapped, empty if it has none."""
    # An open file has its path in its name, a PIL image in its file's name.
    path = image if _is_path(image) else getattr(image, "name", getattr(image, "filename", ""))
    return os.fspath(path) if _is_path(path) else ""


def _is_path(image: Any) -> bool:
    return isinstance(image, str | os.PathLike)


def _encoded(image: Any) -> bytes | None:
    """Return the content of what is, or stands for, a file; None for pixels."""
    if _is_path(image):
        return _read_file(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if callable(getattr(image, "read", None)):
        return _read_open_file(image)
    return None


def _read_file(path: str | os.PathLike[str]) -> bytes:
    found = os.stat(path)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError
    if not stat.S_ISREG(found.st_mode):  # a pipe or a device could wait, or be read, for ever
        raise _RefusedError("is not a regular file.")
    if found.st_size > _LARGEST_FILE:
        raise _RefusedError("has more than 1 GiB, which no image that is read here has.")
    return Path(path).read_bytes()


def _read_open_file(file: Any) -> bytes:
    if isinstance(file.read(0), str):
        raise _RefusedError("the file is open in text mode; open it in mode 'rb'.")
    with _ONE_AT_A_TIME:
        try:
            file.seek(0)
        except (AttributeError, OSError) as error:
            raise _RefusedError(
                "the open file can't be wound back to its beginning; give its content as bytes."
            ) from error
        try:
            return file.read()
        finally:
            file.seek(0)


def _reason(error: Exception) -> str:
    if isinstance(error, _RefusedError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "the file does not exist."
    if isinstance(error, IsADirectoryError):
        return "is a folder; images.list_images lists the images in it."
    if isinstance(error, PermissionError):
        return "the file may not be read (permission denied)."
    if type(error).__name__ == "UnidentifiedImageError":
        # Pillow's own text names a buffer, which is not what the user gave.
        return "can't be read as an image: it is in no format that is read here."
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"can't be read as an image: {error} Resize it, or set PIL.Image.MAX_IMAGE_PIXELS "
            "higher (None: no limit) if you trust it."
        )
    if isinstance(error, MemoryError):
        return "can't be read as an image: that would take more memory than there is."
    if isinstance(error, OSError) and error.strerror:
        return f"the file can't be read: {error.strerror}."  # the system's own words
    return f"can't be read as an image: {str(error) or type(error).__name__}"
