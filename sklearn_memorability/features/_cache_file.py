"""The file behind the cache: made, opened, told from others, mended."""

import logging
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_MAGIC = b"SQLite format 3\0"
# Marks the file as ours ("smem"), so that no other program's database is written to.
_APPLICATION = 0x736D656D
_VERSION = 1
_MOST_FAILURES = 100_000  # rows that can't be read until a damaged file is given up
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


def connect(path: Path) -> sqlite3.Connection:
    """Open a cache's file, made if it is not there.

    Raises
    ------
    ValueError
        If it is something else, or a newer version's.
    OSError, sqlite3.Error
        If it can't be opened.
    """
    _refuse_other_files(path)
    if not os.path.exists(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        return _prepared(connection, path)
    except sqlite3.OperationalError as error:
        connection.close()
        if "readonly" not in str(error) and "unable to open" not in str(error):
            raise
        if not os.path.exists(path):
            raise
        # A file or a folder that may only be read. Should another process write to it
        # all the same, checksums tell rows that were read half-way.
        address = f"{path.absolute().as_uri()}?immutable=1"
        connection = sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False
        )
        if _version(connection, path) is None:
            connection.close()
            raise
        return connection
    except sqlite3.DatabaseError:
        connection.close()
        replace_damaged(path)
        connection = sqlite3.connect(
            path, timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        return _prepared(connection, path)
    except ValueError:
        connection.close()
        raise


def _prepared(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    if _version(connection, path) is None:
        with writing(connection):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
    # Readers and one writer don't wait for each other, and a commit costs no flush of the
    # disk: a killed process loses nothing that it committed.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int | None:
    """Return the version of a cache, None for an empty database."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not (application or version or n_tables):
        return None
    if application != _APPLICATION:
        raise ValueError(f"{str(path)!r} is an SQLite file of something else, not a cache.")
    if version != _VERSION:
        raise ValueError(
            f"The cache {str(path)!r} is of version {version}, which this version of the package "
            f"(it writes {_VERSION}) does not read. Give another path for cache=."
        )
    return int(version)


def _refuse_other_files(path: Path) -> None:
    if os.path.isdir(path):
        raise ValueError(f"{str(path)!r} is a folder, not a cache's file.")
    if os.path.isfile(path) and path.stat().st_size > 0:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError(
                    f"{str(path)!r} is not a cache (not an SQLite file). Give another path for "
                    "cache=, or remove the file if it was a cache that has been damaged."
                )


def replace_damaged(path: Path) -> None:
    """Put a damaged cache aside and save what can be read of it into a new one.

    Nothing is done where another process has done it already.

    Raises
    ------
    ValueError
        If the file is not marked as a cache.
    """
    with path.open("rb") as file:
        header = file.read(72)
    if header[68:72] != _APPLICATION.to_bytes(4, "big"):
        raise ValueError(f"{str(path)!r} is not a cache, or its first page is damaged.")
    if _is_sound(path):
        return
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    saved = _save_rows(aside, path)
    warnings.warn(
        f"The cache {str(path)!r} was damaged. {saved} rows could be read and are kept; the others "
        f"are computed again. The damaged file is now {aside.name!r} and may be removed.",
        CacheWarning,
        stacklevel=2,
    )


def _is_sound(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
    try:
        return bool(connection.execute("PRAGMA quick_check").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()


def _save_rows(damaged: Path, path: Path) -> int:
    source = sqlite3.connect(damaged, isolation_level=None)
    target = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
    try:
        _prepared(target, path)
        # One by one, as a damaged page stops a scan. Checksums tell later whether a row
        # is whole.
        with writing(target):
            for row in _readable(source, "kinds", "id, identity, used"):
                target.execute("INSERT OR IGNORE INTO kinds VALUES (?, ?, ?)", row)
            for row in _readable(source, "features", "id, kind, image, row, check_sum"):
                target.execute("INSERT OR IGNORE INTO features VALUES (?, ?, ?, ?, ?)", row)
        return int(target.execute("SELECT count(*) FROM features").fetchone()[0])
    finally:
        source.close()
        target.close()


def _readable(source: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    # Both are this module's own words.
    query = f"SELECT {columns} FROM {table} WHERE id > ? ORDER BY id LIMIT 1"  # noqa: S608
    last = failures = 0
    while failures < _MOST_FAILURES:
        try:
            found = source.execute(query, (last,)).fetchone()
        except sqlite3.Error:
            found = (last,)
        if found is None:
            return
        if found[0] > last:
            last = found[0]
            yield found
        else:  # damaged here, or out of order: one further
            last += 1
            failures += 1


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
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
