"""Rows of Zarr arrays, which are stored in chunks of rows."""

import hashlib
import math
import os
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability._rows._source import Rows, check_table, state_of

# What is kept of chunks that were decoded.
KEPT_BYTES = 2**27
# A chunk is decoded as a whole, so a larger one is as good as an array in memory.
_MAX_CHUNK_BYTES = 2**30
# The name of a chunk's file: c/0/0, 0.0 and their like.
_CHUNK = re.compile(r"(c\.)?\d+(\.\d+)*")


class ZarrSource:
    """Rows of a Zarr array; the chunks last used are kept decoded."""

    def __init__(self, array: Any, path: Path | None = None) -> None:
        self.array = array
        self.path = path
        self.name = "zarr.Array" if path is None else repr(str(path))
        self.shape: tuple[int, int] = tuple(array.shape)
        self.chunk_rows = int(array.chunks[0])
        self.row_bytes = max(1, self.shape[1] * array.dtype.itemsize)
        self._forget()

    def read(self, rows: Rows, *, in_passing: bool = False) -> np.ndarray:
        """Return rows as they are stored."""
        kept = max(2, KEPT_BYTES // (self.chunk_rows * self.row_bytes))
        if in_passing and kept * self.chunk_rows < self.shape[0]:
            kept = 2  # the others would be gone before the next pass
        rows = np.asarray(rows, dtype=np.intp)
        values = np.empty((len(rows), self.shape[1]), dtype=self.array.dtype)
        numbers, places = np.divmod(rows, self.chunk_rows)
        for number in np.unique(numbers):
            here = numbers == number
            values[here] = self._chunk(int(number), kept)[places[here]]
        return values

    def read_ahead(self, rows: Rows) -> None:
        """Do nothing: the chunks that hold the next rows are most often decoded already."""

    def identity(self) -> tuple[Any, ...]:
        """Return the folder's files with their sizes and times; without one, the values."""
        if self.path is None:
            # Not all at once: they may not fit into memory.
            digest = hashlib.sha256()
            for start in range(0, self.shape[0], self.chunk_rows):
                stop = min(start + self.chunk_rows, self.shape[0])
                digest.update(np.ascontiguousarray(self.read(range(start, stop))).data)
            return self.shape, self.array.dtype.str, digest.hexdigest()
        files = (Path(folder, name) for folder, _, names in os.walk(self.path) for name in names)
        stored = (
            f for f in files if f.name in {"zarr.json", ".zarray"} or _CHUNK.fullmatch(f.name)
        )
        return str(self.path), [[str(file), state_of(file)] for file in sorted(stored)]

    def _forget(self) -> None:
        self._chunks: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def _chunk(self, number: int, kept: int) -> np.ndarray:
        with self._lock:
            values = self._chunks.pop(number, None)
            if values is None:
                while len(self._chunks) >= kept:
                    del self._chunks[next(iter(self._chunks))]
                values = self._decode(number)
            self._chunks[number] = values
            return values

    def _decode(self, number: int) -> np.ndarray:
        start = number * self.chunk_rows
        stop = min(start + self.chunk_rows, self.shape[0])
        try:
            return np.asarray(self.array[start:stop])
        except Exception as error:  # whatever a codec makes of damaged bytes
            raise OSError(
                f"Rows {start} to {stop - 1} of {self.name} can't be read: {error}"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        state = {name: v for name, v in self.__dict__.items() if name not in {"_chunks", "_lock"}}
        if self.path is not None:
            state["array"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()
        if self.path is not None:
            self.array = _open(self.path)
            if tuple(self.array.shape) != self.shape:
                raise ValueError(
                    f"{self.name} has changed: its shape was {self.shape} and is "
                    f"{self.array.shape}."
                )


def is_zarr(source: Any) -> bool:
    """Return whether an object is a zarr.Array."""
    # Whoever has such an array has imported it.
    zarr = sys.modules.get("zarr")
    return zarr is not None and isinstance(source, zarr.Array)


def open_zarr(path: Path) -> ZarrSource:
    """Open the folder of a Zarr array.

    Parameters
    ----------
    path : Path
        Where it is.

    Returns
    -------
    ZarrSource

    Raises
    ------
    ImportError
        If zarr is not installed.
    ValueError
        If it is damaged or not finished, or holds no table of numbers.
    """
    array = _open(path)
    source = zarr_source(array, path)
    # Zarr reads zeros where a chunk is missing.
    stored = array.shards or array.chunks
    n_chunks = math.prod(-(-n // c) for n, c in zip(array.shape, stored, strict=True))
    n_files = sum(bool(_CHUNK.fullmatch(name)) for *_, names in os.walk(path) for name in names)
    if n_files < n_chunks:
        raise ValueError(
            f"{path} is damaged or not complete: of {n_chunks} chunks there are {n_files}. Chunks "
            'of zeros must be stored too: config={"write_empty_chunks": True}.'
        )
    return source


def zarr_source(array: Any, path: Path | None = None) -> ZarrSource:
    """Check an open Zarr array.

    Parameters
    ----------
    array : zarr.Array
        The array.
    path : Path, optional
        Its folder, if it can be opened again from there.

    Returns
    -------
    ZarrSource

    Raises
    ------
    ValueError
        If it is not finished, its chunks are too large, or it is no table of numbers.
    """
    name = "The Zarr array" if path is None else str(path)
    check_table(array.shape, array.dtype, name)
    attributes = array.metadata.attributes
    if not isinstance(attributes, Mapping):  # Zarr takes them as they stand in the file
        raise ValueError(f"{name} is damaged: its attributes are {attributes!r:.80}.")
    if attributes.get("memorability_unfinished"):
        raise ValueError(
            f"{name} is not finished. Call write_features again as before: it goes on where it "
            "stopped."
        )
    chunk = tuple(array.chunks)
    if min(chunk) < 1 or math.prod(chunk) * array.dtype.itemsize > _MAX_CHUNK_BYTES:
        raise ValueError(
            f"{name} has chunks of {chunk} values, each of which must be read as a whole; store it "
            "with chunks of some thousand rows."
        )
    return ZarrSource(array, path)


def _open(path: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            f"{path} is a folder, read as a Zarr array, which needs zarr: "
            'pip install "sklearn-memorability[zarr]".'
        ) from error
    try:
        return zarr.open_array(str(path), mode="r")
    except Exception as error:  # as many kinds as there are ways to damage metadata
        raise ValueError(f"{path} is not a Zarr array that can be read: {error}") from error
