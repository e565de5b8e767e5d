"""What is known of downloaded files: where each came from, its hash and its size."""

import hashlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

# In each set's folder.
RECORD = "downloads.json"


def recorded(path: Path) -> dict[str, Any]:
    """Return what was recorded of a file: ``url``, ``sha256``, ``size`` and ``when``.

    Parameters
    ----------
    path : pathlib.Path
        The file, which needn't be there any more.

    Returns
    -------
    dict
        Empty if nothing was.
    """
    entry = _read(path.parent).get(path.name)
    return entry if isinstance(entry, dict) else {}


def recorded_hash(path: Path) -> str | None:
    """Return a file's recorded hash as pooch writes it, if there is one."""
    digest = recorded(path).get("sha256")
    return f"sha256:{digest}" if digest else None


def record(path: Path, url: str) -> None:
    """Record what a file is now.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    url : str
        Where it comes from.
    """
    entries = _read(path.parent)
    entries[path.name] = {
        "url": url,
        "sha256": file_hash(path, "sha256").partition(":")[2],
        "size": path.stat().st_size,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    temporary = path.with_name(RECORD + ".new")
    try:
        temporary.write_text(json.dumps(entries, indent=1), encoding="utf-8")
        os.replace(temporary, path.with_name(RECORD))
    except OSError as error:
        # What fails while it writes doesn't say to which file.
        error.filename = os.fspath(path.with_name(RECORD))
        raise


def file_hash(path: Path, kind: str) -> str:
    """Return a file's hash as pooch writes it: ``"md5:..."`` for ``kind="md5"``."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False))
    return f"{kind}:{digest.hexdigest()}"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process writes to a set's folder, and keep others waiting.

    Parameters
    ----------
    folder : pathlib.Path
        The folder, which must be there.

    Raises
    ------
    OSError
        If nothing can be written to it.
    """
    # SQLite's lock works on all systems and ends with its process, even a killed one.
    try:
        connection = sqlite3.connect(folder / ".lock", timeout=1.0, isolation_level=None)
    except sqlite3.Error as error:
        raise OSError(f"Can't write to {os.fspath(folder)!r}: {error}.") from error
    try:
        told = False
        while True:
            try:
                connection.execute("BEGIN EXCLUSIVE")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise OSError(f"Can't lock {os.fspath(folder)!r}: {error}.") from error
                if not told:
                    logger.warning("Waiting for another process that writes to %s", folder)
                told = True
        yield
    finally:
        connection.close()


def _read(folder: Path) -> dict[str, Any]:
    try:
        entries = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return entries if isinstance(entries, dict) else {}
