"""Many images: the containers users keep them in, and folders."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sklearn_memorability.images._rgb import is_tensor

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".png", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)


def list_images(folder: str | os.PathLike[str], *, recursive: bool = True) -> list[Path]:
    """List the image files in a folder, in the order of their names.

    Parameters
    ----------
    folder : str or path-like
        The folder to look in.
    recursive : bool, default=True
        Whether to look in its subfolders too.

    Returns
    -------
    list of pathlib.Path
        Files whose suffix is that of a common image format (``.jpg``, ``.jpeg``,
        ``.jfif``, ``.png``, ``.webp``, ``.gif``, ``.bmp``, ``.tif``, ``.tiff``,
        ``.ppm``, ``.avif``, ``.jp2``, in any case), sorted. Hidden files and folders are left out.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.

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
    found = []
    for parent, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if recursive and not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
        ]
    return sorted(found)


def as_image_list(images: Any) -> list[Any]:
    """Return a container of images as a list, one image an item, in order."""
    single = isinstance(images, str | bytes | bytearray | memoryview | os.PathLike | Image.Image)
    # A DataFrame may have a column named "read", which is no method.
    if single or callable(getattr(images, "read", None)):
        raise TypeError(
            f"Expected a list of images, got a single one ({type(images).__name__}). "
            "Put it in a list; images.list_images lists the images in a folder."
        )
    if isinstance(images, np.ndarray) or is_tensor(images):
        listed = _rows_of_array(images)
    elif hasattr(images, "columns"):
        columns = list(images.columns)
        if len(columns) != 1:
            raise ValueError(
                f"Expected one column of images, got {len(columns)}: {columns}. "
                "Select the one with the images."
            )
        listed = list(images[columns[0]])
    elif isinstance(images, list | tuple) or hasattr(images, "to_numpy"):
        listed = list(images)
    else:
        raise TypeError(
            f"Expected a list, tuple, array, Series or one-column DataFrame of images, "
            f"got {type(images).__name__}."
        )
    if not listed:
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
