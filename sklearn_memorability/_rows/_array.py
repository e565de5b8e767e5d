"""Rows of NumPy arrays: in memory, mapped from a file, or in a .npy file."""

import math
import os
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sklearn_memorability._rows._file import FileSource, Place
from sklearn_memorability._rows._source import Rows, check_table


class ArraySource:
    """Rows of an array; pickled as its place in a file, if it has one."""

    chunk_rows = None

    def __init__(self, array: np.ndarray, place: Place | None = None) -> None:
        self.array = array
        self.place = place
        self.name = type(array).__name__ if place is None else repr(str(place.path))
        self.shape: tuple[int, int] = (array.shape[0], array.shape[1])
        self.row_bytes = array.shape[1] * array.dtype.itemsize

    def read(self, rows: Rows, *, in_passing: bool = False) -> np.ndarray:
        """Return rows as they are stored; perhaps a view."""
        # A memmap is indexed more slowly, and gives what looks like another file.
        values = self.array.view(np.ndarray)
        if isinstance(rows, range):
            if rows.step > 0:
                return values[rows.start : rows.stop : rows.step]
            rows = np.arange(rows.start, rows.stop, rows.step)
        return values[rows]

    def read_ahead(self, rows: Rows) -> None:
        """Do nothing: what is in memory need not be read."""

    def identity(self) -> tuple[Any, ...]:
        """Return the values, or where they are and since when."""
        return (self.array,) if self.place is None else self.place.identity()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "array": self.array if self.place is None else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.place is not None:
            self.array = self.place.map()


def array_source(array: np.ndarray) -> ArraySource | FileSource:
    """Return the rows of an array; of a mapped one, read from its file.

    Parameters
    ----------
    array : numpy.ndarray
        The array.

    Returns
    -------
    ArraySource or FileSource

    Raises
    ------
    ValueError
        If it is no table of numbers.
    """
    check_table(array.shape, array.dtype, type(array).__name__)
    place = _place(array)
    if place is not None and place.can_be_read():
        return FileSource(place)
    return ArraySource(array, place)


def open_npy(path: Path) -> ArraySource | FileSource:
    """Open a .npy file.

    Parameters
    ----------
    path : Path
        Where it is.

    Returns
    -------
    ArraySource or FileSource

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is damaged or holds no table of numbers.
    """
    place = _read_place(path)
    return FileSource(place) if place.can_be_read() else ArraySource(place.map(), place)


def _read_place(path: Path) -> Place:
    """Return the place of the array in a .npy file whose size agrees with its header."""
    with path.open("rb") as file:
        try:
            with warnings.catch_warnings():
                # NumPy repairs some headers with a warning; none of them is of today.
                warnings.simplefilter("error")
                shape, is_fortran, dtype = _read_header(file)
        except Exception as error:  # NumPy's parser has many kinds for damaged bytes
            raise ValueError(f"{path} is not a .npy file that can be read: {error}") from error
        offset = file.tell()
        size = file.seek(0, os.SEEK_END)
    check_table(shape, dtype, str(path))
    needed = offset + math.prod(shape) * dtype.itemsize
    if min(shape) < 0 or needed > size:
        raise ValueError(
            f"{path} is damaged or not finished: {shape} values of {dtype} need {needed} bytes, "
            f"the file has {size}."
        )
    return Place(path, shape, dtype, offset, "F" if is_fortran else "C")


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version in {(2, 0), (3, 0)}:
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"its version is {version}.")


def _place(array: np.ndarray) -> Place | None:
    """Return where a mapped array lies in its file, if it lies there in one piece."""
    if not isinstance(array, np.memmap) or getattr(array, "_mmap", None) is None:
        return None
    # What was written to a copy on write is not in the file.
    if array.filename is None or array.mode == "c" or not os.path.isfile(array.filename):
        return None
    is_c = array.flags.c_contiguous
    if not (is_c or array.flags.f_contiguous):
        return None
    whole = array
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    # The offset of a view is that of the array it was taken from.
    offset = array.offset + array.ctypes.data - whole.ctypes.data
    return Place(Path(array.filename), array.shape, array.dtype, offset, "C" if is_c else "F")
