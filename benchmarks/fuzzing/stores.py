"""Readers of features on disk, and of the journals by which writing them goes on."""

import json
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from fuzzing.reader import BrokenPromiseError, Reader
from sklearn_memorability.features import StoredFeatures, write_features
from sklearn_memorability.features._write_journal import sealed

_PICTURES = list(np.random.default_rng(0).integers(0, 256, (6, 2, 2, 3), dtype=np.uint8))
_CHUNK = 2
_ROWS = np.stack([p.mean((0, 1), dtype=np.float32) for p in _PICTURES])

# By variant: the file that is damaged, and whether the writing of it was interrupted.
_VARIANTS = {
    "npy": ("f.npy", False),
    "npy-unfinished": ("f.npy.unfinished", True),
    "npy-journal": ("f.npy.journal", True),
    "npy-sealed": ("f.npy.journal", True),
    "npy-finished": ("f.npy.journal", False),
    "zarr": ("f.zarr/zarr.json", False),
    "zarr-chunk": ("f.zarr/c/0/0", False),
    "zarr-unfinished": ("f.zarr/c/0/0", True),
    "zarr-journal": ("f.zarr/journal/0-of-1.jsonl", True),
    "zarr-sealed": ("f.zarr/zarr.json", True),
}


class _InterruptedError(Exception):
    pass


_interrupted = [False]


class _Means(TransformerMixin, BaseEstimator):
    """Mean colours; may be interrupted before the last chunk."""

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Any) -> np.ndarray:
        if _interrupted[0] and X[0] is _PICTURES[-_CHUNK]:
            raise _InterruptedError
        return np.stack([picture.mean((0, 1), dtype=np.float32) for picture in X])


def _write(path: Path) -> StoredFeatures:
    stored = write_features(_Means(), _PICTURES, path, chunk_rows=_CHUNK)
    if stored is None:
        raise BrokenPromiseError("rows are missing")
    return stored


@lru_cache
def _written(suffix: str, interrupted: bool) -> dict[str, bytes]:
    """Return the files of features that were written as a whole, or in part."""
    with tempfile.TemporaryDirectory() as folder:
        _interrupted[0] = interrupted
        try:
            _write(Path(folder, f"f.{suffix}"))
        except _InterruptedError:
            pass
        finally:
            _interrupted[0] = False
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in paths
            if not path.name.endswith(".lock")
        }


def _files(variant: str) -> dict[str, bytes]:
    return _written(variant.partition("-")[0], _VARIANTS[variant][1])


def stores() -> Mapping[str, bytes]:
    """Return files of features, and what goes on from an interruption."""
    return {variant: _files(variant)[name] for variant, (name, _) in _VARIANTS.items()}


def read_store(variant: str, data: bytes, folder: Path) -> None:
    """Read features, or go on with writing them; whatever comes is right."""
    name, _ = _VARIANTS[variant]
    if variant == "npy-sealed":
        data = _sealed_lines(data)
    elif variant == "zarr-sealed":
        data = _sealed_attributes(data)
    for other, content in _files(variant).items():
        path = folder / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if other == name else content)
    path = folder / f"f.{variant.partition('-')[0]}"
    if variant in ("npy", "zarr"):
        # Numbers of another size or order are none of these rows, and no less readable.
        _read(StoredFeatures(path))
    elif variant == "zarr-chunk":
        _compare(_read(StoredFeatures(path)))
    else:
        rows = _read(_write(path))
        if not variant.endswith("sealed"):
            _compare(rows)


def _read(stored: StoredFeatures) -> np.ndarray:
    n_rows, n_features = stored.shape
    if n_rows * n_features > 10_000_000:
        raise BrokenPromiseError(f"a small file has {stored.shape} features")
    with np.errstate(all="ignore"):
        rows = np.asarray(stored)
        for part, expected in ((stored[::2], rows[::2]), (stored[[0] * (n_rows > 0)], rows[:1])):
            if not np.array_equal(np.asarray(part), expected, equal_nan=True):
                raise BrokenPromiseError("some rows are other ones than all rows")
        stored.finite_rows()
    return rows


def _compare(rows: np.ndarray) -> None:
    if not np.array_equal(rows, _ROWS):
        raise BrokenPromiseError("the rows are not those of the pictures")


def _sealed_lines(data: bytes) -> bytes:
    """Set the seals of a journal's lines right."""
    lines, key = [], ""
    for i, line in enumerate(data.split(b"\n")):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            record.pop("check", None)
            record = sealed(record, key)
            key = record["check"] if i == 0 else key
            line = json.dumps(record).encode()
        lines.append(line)
    return b"\n".join(lines)


def _sealed_attributes(data: bytes) -> bytes:
    try:
        found = json.loads(data)
        record = found["attributes"]["memorability_features"]
        record.pop("check", None)
        found["attributes"]["memorability_features"] = sealed(record)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return data
    return json.dumps(found).encode()


STORES = [Reader("stores", stores, read_store)]
