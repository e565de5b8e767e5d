"""Predictions of folds, kept so that an interrupted experiment goes on."""

import os
import uuid
from pathlib import Path

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


def _file(name: str, fingerprint: str) -> str:
    safe = "".join(c if c.isalnum() or c in "+-" else "_" for c in name)[:60]
    return f"{safe}-{fingerprint[:20]}.npy"
