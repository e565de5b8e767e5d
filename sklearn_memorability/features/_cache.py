"""Features computed once, ever: a file of SQLite, safe for several processes."""

import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

logger = logging.getLogger(__name__)

_FILE_NAME = "features.sqlite"
_MAGIC = b"SQLite format 3\0"
# Marks the file as ours ("smem"), so that no other program's database is written to.
_APPLICATION = 0x736D656D
_VERSION = 2
_WAIT = 60.0  # seconds, for another process that is writing

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE IF NOT EXISTS kinds (
    id INTEGER PRIMARY KEY, identity TEXT UNIQUE NOT NULL, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS features (
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, image BLOB NOT NULL, row BLOB NOT NULL,
    check_sum BLOB NOT NULL, UNIQUE (kind, image));
"""


class CacheWarning(UserWarning):
    """The cache can't be used as it should be; features are right all the same."""


class CachedFeatures(NamedTuple):
    """One network's features in a :class:`FeatureCache`."""

    network: str
    """The backbone's name."""
    layer: str
    """The layer that was read."""
    weights: str
    """SHA-256 of the network's weights, in hexadecimal digits."""
    precision: str
    """What the network computed in."""
    n_images: int
    """How many images there are."""
    n_bytes: int
    """How much space their features take, in bytes."""
    last_used: datetime
    """When they were last asked for, in UTC."""


class FeatureCache:
    """Features of images, kept in one SQLite file.

    Pass it, or its path, as ``cache=`` to a transformer of images; every image then goes
    through a network once, whatever folds, shuffles, searches and restarts follow. A row
    is found again by the image's content (not its name), the network, the hash of its
    weights, the layer, the preprocessing and the precision.

    Several processes of one machine may use the file at the same time. A process that
    is killed loses the batches it was computing, one a thread. Every row carries a
    checksum: one that was damaged is computed again, never returned. When the file is
    damaged or can't be written, or the disk is full, features are computed and returned
    without being kept, and a ``UserWarning`` says so.

    Parameters
    ----------
    path : str or path-like
        The file, or a folder (existing, or a name without a suffix) to hold the file
        ``features.sqlite``. It must lie on a disk of this machine: on a network disk,
        SQLite's locks don't hold. On a cluster, give each machine a file of its own, or
        compute the features once and share the array.

    Raises
    ------
    ValueError
        If the path is empty, or, when the cache is used, its folder is missing or the file
        is something else or a newer version's.

    Notes
    -----
    ``len(cache)`` is the number of rows. Beside the file lie ``-wal`` and ``-shm`` files
    while it is in use.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.features import FeatureCache, ImageFeatures
    >>> folder = tempfile.TemporaryDirectory()
    >>> cache = FeatureCache(folder.name)
    >>> features = ImageFeatures(cache=cache).fit_transform(load_sample_images().images)
    >>> len(cache)
    2
    >>> [(kind.network, kind.n_images) for kind in cache.contents()]
    [('efficientnet_lite0', 2)]
    >>> cache.prune(network="efficientnet_lite0")
    2
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not os.fspath(path):
            raise ValueError("cache='' names no file; None keeps no features.")
        path = Path(path)
        self._beside = path.parent
        # os.path's questions have an answer where a folder may not be looked into, too.
        if os.path.isdir(path) or (not os.path.exists(path) and not path.suffix):
            path = path / _FILE_NAME
        self.path = path

    def __repr__(self) -> str:
        return f"FeatureCache({str(self.path)!r})"

    def __len__(self) -> int:
        """Return how many rows there are."""
        if not os.path.exists(self.path):
            return 0
        with self._connected() as connection:
            return int(connection.execute("SELECT count(*) FROM features").fetchone()[0])

    def contents(self) -> list[CachedFeatures]:
        """List what is kept, by network, the last used first.

        Returns
        -------
        list of CachedFeatures
            One of each network, layer and setting.
        """
        if not os.path.exists(self.path):
            return []
        with self._connected() as connection:
            kinds = connection.execute(
                "SELECT identity, count(*), sum(length(row)), used FROM kinds "
                "JOIN features ON kinds.id = kind GROUP BY kinds.id ORDER BY used DESC"
            ).fetchall()
        contents = []
        for identity, n_images, n_bytes, used in kinds:
            known = json.loads(identity)
            contents.append(
                CachedFeatures(
                    **{name: known[name] for name in ("network", "layer", "weights", "precision")},
                    n_images=n_images,
                    n_bytes=n_bytes,
                    last_used=datetime.fromtimestamp(used, UTC),
                )
            )
        return contents

    def prune(
        self,
        *,
        network: str | None = None,
        unused_for: timedelta | None = None,
        max_bytes: int | None = None,
    ) -> int:
        """Remove features and give their space back.

        Parameters
        ----------
        network : str, optional
            Only those of this network.
        unused_for : datetime.timedelta, optional
            Only those of networks that were not asked for in this time.
        max_bytes : int, optional
            Only as many, the oldest first, as bring what is left down to this size.

        Returns
        -------
        int
            How many rows were removed.

        Raises
        ------
        ValueError
            If nothing says what to remove, or ``max_bytes`` is negative.
        """
        if network is None and unused_for is None and max_bytes is None:
            raise ValueError(
                "prune needs network=, unused_for= or max_bytes= to say what to remove; "
                "max_bytes=0 removes everything."
            )
        if max_bytes is not None and max_bytes < 0:
            raise ValueError(f"max_bytes={max_bytes!r} must not be negative.")
        if not os.path.exists(self.path):
            return 0
        latest = None if unused_for is None else time.time() - unused_for.total_seconds()
        with self._connected() as connection:
            rows = connection.execute("SELECT id, identity, used FROM kinds").fetchall()
            kinds = [
                kind
                for kind, identity, used in rows
                if (network is None or json.loads(identity)["network"] == network)
                and (latest is None or used <= latest)
            ]
            chosen = f"kind IN ({', '.join('?' * len(kinds))}) AND id NOT IN ("
            # The rows that fit, from the newest back, stay.
            chosen += "SELECT id FROM (SELECT id, sum(length(row)) OVER (ORDER BY id DESC) AS total"
            chosen += " FROM features) WHERE total <= ?)"
            with _writing(connection):
                removed = connection.execute(
                    f"DELETE FROM features WHERE {chosen}",  # noqa: S608 - no text of a user's
                    [*kinds, -1 if max_bytes is None else max_bytes],
                ).rowcount
                connection.execute("DELETE FROM kinds WHERE id NOT IN (SELECT kind FROM features)")
            try:
                connection.execute("VACUUM")
            except sqlite3.OperationalError as error:
                # Another process reads; the space is used again by later rows.
                logger.info("The space of removed features is not given back yet: %s", error)
        return int(removed)

    def check(self) -> None:
        """Raise a ValueError if the file is no cache of this version, or its folder is missing."""
        try:
            os.stat(self._beside)
            _connect(self.path).close()
        except FileNotFoundError as error:
            raise ValueError(
                f"cache={str(self.path)!r}: there is no folder {str(self._beside)!r}; "
                "make it first."
            ) from error
        except (OSError, sqlite3.Error) as error:
            # Features can be computed without it; whoever uses it is warned then.
            logger.info("The cache %s can't be opened: %s", self.path, error)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = _connect(self.path)
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise OSError(f"The cache {str(self.path)!r} can't be used: {error}") from error


class CachedRows:
    """The rows of one network while a transform goes on; threads may share it.

    After the first failure to write, nothing more is written.
    """

    def __init__(self, cache: FeatureCache, identity: str, width: int) -> None:
        self._path = cache.path
        self._identity = identity
        self._width = width
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._writable = True
        self._kind: int | None = None
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def get(self, image: bytes) -> np.ndarray | None:
        """Return the row of an image if it is there and whole."""
        with self._lock:
            if self._connection is None or self._kind is None:
                return None
            try:
                row = self._connection.execute(
                    "SELECT row, check_sum FROM features WHERE kind = ? AND image = ?",
                    (self._kind, image),
                ).fetchone()
            except sqlite3.Error as error:
                self._give_up(error)
                return None
        if row is None or len(row[0]) != 4 * self._width or self._sum(image, row[0]) != row[1]:
            return None
        return np.frombuffer(row[0], dtype="<f4")

    def put(self, images: list[bytes], rows: np.ndarray) -> None:
        """Keep the rows of images, all of them or none."""
        contents = [row.astype("<f4", copy=False).tobytes() for row in rows]
        kept = [(i, c, self._sum(i, c)) for i, c in zip(images, contents, strict=True)]
        with self._lock:
            if self._connection is None or not self._writable:
                return
            try:
                with _writing(self._connection):
                    self._connection.executemany(
                        "INSERT OR REPLACE INTO features (kind, image, row, check_sum) "
                        "VALUES (?, ?, ?, ?)",
                        [(self._kind, *row) for row in kept],
                    )
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> None:
        self._connection = _connect(self._path)
        try:
            with _writing(self._connection):
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
        return hashlib.blake2b(self._identity.encode() + image + content, digest_size=16).digest()

    def _give_up(self, error: Exception) -> None:
        if self._writable:
            self._writable = False
            warnings.warn(
                f"Features can't be kept in {str(self._path)!r}: {error}. They are computed "
                "and returned all the same; a damaged file may be removed.",
                CacheWarning,
                stacklevel=2,
            )


def _connect(path: Path) -> sqlite3.Connection:
    """Open a cache's file, made if it is not there."""
    _refuse_other_files(path)
    path.parent.mkdir(exist_ok=True)
    try:
        return _prepared(str(path))
    except sqlite3.OperationalError:
        if not os.path.exists(path):
            raise
        # A file or a folder that may only be read. Should another process write to it all
        # the same, checksums tell rows that were read half-way.
        return _prepared(f"{path.absolute().as_uri()}?immutable=1", writable=False)


def _prepared(address: str, writable: bool = True) -> sqlite3.Connection:
    """Return a connection to a cache, which is made if the file is empty."""
    connection = sqlite3.connect(
        address, timeout=_WAIT, isolation_level=None, check_same_thread=False, uri=not writable
    )
    try:
        if writable:
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                with _writing(connection):
                    for statement in _SCHEMA.split(";"):
                        connection.execute(statement)
            # Readers and one writer don't wait for each other, and a commit costs no flush of
            # the disk: a killed process loses nothing that it committed.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("SELECT id FROM kinds LIMIT 1")
        return connection
    except BaseException:
        connection.close()
        raise


def _refuse_other_files(path: Path) -> None:
    """Raise a ValueError if there is a file that is no cache of this version."""
    if os.path.isdir(path):
        raise ValueError(f"{str(path)!r} is a folder, not a cache's file.")
    if not os.path.isfile(path) or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        header = file.read(72)
    # Where SQLite keeps them: https://www.sqlite.org/fileformat.html#the_database_header
    application, version = (int.from_bytes(header[i : i + 4], "big") for i in (68, 60))
    if not header.startswith(_MAGIC) or application != _APPLICATION:
        raise ValueError(
            f"{str(path)!r} is not a cache of features. Give another path for cache=, or remove "
            "the file if it was a cache that has been damaged."
        )
    if version != _VERSION:
        raise ValueError(
            f"The cache {str(path)!r} is of version {version}; this version of the package reads "
            f"{_VERSION}. Give another path for cache=, or remove the file."
        )


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, all of it or nothing."""
    # IMMEDIATE waits for another writer now; a transaction that only asks when it first
    # writes can be refused without waiting.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
