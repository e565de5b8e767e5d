"""Rows of a file, read from it where they are wanted."""

import os
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sklearn_memorability._rows._source import Rows, state_of


class Place(NamedTuple):
    """Where an array lies in a file, in one piece."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    order: str

    def can_be_read(self) -> bool:
        """Return whether rows lie together, and the system reads at a place."""
        return self.order == "C" and hasattr(os, "preadv") and 0 not in self.shape

    def identity(self) -> tuple[Any, ...]:
        """Return where it lies, and what changes with the file's content."""
        shape, order = list(self.shape), self.order
        return str(self.path), state_of(self.path), shape, self.dtype.str, self.offset, order

    def map(self) -> np.ndarray:
        """Return the array, mapped from the file."""
        if 0 in self.shape:
            return np.empty(self.shape, dtype=self.dtype)
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)  # type: ignore[call-overload]


class FileSource:
    """Rows that lie one behind the other in a file.

    Reading a mapped file at random places makes the system read around each, up to
    thousands of times as much as is wanted; so rows are read from the file itself.

    Parameters
    ----------
    place : Place
        Where they are, for which ``can_be_read`` is true.
    """

    chunk_rows = None

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = repr(str(place.path))
        self.shape: tuple[int, int] = (place.shape[0], place.shape[1])
        self.row_bytes = place.shape[1] * place.dtype.itemsize
        self._open()

    def read(self, rows: Rows, *, in_passing: bool = False) -> np.ndarray:
        """Return rows as they are stored."""
        if isinstance(rows, range) and rows.step == 1:
            return self._span(rows.start, rows.stop)
        rows = np.asarray(rows, dtype=np.intp)
        if len(rows) == 0:
            return self._span(0, 0)
        first, last = int(rows.min()), int(rows.max())
        if last - first < 2 * len(rows):
            return self._span(first, last + 1)[rows - first]
        values = np.empty((len(rows), self.shape[1]), dtype=self.place.dtype)
        for place, row in zip(values, rows.tolist(), strict=True):
            self._fill(self._scattered, place, row)
        return values

    def read_ahead(self, rows: Rows) -> None:
        """Have the system read rows, without waiting for them."""
        if hasattr(os, "posix_fadvise"):
            for row in rows:
                offset = self.place.offset + int(row) * self.row_bytes
                os.posix_fadvise(self._scattered, offset, self.row_bytes, os.POSIX_FADV_WILLNEED)

    def identity(self) -> tuple[Any, ...]:
        """Return where it lies, and what changes with the file's content."""
        return self.place.identity()

    def _open(self) -> None:
        # Two, as the system reads ahead of one that is read in order.
        self._in_order, self._scattered = (os.open(self.place.path, os.O_RDONLY) for _ in range(2))
        for descriptor in (self._in_order, self._scattered):
            weakref.finalize(self, os.close, descriptor)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._scattered, 0, 0, os.POSIX_FADV_RANDOM)

    def _span(self, start: int, stop: int) -> np.ndarray:
        values = np.empty((stop - start, self.shape[1]), dtype=self.place.dtype)
        if values.size:
            self._fill(self._in_order, values, start)
        return values

    def _fill(self, descriptor: int, values: np.ndarray, row: int) -> None:
        """Read what fills an array, from a row on."""
        wanted = values.data.cast("B")
        offset = self.place.offset + row * self.row_bytes
        done = 0
        # The system may return less at a time.
        while done < len(wanted):
            n_bytes = os.preadv(descriptor, [wanted[done:]], offset + done)
            if n_bytes == 0:
                raise OSError(f"{self.name} has been cut: it ends before row {row} does.")
            done += n_bytes

    def __getstate__(self) -> dict[str, Any]:
        return {"place": self.place}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["place"])  # type: ignore[misc]
