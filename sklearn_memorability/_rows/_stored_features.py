"""StoredFeatures: a table on disk that is indexed like an array, and read like a file."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_memorability._rows._array import array_source, open_npy
from sklearn_memorability._rows._source import Rows, Source
from sklearn_memorability._rows._zarr import KEPT_BYTES, is_zarr, open_zarr, zarr_source

# What is read at once, in bytes of single precision: enough for fast matrix products.
_BLOCK_BYTES = 2**24


class StoredFeatures:
    """Features on disk as X: rows are read when they are needed.

    Indexing by a slice, by row numbers or by a mask selects rows without reading them,
    so scikit-learn's ``cross_val_score`` or ``GridSearchCV`` cut folds that cost no
    memory. ``BalancedQuantileClassifierRegressor`` and the ready-made pipelines read
    them block by block; other estimators load them all by ``np.asarray``.

    Parameters
    ----------
    source : path-like, numpy.ndarray, numpy.memmap or zarr.Array
        The path of a ``.npy`` file or of the folder of a Zarr array, or an open array;
        two-dimensional, of numbers. Values come out in single precision.

    Attributes
    ----------
    shape : tuple of int
        Number of rows selected, number of features.
    ndim : int
        2.
    dtype : numpy.dtype
        float32.
    chunk_rows : int or None
        How many rows are stored, and therefore read, together; None where each can be
        read alone.

    Raises
    ------
    FileNotFoundError
        If there is nothing under the path.
    ValueError
        If the file is damaged or unfinished, or the array not two-dimensional or not of
        numbers.
    ImportError
        If a Zarr array is to be opened and zarr is not installed.

    Notes
    -----
    A pickle holds the path and the selection, not the values, unless the source is an
    array in memory. The file must not change while it is in use.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_memorability.features import StoredFeatures
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/features.npy", np.arange(12.0).reshape(4, 3))
    ...     X = StoredFeatures(f"{folder}/features.npy")
    ...     every_other = X[::2]
    ...     np.asarray(every_other[[1]])
    array([[6., 7., 8.]], dtype=float32)
    >>> every_other.shape
    (2, 3)
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, source: Any) -> None:
        self._source: Source = _open(source)
        self._rows: Rows = range(self._source.shape[0])
        self._scalings: tuple[tuple[np.ndarray | None, np.ndarray | None], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows selected and number of features."""
        return len(self._rows), self._source.shape[1]

    @property
    def chunk_rows(self) -> int | None:
        """How many rows are stored together, if they are."""
        return self._source.chunk_rows

    def __len__(self) -> int:
        """Return the number of rows selected."""
        return len(self._rows)

    def __repr__(self) -> str:
        return f"StoredFeatures({self._source.name}, shape={self.shape})"

    def __getitem__(self, rows: Any) -> Any:
        """Select rows, without reading them; a single number reads that row."""
        if isinstance(rows, tuple):
            # scikit-learn indexes arrays by X[rows, ...].
            rows, *columns = rows
            if any(
                not (c is Ellipsis or (isinstance(c, slice) and c == slice(None))) for c in columns
            ):
                raise TypeError(
                    "StoredFeatures are indexed by rows alone. np.asarray(X[rows])[:, columns] "
                    "loads the rows and takes columns of them."
                )
        if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
            return self.take(np.array([rows]))[0]
        return self._like(self._select(rows))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each row."""
        for _, block in self.blocks():
            yield from block

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Load the rows selected."""
        if copy is False:
            raise ValueError("StoredFeatures can't become an array without a copy.")
        # Block by block, so that no second copy is made on the way.
        loaded = np.empty(self.shape, dtype=np.float32 if dtype is None else dtype)
        for rows, block in self.blocks():
            loaded[rows] = block
        return loaded

    def take(self, rows: npt.ArrayLike) -> np.ndarray:
        """Read rows.

        Parameters
        ----------
        rows : array-like of int or bool
            Row numbers, in any order and with repeats, or a mask. Where rows are stored
            in chunks, each chunk is read once.

        Returns
        -------
        numpy.ndarray of shape (n_rows, n_features), float32
            The rows, in the order asked for.
        """
        return self._read(self._select(rows))

    def read_ahead(self, rows: np.ndarray) -> None:
        """Have the system read rows that ``take`` will be asked for soon.

        Parameters
        ----------
        rows : numpy.ndarray of int
            Row numbers. Nothing is done where the system can't read in advance.
        """
        self._source.read_ahead(self._select(rows))

    def blocks(
        self, n_rows: int | None = None, *, exact: bool = False
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Read all rows in order, block by block.

        Parameters
        ----------
        n_rows : int, optional
            Rows a block. Without it, as many as take 16 MiB, or whole chunks.
        exact : bool, default=False
            Whether values that are stored in more than single precision come out in
            double precision.

        Yields
        ------
        pair of slice and numpy.ndarray
            Which rows, and their features; not to be written to.
        """
        if n_rows is None:
            n_rows = max(1, _BLOCK_BYTES // (4 * max(1, self.shape[1])))
            if self.chunk_rows is not None:
                n_rows = max(1, n_rows // self.chunk_rows) * self.chunk_rows
        for start in range(0, len(self), n_rows):
            rows = slice(start, min(start + n_rows, len(self)))
            yield rows, self._read(self._rows[rows], exact, in_passing=True)

    def permutation(self, chance: np.random.Generator) -> np.ndarray:
        """Draw an order of all rows that is cheap to read.

        Where each row can be read alone it is ``chance.permutation(len(X))``. Where rows
        are stored in chunks, the chunks are put in random order, and rows are shuffled
        among as many of them as take 128 MiB, which are then kept in memory.

        Parameters
        ----------
        chance : numpy.random.Generator
            Draws the order.

        Returns
        -------
        numpy.ndarray of shape (n_samples,), int
            Row numbers, each once.
        """
        if self.chunk_rows is None:
            return chance.permutation(len(self))
        chunk = np.asarray(self._rows) // self.chunk_rows
        together = max(2, KEPT_BYTES // (self.chunk_rows * self._source.row_bytes))
        # Each chunk's place in the random order, and so the group that it is shuffled in.
        numbers, chunk = np.unique(chunk, return_inverse=True)
        group = chance.permutation(len(numbers))[chunk] // together
        rows = chance.permutation(len(self))
        return rows[np.argsort(group[rows], kind="stable")]

    def scaled(self, mean: npt.ArrayLike | None, scale: npt.ArrayLike | None) -> "StoredFeatures":
        """Return the same rows, standardised when they are read.

        Parameters
        ----------
        mean, scale : array-like of shape (n_features,) or None
            What is subtracted and what is then divided by; None leaves it out.

        Returns
        -------
        StoredFeatures
            A view; nothing is read yet.
        """
        scaling = tuple(
            None if v is None else np.broadcast_to(np.asarray(v, np.float64), self.shape[1:])
            for v in (mean, scale)
        )
        found = self._like(self._rows)
        found._scalings = (*self._scalings, (scaling[0], scaling[1]))
        return found

    def finite_rows(self) -> np.ndarray:
        """Return which rows have no NaN and no infinity, read block by block.

        Returns
        -------
        numpy.ndarray of shape (n_samples,), bool
            A mask that ``X[...]`` takes.
        """
        finite = np.empty(len(self), dtype=bool)
        for rows, block in self.blocks():
            finite[rows] = np.isfinite(block).all(axis=1)
        return finite

    def __fingerprint__(self) -> tuple[Any, ...]:
        """Return what decides the values: their source, the selection and the scaling."""
        return self._source.identity(), _described(self._rows), self._scalings

    def _like(self, rows: Rows) -> "StoredFeatures":
        found = object.__new__(type(self))
        found.__dict__.update(self.__dict__, _rows=rows)
        return found

    def _select(self, rows: Any) -> Rows:
        """Return the numbers, in the source, of rows of this selection."""
        if isinstance(rows, slice):
            return self._rows[rows]
        rows = np.asarray(rows)
        if rows.size == 0 and rows.dtype.kind == "f":
            rows = rows.astype(np.intp)
        if rows.ndim != 1 or rows.dtype.kind not in "biu":
            raise TypeError(
                "StoredFeatures are indexed by a slice, by row numbers or by a mask; got "
                f"{rows.ndim}-dimensional {rows.dtype}."
            )
        if rows.dtype.kind == "b":
            if len(rows) != len(self):
                raise IndexError(f"The mask has {len(rows)} values for {len(self)} rows.")
            rows = np.flatnonzero(rows)
        rows = rows.astype(np.intp, copy=False)
        wrong = (rows < -len(self)) | (rows >= len(self))
        if wrong.any():
            raise IndexError(f"Row {rows[wrong][0]} is out of range for {len(self)} rows.")
        rows = np.where(rows < 0, rows + len(self), rows)
        if isinstance(self._rows, range):
            return self._rows.start + self._rows.step * rows
        return self._rows[rows]

    def _read(self, rows: Rows, exact: bool = False, in_passing: bool = False) -> np.ndarray:
        values = self._source.read(rows, in_passing=in_passing)
        is_single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
        working = np.dtype(np.float32 if is_single else np.float64)
        # A number too large for single precision is infinite in it.
        with np.errstate(over="ignore"):
            values = values.astype(working, copy=False)
            # The order and the precision are StandardScaler's.
            for mean, scale in self._scalings:
                if mean is not None:
                    values = values - mean.astype(working)
                if scale is not None:
                    values = values / scale.astype(working)
            return values if exact else values.astype(np.float32, copy=False)


def as_stored(X: Any) -> StoredFeatures | None:
    """Return X as StoredFeatures if it is a table on disk, else None.

    Parameters
    ----------
    X : object
        What a user passed as X.

    Returns
    -------
    StoredFeatures or None
        None for whatever is neither StoredFeatures nor a memory-mapped or Zarr array of
        two dimensions.
    """
    if isinstance(X, StoredFeatures):
        return X
    if is_zarr(X) or (isinstance(X, np.memmap) and X.ndim == 2 and X.dtype.kind in "biuf"):
        return StoredFeatures(X)
    return None


def _described(rows: Rows) -> list[int] | np.ndarray:
    """Return the same for the same rows, however they were selected."""
    steps = np.unique(np.diff(rows)) if isinstance(rows, np.ndarray) else [rows.step]
    if len(rows) < 2 or len(steps) > 1:
        return np.asarray(rows)
    return [int(rows[0]), int(rows[-1]), int(steps[0])]


def _open(source: Any) -> Source:
    if isinstance(source, np.ndarray):
        return array_source(source)
    if is_zarr(source):
        return zarr_source(source)
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            f"source={source!r:.100} must be the path of a .npy file or of a Zarr folder, a NumPy "
            "array or a zarr.Array."
        )
    # A worker may have another working directory.
    path = Path(source).absolute()
    if path.is_dir():
        return open_zarr(path)
    return open_npy(path)
