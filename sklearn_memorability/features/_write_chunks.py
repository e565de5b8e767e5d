"""The rows that are missing on disk: found, computed, written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from sklearn_memorability.features._write_identity import known_pictures
from sklearn_memorability.features._write_journal import (
    Chunk,
    OtherFeaturesError,
    hash_of,
    is_full,
    no_room,
)
from sklearn_memorability.images import ImageContent, ImageReadError


class Store(Protocol):
    """A file or folder that is written chunk by chunk."""

    n_features: int | None

    @property
    def is_finished(self) -> bool: ...
    def load(self, wanted: dict[str, Any]) -> bool: ...
    def create(self, wanted: dict[str, Any], n_features: int) -> None: ...
    def chunks(self, start: int) -> list[Chunk]: ...
    def holds(self, chunk: Chunk) -> bool: ...
    def put(self, chunk: Chunk, values: np.ndarray) -> None: ...
    def finish(self) -> bool: ...
    def close(self) -> None: ...
    def remove(self) -> None: ...


class Writer:
    """Computes the rows that a store lacks.

    Parameters
    ----------
    transformer, X
        As in :func:`write_features`.
    store : NpyStore or ZarrStore
        Where rows go.
    wanted : dict
        What the features are.
    path : pathlib.Path
        The store's.
    """

    def __init__(
        self, transformer: Any, X: Any, store: Store, wanted: dict[str, Any], path: Path
    ) -> None:
        self.unreadable: list[int] = []
        self._transformer = transformer
        self._X = X
        self._store = store
        self._wanted = wanted
        self._path = path

    def count(self, starts: list[int]) -> int:
        """Return how many rows chunks have together."""
        return sum(self.rows(start).stop - start for start in starts)

    def rows(self, start: int) -> slice:
        """Return the rows of the chunk that begins with one."""
        return slice(start, min(start + self._wanted["chunk_rows"], self._wanted["n_rows"]))

    def write(self, starts: list[int], overwrite: bool, advance: Callable[[int], Any]) -> None:
        """Write the chunks that are not on disk yet."""
        try:
            is_begun = self._store.load(self._wanted)
            missing = self._missing(starts, advance) if is_begun else starts
        except OtherFeaturesError:
            if not overwrite:
                raise
            self._store.remove()
            self.unreadable = []
            is_begun, missing = False, starts
        n_missing = self.count(missing)
        for start in missing:
            chunk, values = self._compute(start)
            with self._telling_of_room(n_missing * values.shape[1] * values.itemsize):
                if not is_begun:
                    self._store.create(self._wanted, values.shape[1])
                    is_begun = True
                self._check_width(values.shape[1])
                self._store.put(chunk, values)
            n_missing -= len(values)
            self.unreadable += chunk.unreadable
            advance(len(values))

    def _missing(self, starts: list[int], advance: Callable[[int], Any]) -> list[int]:
        """Return the chunks that are to be computed; all others are compared with the disk."""
        missing = []
        for start in starts:
            kept = self._store.chunks(start)
            if not kept and not self._store.is_finished:
                missing.append(start)
                continue
            rows = self.rows(start)
            pictures, files = known_pictures(sliced(self._X, rows))
            kept = self._unchanged(kept, rows, pictures, files)
            sound = next((chunk for chunk in kept if self._store.holds(chunk)), None)
            if sound is None:
                missing.append(start)
            else:
                self.unreadable += sound.unreadable
                advance(rows.stop - rows.start)
        return missing

    def _unchanged(self, kept: list[Chunk], rows: slice, pictures: str, files: str) -> list[Chunk]:
        where = f"{str(self._path)!r}, rows {rows.start} to {rows.stop - 1}"
        way_out = "Give another path, or overwrite=True to replace it."
        if not kept:
            raise OtherFeaturesError(
                f"{where}: which pictures they are of is not known any more, as the journal is "
                f"damaged. {way_out}"
            )
        kept = [chunk for chunk in kept if chunk.pictures == pictures]
        if not kept:
            raise OtherFeaturesError(f"{where}: they are of other pictures than X's. {way_out}")
        kept = [chunk for chunk in kept if chunk.files == files]
        if not kept and self._store.is_finished:
            raise OtherFeaturesError(
                f"{where}: the pictures' files have changed since (size or time). {way_out}"
            )
        return kept

    def _compute(self, start: int) -> tuple[Chunk, np.ndarray]:
        rows = self.rows(start)
        pictures = sliced(self._X, rows)
        # Before they are read: one that changes meanwhile is another one next time.
        known = known_pictures(pictures)
        try:
            found = self._transformer.transform(pictures)
        except ImageReadError as error:
            raise _in_its_row(error, pictures, start) from error
        values = _as_rows(found, rows, self._wanted["dtype"])
        unreadable = (start + np.flatnonzero(np.isnan(values).all(axis=1))).tolist()
        return Chunk(start, *known, hash_of(values.data), unreadable), values

    def _check_width(self, n_features: int) -> None:
        if n_features != self._store.n_features:
            raise ValueError(
                f"transformer gave {n_features} features for the rows of this chunk, and "
                f"{self._store.n_features} for others."
            )

    @contextmanager
    def _telling_of_room(self, needed: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.strerror is None or not is_full(error):
                raise
            raise no_room(self._path, needed, disk_usage(self._path.parent).free) from error


def sliced(X: Any, rows: slice) -> Any:
    """Return some rows of a sequence, an array or a table."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _as_rows(found: Any, rows: slice, dtype: str) -> np.ndarray:
    values = found.toarray() if sparse.issparse(found) else np.asarray(found)
    n_rows = rows.stop - rows.start
    if values.ndim != 2 or len(values) != n_rows or values.shape[1] == 0:
        raise ValueError(
            f"transformer gave an array of shape {values.shape} for {n_rows} pictures; expected "
            "two axes, a row a picture."
        )
    if values.dtype.kind not in "biuf":
        raise ValueError(f"transformer gave values of type {values.dtype}; expected numbers.")
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    too_large = np.isinf(stored) & np.isfinite(values)
    if too_large.any():
        row, column = np.argwhere(too_large)[0]
        raise ValueError(
            f"Row {rows.start + row} has the value {values[row, column]!r}, too large for "
            f"dtype={dtype!r}" + ("; use 'float32'." if dtype == "float16" else ".")
        )
    return stored


def _in_its_row(error: ImageReadError, pictures: Any, start: int) -> ImageReadError:
    """Return the error with the picture's row among all, not in its chunk."""
    for row, picture in enumerate(pictures, start):
        try:
            ImageContent(picture, row=row).picture()
        except ImageReadError as found:
            return found
    return error
