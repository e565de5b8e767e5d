"""Scores of finished candidates in a file, so that an interrupted search goes on."""

import hashlib
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

# Begins every line that is ours; the number is the format's version.
_START = b'{"searched": 1, '
_NAMES = ("fit_error", "fit_time", "score_time", "n_test_samples", "test_scores", "train_scores")

Outcome = list[dict[str, Any]]
"""What scikit-learn keeps of a candidate: a dict for each fold."""


class Trials:
    """The finished candidates of one search.

    The file has a line of JSON for each candidate of any search. Several processes may
    add lines at once. A line that is damaged is passed over. A candidate that can't be
    kept, as on a full disk, is told in a warning, and the search goes on.

    Parameters
    ----------
    path : path-like or None
        The file; made if it is not there. None keeps nothing.
    search : str
        A hash of all that decides a candidate's scores.
    n_splits : int

    Raises
    ------
    ValueError
        If the path is a folder.
    OSError
        If the file can't be made or read.
    """

    def __init__(self, path: str | os.PathLike[str] | None, search: str, n_splits: int) -> None:
        self._path = None if path is None else Path(path)
        self._search = search
        self._n_splits = n_splits
        self._has_warned = False
        self._found = {} if self._path is None else self._read(self._path)

    def get(self, key: tuple[int | float, ...]) -> Outcome | None:
        """Return what was kept of a candidate, None if there is nothing."""
        return self._found.get(_text(key))

    def put(self, key: tuple[int | float, ...], outcome: Outcome) -> None:
        """Keep what a candidate came to."""
        if self._path is None:
            return
        folds = [{name: _number(fold[name]) for name in _NAMES if name in fold} for fold in outcome]
        record = {"search": self._search, "candidate": list(key), "folds": folds}
        line = _START + json.dumps({"check": _check(record), **record}).encode()[1:] + b"\n"
        try:
            _append(self._path, line)
        except OSError as error:
            self._warn_once(self._path, error)

    def _warn_once(self, path: Path, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"A candidate can't be kept in storage={str(path)!r}: {error.strerror or error}. "
                "The search goes on; should it be interrupted, candidates that are not kept are "
                "fitted again.",
                UserWarning,
                stacklevel=2,
            )

    def _read(self, path: Path) -> dict[str, Outcome]:
        if path.is_dir():
            raise ValueError(f"storage={str(path)!r} is a folder. Give the path of a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
        *lines, rest = path.read_bytes().split(b"\n")
        found: dict[str, Outcome] = {}
        n_whole = n_damaged = 0
        for line in filter(None, lines):
            record = _parsed(line)
            if record is None:
                n_damaged += 1
                continue
            n_whole += 1
            if record["search"] == self._search and len(record["folds"]) == self._n_splits:
                found[_text(record["candidate"])] = record["folds"]
        # What is behind the last end of a line may be one that another process is writing.
        n_damaged += rest[: len(_START)] != _START[: len(rest)]
        if n_damaged:
            _warn(path, n_damaged, n_whole)
        return found


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(_START):
        return None
    try:
        record = json.loads(line)
        del record["searched"]
        sound = record.pop("check") == _check(record)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return record if sound else None


def _warn(path: Path, n_damaged: int, n_whole: int) -> None:
    lines = f"{n_damaged} line" + ("s" if n_damaged > 1 else "")
    if n_whole:
        text = f"{lines} of storage={str(path)!r} can't be read; their candidates are fitted again."
    else:
        # It may be somebody's file, so nothing of it is lost.
        aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
        path.rename(aside)
        text = (
            f"storage={str(path)!r} is damaged, or no file of a search. It is now "
            f"{aside.name!r}, and the search begins anew."
        )
    warnings.warn(text, UserWarning, stacklevel=2)


def _check(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


def _text(key: Any) -> str:
    return json.dumps(list(key))


def _number(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {name: _number(one) for name, one in value.items()}
    return value if isinstance(value, int) else float(value)


def _append(path: Path, line: bytes) -> None:
    # One write to the end of the file, which no other process's comes between. A line
    # left unfinished by a process that was killed stays on its own.
    rest = line if _ends_with_a_line(path) else b"\n" + line
    with path.open("ab", buffering=0) as file:
        # A disk that is nearly full takes a part, and tells only when asked once more.
        while rest:
            rest = rest[file.write(rest) :]


def _ends_with_a_line(path: Path) -> bool:
    if not path.exists():
        return True
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
