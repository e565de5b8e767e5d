"""Predictions of folds, kept so that an interrupted experiment goes on."""

import hashlib
import io
import os
import uuid
import warnings
from pathlib import Path

import numpy as np

_SUM = 32  # bytes of the hash behind the array


class Runs:
    """A folder of predictions, a file for each fold of each row.

    Each file ends in the SHA-256 of what is before it. Predictions that can't be kept, as
    on a full disk, are told in a warning, and the experiment goes on.

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
            content = (self.folder / _file(name, fingerprint)).read_bytes()
        except OSError:
            return None
        array, known = content[:-_SUM], content[-_SUM:]
        if hashlib.sha256(array).digest() != known:
            return None
        predicted = np.load(io.BytesIO(array), allow_pickle=False)
        return predicted if np.isfinite(predicted).all() else None

    def put(self, name: str, fingerprint: str, predicted: np.ndarray) -> None:
        """Keep a fold's predictions."""
        if self.folder is None:
            return
        array = io.BytesIO()
        np.save(array, np.asarray(predicted, dtype=np.float64))
        content = array.getvalue()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(
                self.folder / _file(name, fingerprint), content + hashlib.sha256(content).digest()
            )
        except OSError as error:
            warnings.warn(
                f"Predictions can't be kept in {str(self.folder)!r}: {error.strerror or error}. "
                "The experiment goes on; should it be interrupted, they are computed again.",
                UserWarning,
                stacklevel=2,
            )


def _write(path: Path, content: bytes) -> None:
    # Under its own name a file is whole, whenever the process is killed.
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _file(name: str, fingerprint: str) -> str:
    safe = "".join(c if c.isalnum() or c in "+-" else "_" for c in name)[:60]
    return f"{safe}-{fingerprint[:20]}.npy"
