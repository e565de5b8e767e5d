"""What tells kept results apart: a hash of all that decides them."""

import os
import pickle
import uuid
from typing import Any

import numpy as np
from joblib.hashing import NumpyHasher


def fingerprint(*things: Any) -> str:
    """Return a hash that is the same, in any process, for things that give the same result.

    Things are known by their value (:func:`joblib.hash`), functions and classes by their
    name. Where a string or a path is that of a file, its size and time count too, so a file
    that was written anew is another one. What can't be pickled gets another hash each time,
    so that nothing is taken for it.
    """
    try:
        return str(_Hasher(hash_name="sha1").hash(_known_by(things)))
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError):
        return uuid.uuid4().hex


def _known_by(thing: Any) -> Any:
    """Return what a thing is known by: with the size and the time of each file that it names."""
    if isinstance(thing, str | os.PathLike):
        try:
            found = os.stat(thing)
        except (OSError, ValueError):
            return os.fspath(thing)
        return os.fspath(thing), found.st_size, found.st_mtime_ns
    if type(thing) in (list, tuple):
        return type(thing)(_known_by(item) for item in thing)
    if type(thing) is dict:
        return {key: _known_by(value) for key, value in thing.items()}
    if isinstance(thing, np.ndarray) and thing.dtype.kind in "OUT":
        return thing.shape, [_known_by(item) for item in thing.ravel()]
    if hasattr(thing, "to_numpy") and hasattr(thing, "dtype"):  # a column of a data frame
        return thing, _known_by(thing.to_numpy())
    return thing


class _Hasher(NumpyHasher):
    """joblib's hash, which knows SciPy's frozen distributions wherever they are."""

    def save(self, obj: Any) -> None:
        """Take up an object; a frozen distribution holds NumPy's global generator."""
        if hasattr(obj, "rvs") and hasattr(obj, "kwds"):
            values = [getattr(obj.dist, name, None) for name in ("a", "b", "xk", "pk")]
            obj = type(obj.dist), obj.dist.name, obj.args, obj.kwds, values
        super().save(obj)
