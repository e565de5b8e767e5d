"""Features on disk, in NumPy's own format."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import gen_batches
from tqdm.auto import tqdm

from sklearn_memorability._utils._files import locked
from sklearn_memorability.features._extractor import UnreadableImagesWarning, unreadable_images
from sklearn_memorability.images import ImageReadError
from sklearn_memorability.images._collect import as_image_list

_BLOCK = 1024  # images whose rows are in memory at a time


def write_features(
    transformer: Any, images: Any, path: str | os.PathLike[str], *, verbose: int = 0
) -> np.memmap:
    """Compute features block by block and keep them in a file on disk.

    Memory holds the rows of 1,024 images. With a transformer that has a ``cache``, the same
    call after an interruption goes on where that stopped: rows that are in the cache are not
    computed again. Without one, it starts anew.

    Parameters
    ----------
    transformer : object with transform
        Fitted: :class:`ImageFeatures`, :class:`VGGFeatures`, :class:`CaptionEmbedding`, a
        ``FeatureUnion`` or ``Pipeline`` of them, or whatever makes a row of each image
        without looking at the others.
    images : list, tuple, array, Series or one-column DataFrame of n_images images
        As the transformer takes them.
    path : str or path-like
        The file to write, which ends in ``.npy``; one that is there is replaced. It has this
        name once it is whole.
    verbose : int, default=0
        Above 0, a progress bar.

    Returns
    -------
    numpy.memmap of shape (n_images, n_features), float32
        The rows, in the order of ``images``, read from disk when they are needed: what
        ``numpy.load(path, mmap_mode="r")`` returns.

    Raises
    ------
    ValueError
        If ``path`` does not end in ``.npy`` or there is no image.
    ImageReadError
        At the first image that can't be read, if the transformer has ``on_error="raise"``.
    BlockingIOError
        If another process is writing to the path.
    OSError
        If the disk is full, or can't be written to.

    Warns
    -----
    UnreadableImagesWarning
        Once at the end, if images could not be read and the transformer has
        ``on_error="nan"``; their rows are NaN.

    See Also
    --------
    FeatureCache : What lets an interrupted call go on.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.features import ImageFeatures, write_features
    >>> images = load_sample_images().images
    >>> with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    ...     transformer = ImageFeatures(cache=folder).fit(images)
    ...     rows = write_features(transformer, images, Path(folder) / "features.npy")
    ...     rows.shape
    (2, 1280)
    """
    target = Path(os.path.realpath(path))
    if target.suffix != ".npy":
        raise ValueError(f"path={os.fspath(path)!r} must end in .npy.")
    images = as_image_list(images)
    # The same name each time: what a killed process has left is written over.
    draft = target.with_name(f".{target.name}.unfinished")
    errors: dict[int, ImageReadError] = {}
    memory: np.memmap | None = None
    progress = tqdm(total=len(images), desc=target.name, unit="image", disable=not verbose)
    with locked(target, wait=0), progress:
        try:
            for block in gen_batches(len(images), _BLOCK):
                rows = _block_rows(transformer, images, block, errors)
                if memory is None:
                    memory = _new_file(draft, (len(images), rows.shape[1]))
                memory[block] = rows
                progress.update(len(rows))
            memory.flush()  # type: ignore[union-attr]
            memory = None  # Windows neither renames nor removes a file that is mapped
            os.replace(draft, target)
        finally:
            del memory
            draft.unlink(missing_ok=True)
    if errors:
        found = [errors[row] for row in sorted(errors)]
        warnings.warn(UnreadableImagesWarning(found), stacklevel=2)
    return np.load(target, mmap_mode="r")


def _block_rows(
    transformer: Any, images: list[Any], block: slice, errors: dict[int, ImageReadError]
) -> np.ndarray:
    """Return a block's rows; the rows in errors become those among all images."""
    try:
        with unreadable_images() as unread:
            rows = np.asarray(transformer.transform(images[block]), dtype=np.float32)
    except ImageReadError as error:
        raise _moved(error, block.start) from error
    errors |= {row + block.start: _moved(error, block.start) for row, error in unread.items()}
    return rows


def _moved(error: ImageReadError, start: int) -> ImageReadError:
    row = (error.row or 0) + start
    return ImageReadError(error.reason, row=row, path=error.path, form=error.form)


def _new_file(path: Path, shape: tuple[int, int]) -> np.memmap:
    """Return an empty array in a file whose room on the disk is reserved."""
    try:
        memory = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        if hasattr(os, "posix_fallocate"):
            # Otherwise a disk that becomes full would end the process while it writes.
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        n_bytes = 4 * shape[0] * shape[1]
        text = f"{error.strerror} (features of shape {shape}, {n_bytes / 1e9:.3g} GB)"
        raise OSError(error.errno, text, str(path.parent)) from error
    return memory
