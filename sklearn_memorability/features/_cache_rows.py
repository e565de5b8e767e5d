"""The cache as a transform uses it: rows looked up and kept, whatever the disk does."""

import hashlib
import sqlite3
import threading
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_memorability.features._cache import FeatureCache
from sklearn_memorability.features._cache_file import (
    CacheWarning,
    connect,
    replace_damaged,
    writing,
)


class CachedRows:
    """The rows of one kind of features, while a transform goes on.

    Threads may share it. After the first failure to write, nothing more is written.

    Parameters
    ----------
    cache : FeatureCache
        The cache.
    identity : str
        What the features are known by.
    width : int
        How many features a row has.
    """

    def __init__(self, cache: FeatureCache, identity: str, width: int) -> None:
        self._path = cache.path
        self._identity = identity
        self._width = width
        self._lock = threading.Lock()
        self._writable = True
        # Stands in where the file can't be opened.
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._kind: int | None = None
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._mend(error)

    def get(self, images: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the rows that are there and whole, by image."""
        found: dict[bytes, np.ndarray] = {}
        if self._kind is None:
            return found
        with self._lock:
            try:
                for image in images:
                    row = self._connection.execute(
                        "SELECT row, check_sum FROM features WHERE kind = ? AND image = ?",
                        (self._kind, image),
                    ).fetchone()
                    if row is not None and self._is_whole(image, *row):
                        found[image] = np.frombuffer(row[0], dtype="<f4")
            except sqlite3.Error as error:
                self._mend(error)
        return found

    def put(self, images: Sequence[bytes], rows: np.ndarray) -> None:
        """Keep rows, all of them or none."""
        contents = [row.astype("<f4", copy=False).tobytes() for row in rows]
        found = [
            (image, content, self._sum(image, content))
            for image, content in zip(images, contents, strict=True)
        ]
        with self._lock:
            for _ in range(2):  # once more if the file was damaged and could be mended
                if not self._writable:
                    return
                try:
                    with writing(self._connection):
                        self._connection.executemany(
                            "INSERT OR REPLACE INTO features (kind, image, row, check_sum) "
                            "VALUES (?, ?, ?, ?)",
                            [(self._kind, *row) for row in found],
                        )
                    return
                except (sqlite3.Error, OSError) as error:
                    self._mend(error)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _open(self) -> None:
        self._connection.close()
        self._connection = connect(self._path)
        try:
            with writing(self._connection):
                self._connection.execute(
                    "INSERT INTO kinds (identity, used) VALUES (?, ?) "
                    "ON CONFLICT (identity) DO UPDATE SET used = max(used, excluded.used)",
                    (self._identity, time.time()),
                )
        except sqlite3.OperationalError as error:
            self._give_up(error)  # what is there can be read all the same
        row = self._connection.execute(
            "SELECT id FROM kinds WHERE identity = ?", (self._identity,)
        ).fetchone()
        self._kind = None if row is None else int(row[0])

    def _sum(self, image: bytes, content: bytes) -> bytes:
        known = hashlib.blake2b(self._identity.encode(), digest_size=16)
        known.update(image)
        known.update(content)
        return known.digest()

    def _is_whole(self, image: bytes, content: Any, check_sum: Any) -> bool:
        return (
            isinstance(content, bytes)
            and len(content) == 4 * self._width
            and self._sum(image, content) == check_sum
        )

    def _mend(self, error: Exception) -> None:
        """Begin a new file where this one is damaged; otherwise write no more."""
        # Of the errors of a database, those of operation (a full disk, a lock) leave the
        # file as it was.
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        )
        if damaged and self._writable:
            try:
                self._connection.close()
                replace_damaged(self._path)
                self._open()
                return
            except (sqlite3.Error, OSError, ValueError) as second:
                error = second
        self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if self._writable:
            self._writable = False
            warnings.warn(
                f"Features can't be kept in {str(self._path)!r}: {error}. They are computed "
                "and returned all the same.",
                CacheWarning,
                stacklevel=2,
            )
