"""What is known of features on disk: who computed them, of what, and which rows are done."""

import errno
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

VERSION = 1
_SHORT = 60


class OtherFeaturesError(ValueError):
    """What is under the path is not what the call would write."""


class Chunk(NamedTuple):
    """What is kept of rows that are on disk."""

    start: int
    """The first row."""
    pictures: str
    """A hash of which pictures they are."""
    files: str
    """A hash of the sizes and times of their files."""
    content: str
    """A hash of the rows."""
    unreadable: list[int]
    """Rows that are NaN."""


def hash_of(content: Any) -> str:
    """Return a hash of bytes."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def sealed(record: dict[str, Any], key: str = "") -> dict[str, Any]:
    """Return a record with a check of itself and of the key."""
    return {**record, "check": _check(record, key)}


def unsealed(record: Any, key: str = "") -> dict[str, Any] | None:
    """Return a sealed record, or None if it is damaged or another key's."""
    if not isinstance(record, dict):
        return None
    content = {name: value for name, value in record.items() if name != "check"}
    return content if record.get("check") == _check(content, key) else None


def unsealed_header(record: Any) -> dict[str, Any] | None:
    """Return what a sealed record says of features, or None if it is damaged or another's."""
    header = unsealed(record)
    if header is None or header.keys() != {"features", "n_features"}:
        return None
    sound = isinstance(header["features"], dict) and _is_count(header["n_features"])
    return header if sound and header["n_features"] > 0 else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check(record: dict[str, Any], key: str) -> str:
    return hash_of(f"{key}{json.dumps(record, sort_keys=True)}".encode())


def read_lines(path: Path) -> list[Any]:
    """Return a file's lines of JSON; None for one that is damaged."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [_parsed(line) for line in lines if line]


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def add_line(path: Path, record: dict[str, Any]) -> None:
    """Add a line of JSON to a file, and wait until it is on disk."""
    with path.open("a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a line that was cut short stays on its own
                file.write(b"\n")
        file.write(json.dumps(record).encode() + b"\n")
        flush(file)


def flush(file: Any) -> None:
    """Wait until what was written to a file is on disk."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk, where the system can say so."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def chunks_of(lines: list[Any], key: str) -> dict[int, list[Chunk]]:
    """Return the chunks that lines tell of, by their first row.

    Parameters
    ----------
    lines : list
        As from :func:`read_lines`.
    key : str
        What the lines were sealed with.

    Returns
    -------
    dict of int to list of Chunk
        A chunk that was written again has several; whichever fits the rows on disk and
        the pictures is true.
    """
    found: dict[int, list[Chunk]] = {}
    for line in lines:
        record = unsealed(line, key)
        if record is not None and set(record) == set(Chunk._fields):
            chunk = Chunk(**record)
            rows = chunk.unreadable
            if not (
                _is_count(chunk.start) and isinstance(rows, list) and all(map(_is_count, rows))
            ):
                continue
            found.setdefault(chunk.start, []).append(chunk)
    return found


def refuse_other(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse what was begun with something else.

    Parameters
    ----------
    path : pathlib.Path
        Where it is.
    found, wanted : dict
        What is known of it, and what is asked for: names with values that may be such
        dicts in turn.

    Raises
    ------
    OtherFeaturesError
        If they differ; names what does.
    """
    differences = list(_differences("", found, wanted))
    if differences:
        more = f" (and {len(differences) - 3} more)" if len(differences) > 3 else ""
        raise OtherFeaturesError(
            f"{str(path)!r} holds other features: {'; '.join(differences[:3])}{more}. Give another "
            "path, or overwrite=True to replace them."
        )


def _differences(name: str, found: Any, wanted: Any) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in {**wanted, **found}:
            inner = f"{name}.{key}" if name else str(key)
            yield from _differences(inner, found.get(key), wanted.get(key))
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for i, pair in enumerate(zip(found, wanted, strict=True)):
            yield from _differences(f"{name}[{i}]", *pair)
    elif found != wanted:
        yield f"{name} is {_short(found)} there and {_short(wanted)} here"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes from writing to a path meanwhile.

    Parameters
    ----------
    path : pathlib.Path
        What is written.

    Raises
    ------
    BlockingIOError
        If another process is writing to it.
    OSError
        If nothing can be written there.
    """
    # SQLite's lock works on all systems and ends with its process, even a killed one.
    try:
        connection = sqlite3.connect(
            path.with_name(f".{path.name}.lock"), timeout=0, isolation_level=None
        )
    except sqlite3.Error as error:
        raise OSError(f"Can't write to {str(path.parent)!r}: {error}.") from error
    try:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise BlockingIOError(
                    f"Another process is writing {str(path)!r}. Wait for it, or give another path."
                ) from error
            raise OSError(
                f"Can't lock {str(path)!r}: {error}. On a disk that has no locks, write Zarr with "
                "part=(0, 1), from one process."
            ) from error
        yield
    finally:
        connection.close()


def is_full(error: OSError) -> bool:
    """Tell whether an error means that there is no room left."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def no_room(path: Path, needed: int, free: int) -> OSError:
    """Return the error for a full disk."""
    error = OSError(
        f"No room for {str(path)!r}: the rows that are missing need {needed:,} bytes, {free:,} are "
        "free. The rows that are written stay; make room, and the same call goes on."
    )
    error.errno = errno.ENOSPC
    return error
