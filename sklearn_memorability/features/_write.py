"""Features of more pictures than fit into memory: computed in chunks, kept on disk."""

import json
import os
import warnings
from contextlib import nullcontext
from numbers import Integral
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from sklearn_memorability._rows import StoredFeatures
from sklearn_memorability.features._extractor import UnreadableImagesWarning
from sklearn_memorability.features._write_chunks import Store, Writer, sliced
from sklearn_memorability.features._write_identity import known_transformer
from sklearn_memorability.features._write_journal import VERSION, alone
from sklearn_memorability.features._write_npy import NpyStore
from sklearn_memorability.features._write_zarr import ZarrStore
from sklearn_memorability.images import ImageContent, ImageReadError

_SUFFIXES = (".npy", ".zarr")


def write_features(
    transformer: Any,
    X: Any,
    path: str | os.PathLike[str],
    *,
    chunk_rows: int = 1024,
    part: tuple[int, int] | None = None,
    dtype: str = "float32",
    overwrite: bool = False,
    verbose: int = 0,
) -> StoredFeatures | None:
    """Compute features chunk by chunk and keep them on disk.

    Memory holds one chunk. The same call after an interruption, whatever it was, goes on
    where that stopped: rows that are on disk, sound and of unchanged pictures are not
    computed again.

    Parameters
    ----------
    transformer : object with transform
        Fitted: :class:`ImageFeatures`, :class:`VGGFeatures`, :class:`CaptionEmbedding`, a
        ``FeatureUnion`` or ``Pipeline`` of them, or whatever makes a row of each picture
        without looking at the others.
    X : sequence
        The pictures: a list, or what has a length and can be sliced.
    path : str or path-like
        What to write, by its ending. ``.npy``, NumPy's own file: read fastest and by
        everything. ``.zarr``, a folder in Zarr's format (version 3, extra ``zarr``):
        compressed, and may be written in parts.
    chunk_rows : int, default=1024
        How many rows are computed, kept and written together. In Zarr's format a chunk
        is a file, so give 16384 or so for a hundred million rows.
    part : (int, int), optional
        ``(i, n)``, for Zarr alone: write the i-th (from 0) of n ranges of the rows, as one
        of n jobs of a cluster that share a disk and get the same arguments otherwise.
    dtype : {"float32", "float16"}, default="float32"
        What is stored. ``"float16"`` takes half the room and keeps three digits: a value
        changes by at most 0.05 %, those below 0.00006 by more.
    overwrite : bool, default=False
        Whether other features under the path are removed first. What an equal call has
        begun is gone on with all the same. It can't be used with ``part``.
    verbose : int, default=0
        Above 0, a progress bar. Rows that it counts are on disk.

    Returns
    -------
    StoredFeatures or None
        The rows, read from disk when they are needed, in the order of ``X``. None as long
        as rows of other parts are missing.

    Raises
    ------
    ValueError
        If a parameter is out of range, the path holds something else (the message names
        what differs), a value is too large for ``dtype``, or ``transformer`` holds
        something that can't be known by its value.
    TypeError
        If ``X`` is a single picture, or can't be sliced.
    BlockingIOError
        If another process is writing to the path.
    OSError
        If the disk is full (the message says how much is needed), or can't be written to.
    ImageReadError
        At the first picture that can't be read, if the transformer has
        ``on_error="raise"``.
    ImportError
        If Zarr's format is asked for and zarr is not installed.

    Warns
    -----
    UnreadableImagesWarning
        Once at the end, if pictures could not be read and the transformer has
        ``on_error="nan"``; their rows are NaN.

    See Also
    --------
    StoredFeatures : What is returned.
    FeatureCache : Features by picture, for searches on sets that fit into memory.

    Notes
    -----
    A transformer is known by what decides its rows, as networks are in the cache; a path
    by its text and its file's size and time; any other picture by its content. A ``.npy``
    file is written under another name and gets its own when it is whole. A Zarr array has
    the attribute ``memorability_unfinished`` until then. What is kept of the chunks is
    JSON: in ``NAME.npy.journal``, or in the array's folder ``journal``. Don't remove it as
    long as you may call again.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.features import ImageFeatures, write_features
    >>> pictures = load_sample_images().images
    >>> transformer = ImageFeatures().fit(pictures)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stored = write_features(transformer, pictures, Path(folder) / "features.npy")
    ...     stored.shape
    (2, 1280)
    """
    target, store = _open_store(path, part, overwrite)
    n_rows = _count(X)
    starts = _starts(n_rows, chunk_rows, part)
    if dtype not in {"float32", "float16"}:
        raise ValueError(f"dtype={dtype!r} must be 'float32' or 'float16'.")
    wanted = {
        "format": VERSION,
        "n_rows": n_rows,
        "chunk_rows": int(chunk_rows),
        "dtype": dtype,
        "transformer": known_transformer(transformer),
    }
    wanted = json.loads(json.dumps(wanted))
    writer = Writer(transformer, X, store, wanted, target)
    with nullcontext() if part else alone(target):
        try:
            with (
                warnings.catch_warnings(),
                tqdm(
                    total=writer.count(starts), desc=target.name, unit="image", disable=not verbose
                ) as bar,
            ):
                # One at the end tells of all.
                warnings.simplefilter("ignore", UnreadableImagesWarning)
                writer.write(starts, overwrite, bar.update)
            is_whole = store.finish()
        finally:
            store.close()
    _warn(X, writer.unreadable)
    return StoredFeatures(target) if is_whole else None


def _open_store(
    path: str | os.PathLike[str], part: tuple[int, int] | None, overwrite: bool
) -> tuple[Path, Store]:
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"path={os.fspath(path)!r} must end in .npy or .zarr.")
    # What a link leads to is written, not the link.
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(target.parent)!r}; make it first.")
    if part is not None:
        _check_part(part, suffix, overwrite)
    if suffix == ".zarr":
        return target, ZarrStore(target, part or (0, 1))
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder; give the name of a file.")
    return target, NpyStore(target)


def _check_part(part: Any, suffix: str, overwrite: bool) -> None:
    sound = isinstance(part, tuple | list) and len(part) == 2
    if not (sound and all(isinstance(i, Integral) for i in part) and 0 <= part[0] < part[1]):
        raise ValueError(f"part={part!r} must be (i, n): the i-th of n parts, counted from 0.")
    if suffix != ".zarr":
        raise ValueError(f"part={part!r} needs a path that ends in .zarr.")
    if overwrite:
        raise ValueError(
            "overwrite=True can't be used with part, as it would remove what other parts have "
            "written. Remove the folder before the first part begins."
        )


def _count(X: Any) -> int:
    single = isinstance(X, str | bytes | bytearray | os.PathLike)
    if single or not (hasattr(X, "__len__") and hasattr(X, "__getitem__")) or isinstance(X, dict):
        raise TypeError(
            f"X must be a list of pictures, or another sequence that can be sliced; got a "
            f"{type(X).__name__}."
        )
    if len(X) == 0:
        raise ValueError("X holds no picture.")
    return len(X)


def _starts(n_rows: int, chunk_rows: Any, part: tuple[int, int] | None) -> list[int]:
    if not isinstance(chunk_rows, Integral) or chunk_rows < 1:
        raise ValueError(f"chunk_rows={chunk_rows!r} must be a whole number above zero.")
    starts = range(0, n_rows, int(chunk_rows))
    i, n = part or (0, 1)
    return list(starts[i * len(starts) // n : (i + 1) * len(starts) // n])


def _warn(X: Any, unreadable: list[int]) -> None:
    if not unreadable:
        return
    errors = []
    for row in sorted(unreadable):
        try:
            ImageContent(next(iter(sliced(X, slice(row, row + 1)))), row=row).picture()
        except ImageReadError as error:
            errors.append(error)
    warnings.warn(UnreadableImagesWarning(errors), stacklevel=3)
