"""What decides a candidate's scores, in words that its hash can be taken of."""

import functools
import hashlib
import inspect
import os
import sys
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_memorability._fingerprint import fingerprint

# Splitters of these packages are what their attributes say.
_SPLITTERS = ("sklearn.model_selection.", "sklearn_memorability.model_selection.")


def identity(*things: Any) -> str:
    """Return a hash that is equal only for things that lead to the same scores.

    Parameters
    ----------
    *things : data, estimators, scorers, distributions, containers
        What is known by its value or its source. Pictures' files count as others when
        they are written anew. What can't be known (a fitted estimator, a generator of
        random numbers) gets a hash of its own each time.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    try:
        return fingerprint(*(_plain(thing) for thing in things))
    except (RecursionError, ValueError):
        # A container in itself, or a function with a variable that is not yet set.
        return fingerprint(object())


def _plain(thing: Any) -> Any:
    if thing is None or isinstance(thing, bool | int | float | np.generic):
        return thing
    if isinstance(thing, str | os.PathLike):
        return _plain_path(thing)
    if isinstance(thing, bytes | bytearray | memoryview):
        return ["bytes", hashlib.sha256(thing).hexdigest()]
    if isinstance(thing, np.ndarray):
        return _plain_array(thing)
    if isinstance(thing, dict):
        return {str(key): [_plain(key), _plain(value)] for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [type(thing).__name__, [_plain(item) for item in thing]]
    if sparse.issparse(thing):
        rows = thing.tocsr()
        return [type(thing).__name__, rows.shape, rows.data, rows.indices, rows.indptr]
    if hasattr(thing, "columns") and hasattr(thing, "dtypes"):
        return _plain_table(thing)
    if hasattr(thing, "to_numpy"):
        return _plain_column(thing)
    if isinstance(getattr(thing, "mode", None), str) and hasattr(thing, "tobytes"):
        return ["picture", thing.mode, np.asarray(thing), _palette(thing)]
    return _plain_object(thing)


def _plain_path(thing: Any) -> Any:
    try:
        status = os.stat(thing)
    except (OSError, ValueError):
        return os.fspath(thing)
    return ["file", os.fspath(thing), status.st_size, status.st_mtime_ns]


def _plain_array(array: np.ndarray) -> Any:
    if array.dtype == object:
        return ["objects", list(array.shape), [_plain(item) for item in array.ravel()]]
    return array


def _plain_table(table: Any) -> Any:
    # By position, as pandas lets two columns have one name.
    names = [_plain(name) for name in table.columns]
    columns = (
        [_plain_column(table.iloc[:, i]) for i in range(len(names))]
        if hasattr(table, "iloc")
        else [_plain_column(column) for column in table]
    )
    index = _plain(np.asarray(table.index)) if hasattr(table, "index") else None
    return ["table", type(table).__module__.partition(".")[0], names, index, columns]


def _plain_column(column: Any) -> Any:
    index = getattr(column, "index", None)
    labels = None if index is None or callable(index) else _plain(np.asarray(index))
    return ["column", str(column.dtype), labels, _plain(np.asarray(column))]


def _plain_object(thing: Any) -> Any:
    if inspect.isclass(thing):
        return thing
    if inspect.isfunction(thing):
        if getattr(sys.modules.get(thing.__module__), thing.__name__, None) is thing:
            return thing
        # One made in a function means something else with other values around it.
        around = [cell.cell_contents for cell in thing.__closure__ or ()]
        return [thing, _plain(around), _plain(thing.__defaults__), _plain(thing.__kwdefaults__)]
    if isinstance(thing, functools.partial):
        return ["partial", _plain(thing.func), _plain(thing.args), _plain(thing.keywords)]
    if inspect.isbuiltin(thing) or isinstance(thing, np.ufunc):
        return ["builtin", getattr(thing, "__module__", None) or "", thing.__name__]
    if hasattr(thing, "rvs") and hasattr(thing, "args") and hasattr(thing, "kwds"):
        return [*_plain_distribution(thing.dist), _plain(thing.args), _plain(thing.kwds)]
    if hasattr(thing, "get_params"):
        return _plain_estimator(thing)
    if hasattr(thing, "get_n_splits") and type(thing).__module__.startswith(_SPLITTERS):
        return [type(thing), {name: _plain(value) for name, value in vars(thing).items()}]
    if hasattr(thing, "_score_func") and hasattr(thing, "_kwargs"):
        return [type(thing), {name: _plain(value) for name, value in vars(thing).items()}]
    return thing


def _plain_distribution(kind: Any) -> list[Any]:
    values = [_plain(getattr(kind, name, None)) for name in ("a", "b", "xk", "pk")]
    return [type(kind).__qualname__, kind.name, values]


def _plain_estimator(estimator: Any) -> Any:
    fitted = any(name.endswith("_") and name[0] != "_" for name in vars(estimator))
    if fitted:
        return estimator  # the hash can't know it
    requests = getattr(estimator, "_metadata_request", None)
    return [type(estimator), _plain(estimator.get_params(deep=False)), str(requests)]


def _palette(picture: Any) -> Any:
    palette = getattr(picture, "palette", None)
    return None if palette is None else _plain(palette.tobytes())
