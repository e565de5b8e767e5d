"""Predictions of folds, kept so that an interrupted experiment goes on."""

import hashlib
import inspect
import json
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np


class Runs:
    """A folder of predictions, a file for each fold of each row.

    Parameters
    ----------
    folder : path-like or None
        Where they are; None keeps nothing.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self.folder = None if folder is None else Path(folder)

    def get(self, name: str, fingerprint: str) -> np.ndarray | None:
        """Return a fold's predictions if they are there, and whole."""
        if self.folder is None:
            return None
        try:
            with (self.folder / _file(name, fingerprint)).open("rb") as file:
                predicted = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return predicted if np.isfinite(predicted).all() else None

    def put(self, name: str, fingerprint: str, predicted: np.ndarray) -> None:
        """Keep a fold's predictions."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / _file(name, fingerprint)
        # Under its own name a file is whole, whenever the process is killed.
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with draft.open("wb") as file:
                np.save(file, np.asarray(predicted, dtype=np.float64))
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def fingerprint(*things: Any) -> str:
    """Return a hash that is equal only for things that give the same predictions.

    Parameters
    ----------
    *things : estimators, arrays, containers, numbers, strings
        What decides them. What can't be known by its value (a fitted estimator, an
        open file) gets a hash of its own each time, so that nothing is taken for it.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps([_describe(thing) for thing in things]).encode()).hexdigest()


def _file(name: str, fingerprint: str) -> str:
    safe = "".join(c if c.isalnum() or c in "+-" else "_" for c in name)[:60]
    return f"{safe}-{fingerprint[:20]}.npy"


def _describe(thing: Any) -> Any:
    if thing is None or isinstance(thing, str | bool | int):
        return thing
    if isinstance(thing, float | np.number | np.bool_ | os.PathLike):
        return [type(thing).__name__, str(thing)]
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        digest = hashlib.sha256(np.ascontiguousarray(thing).data).hexdigest()
        return ["array", str(thing.dtype), list(thing.shape), digest]
    if isinstance(thing, dict):
        return ["dict", [[_describe(key), _describe(value)] for key, value in thing.items()]]
    if isinstance(thing, list | tuple | np.ndarray):
        return [type(thing).__name__, [_describe(item) for item in thing]]
    if hasattr(thing, "get_params") and not isinstance(thing, type) and not _is_fitted(thing):
        return [_name(type(thing)), _describe(thing.get_params(deep=False))]
    if inspect.isclass(thing) or inspect.isfunction(thing):
        try:
            return [_name(thing), inspect.getsource(thing)]
        except (OSError, TypeError):
            return [_name(thing), uuid.uuid4().hex]
    return [_name(type(thing)), uuid.uuid4().hex]


def _is_fitted(estimator: Any) -> bool:
    return any(
        name.endswith("_") and not name.startswith("_")
        for name in getattr(estimator, "__dict__", {})
    )


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
