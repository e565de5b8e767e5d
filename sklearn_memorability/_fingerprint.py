"""What tells results apart: a hash of all that decides them."""

import hashlib
import inspect
import json
import os
import uuid
from typing import Any

import numpy as np


def fingerprint(*things: Any) -> str:
    """Return a hash that is equal only for things that give the same predictions.

    Parameters
    ----------
    *things : estimators, arrays, containers, numbers, strings
        What decides them. What can't be known by its value (a fitted estimator, an
        open file) gets a hash of its own each time, so that nothing is taken for it.
        A class may say by a method ``__fingerprint__`` what decides its objects.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps([_describe(thing) for thing in things]).encode()).hexdigest()


def _describe(thing: Any) -> Any:
    if thing is None or isinstance(thing, str | bool | int):
        return thing
    if isinstance(thing, float | np.number | np.bool_ | os.PathLike):
        return [type(thing).__name__, str(thing)]
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        digest = hashlib.sha256(np.ascontiguousarray(thing).data).hexdigest()
        return ["array", str(thing.dtype), list(thing.shape), digest]
    if hasattr(thing, "__fingerprint__") and not isinstance(thing, type):
        return [_name(type(thing)), _describe(thing.__fingerprint__())]
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
