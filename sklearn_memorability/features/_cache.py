"""Features computed once, ever: what users see of the cache."""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sklearn_memorability.features._cache_file import connect, writing

logger = logging.getLogger(__name__)

_FILE_NAME = "features.sqlite"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_370_764_800  # seconds from then to the year 9999, the last there is a date of


class CachedFeatures(NamedTuple):
    """One network's features in a :class:`FeatureCache`."""

    network: str
    """The backbone's name."""
    layer: str
    """The layer that was read."""
    weights: str
    """SHA-256 of the network's weights, in hexadecimal digits."""
    crops: int
    """How many views of each picture were averaged."""
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
    weights, the layer, the preprocessing, the number of crops and the precision.

    Several processes of one machine may use the file at the same time. A process that
    is killed loses the batch it was computing. Every row carries a checksum: one that
    was damaged is computed again, never returned. When the disk is full, or the file
    can't be written, features are computed and returned without being kept, with a
    :class:`CacheWarning`.

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
        If the file exists and is something else, or a newer version's.

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
        path = Path(path)
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
            One of each network, layer and setting; damaged entries are left out.
        """
        if not os.path.exists(self.path):
            return []
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT identity, count(*), coalesce(sum(length(row)), 0), used FROM kinds "
                "JOIN features ON kinds.id = kind GROUP BY kinds.id ORDER BY used DESC"
            ).fetchall()
        found = []
        for text, n_images, n_bytes, used in rows:
            if known := _known(text):
                last_used = _EPOCH + timedelta(seconds=_seconds(used))
                found.append(
                    CachedFeatures(**known, n_images=n_images, n_bytes=n_bytes, last_used=last_used)
                )
        return found

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
            kinds = [
                kind
                for kind, text, used in connection.execute("SELECT id, identity, used FROM kinds")
                if (network is None or _known(text).get("network") == network)
                and (latest is None or _seconds(used) <= latest)
            ]
            chosen = f"kind IN ({', '.join('?' * len(kinds))}) AND id NOT IN ("
            # The rows that fit, from the newest back, stay.
            chosen += "SELECT id FROM (SELECT id, sum(length(row)) OVER (ORDER BY id DESC) AS total"
            chosen += " FROM features) WHERE total <= ?)"
            with writing(connection):
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
        """Refuse a file that is no cache.

        Raises
        ------
        ValueError
            If the file exists and is something else, or another version's.
        """
        try:
            connect(self.path).close()
        except (OSError, sqlite3.Error) as error:
            # Features can be computed without it; whoever uses it is warned then.
            logger.info("The cache %s can't be opened: %s", self.path, error)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = connect(self.path)
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise OSError(f"The cache {str(self.path)!r} can't be used: {error}") from error


def _known(text: Any) -> dict[str, Any]:
    """Return what features are known by; nothing where that was damaged."""
    try:
        known = json.loads(text)
        return {name: known[name] for name in CachedFeatures._fields[:5]}
    except (ValueError, TypeError, KeyError):
        return {}


def _seconds(used: Any) -> float:
    """Return a time that a date can be made of, whatever a clock or damage left there."""
    return min(max(used, 0), _LATEST) if isinstance(used, int | float) else 0
