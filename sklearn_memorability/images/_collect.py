"""Many images: the containers users keep them in, and folders."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sklearn_memorability.images._read import HEIF_SUFFIXES, suffixes
from sklearn_memorability.images._rgb import is_tensor

# Of images that are not read here, beside those of HEIF without its extra.
_OTHER_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".cur", ".dcr", ".dds", ".dng", ".emf", ".eps", ".erf"}
    | {".exr", ".fff", ".gpr", ".hdr", ".icns", ".iiq", ".jls", ".jng", ".jxl", ".jxr", ".kdc"}
    | {".mrw", ".nef", ".nrw", ".orf", ".pef", ".pfm", ".psb", ".psd", ".raf", ".raw", ".rw2"}
    | {".rwl", ".sr2", ".srf", ".srw", ".svg", ".svgz", ".wdp", ".wmf", ".x3f", ".xbm", ".xcf"}
    | {".xpm"}
)


def list_images(folder: str | os.PathLike[str], *, recursive: bool = True) -> list[Path]:
    """List the image files in a folder, in the order of their names.

    Links to files and folders are followed.

    Parameters
    ----------
    folder : str or path-like
        The folder to look in.
    recursive : bool, default=True
        Whether to look in its subfolders too.

    Returns
    -------
    list of pathlib.Path
        Files with an ending of a format that
        :func:`~sklearn_memorability.images.read_image` reads, in any case (``.jpg``,
        ``.png``, ``.tif``, ...; with the extra ``heif``, ``.heic``), sorted. Hidden files
        and folders are left out.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.

    Warns
    -----
    UserWarning
        Of images of other formats, such as ``.svg`` and cameras' raw files: how many were
        passed over, by their endings.

    Examples
    --------
    >>> from pathlib import Path
    >>> import sklearn.datasets
    >>> from sklearn_memorability.images import list_images
    >>> folder = Path(sklearn.datasets.__file__).parent / "images"
    >>> [path.name for path in list_images(folder)]
    ['china.jpg', 'flower.jpg']
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"There is no folder {os.fspath(folder)!r}.")
    found: list[Path] = []
    # What a link leads to comes after all folders that stand here, and no folder twice.
    waiting, seen = [root], set()
    while waiting:
        for parent, subfolders, names in os.walk(waiting.pop(0)):
            place = os.path.realpath(parent)
            if place in seen:
                subfolders.clear()
                continue
            seen.add(place)
            subfolders[:] = [name for name in subfolders if recursive and not name.startswith(".")]
            inner = [Path(parent, name) for name in sorted(subfolders)]
            waiting += [folder for folder in inner if folder.is_symlink()]
            found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(only_images(found, folder, stacklevel=3))


def only_images(paths: Iterable[Any], source: Any, stacklevel: int = 2) -> list[Any]:
    """Return the paths with an image's ending; warn of images that can't be read."""
    images = []
    passed_over: Counter[str] = Counter()
    for path in paths:
        suffix = os.path.splitext(path)[1].lower()
        if suffix in suffixes():
            images.append(path)
        elif suffix in _OTHER_SUFFIXES | HEIF_SUFFIXES:
            passed_over[suffix] += 1
    if passed_over:
        listed = [
            f"{n} file{'s' * (n > 1)} with the ending {suffix}"
            for suffix, n in passed_over.most_common()
        ]
        text = f"Passed over in {os.fspath(source)!r}: {', '.join(listed)}."
        if HEIF_SUFFIXES & passed_over.keys():
            text += " HEIC is read with the extra 'heif': pip install 'sklearn-memorability[heif]'."
        warnings.warn(text, UserWarning, stacklevel=stacklevel)
    return images


def as_image_list(images: Any) -> Any:
    """Return a container of images as a list, one image an item, in order.

    Other sequences stay as they are: a column of a data set decodes each image that it is asked
    for, and all of them would fill the memory.
    """
    single = isinstance(images, str | bytes | bytearray | memoryview | os.PathLike | Image.Image)
    # A DataFrame may have a column named "read", which is no method.
    if single or callable(getattr(images, "read", None)):
        raise TypeError(
            f"Expected a list of images, got a single one ({type(images).__name__}). "
            "Put it in a list; images.list_images lists the images in a folder."
        )
    # The second is a Dataset's of the library datasets.
    table = next((name for name in ("columns", "column_names") if hasattr(images, name)), None)
    listed: Any
    if isinstance(images, np.ndarray) or is_tensor(images):
        listed = _rows_of_array(images)
    elif table:
        columns = list(getattr(images, table))
        if len(columns) != 1:
            raise ValueError(
                f"Expected one column of images, got {len(columns)}: {columns}. "
                "Select the one with the images."
            )
        return as_image_list(images[columns[0]])
    elif isinstance(images, list | tuple) or hasattr(images, "to_numpy"):
        listed = list(images)
    elif isinstance(images, Sequence):
        listed = images
    else:
        raise TypeError(
            f"Expected a list, tuple, array, Series, one-column DataFrame or other sequence of "
            f"images, got {type(images).__name__}."
        )
    if len(listed) == 0:
        raise ValueError("Found no images: a minimum of 1 sample is required.")
    return listed


def _rows_of_array(images: Any) -> list[Any]:
    if getattr(images.dtype, "kind", "") in tuple("OUT"):
        if images.ndim == 2 and images.shape[1] == 1:
            images = images[:, 0]
        if images.ndim == 1:
            return images.tolist()
    elif images.ndim == 4:
        return list(images)
    raise ValueError(
        f"An array of shape {tuple(images.shape)} and dtype {images.dtype} is not a container of "
        "images: expected four axes (n_images, height, width, channels), or (n_images,) of "
        "paths or objects. A single image goes into a list."
    )
