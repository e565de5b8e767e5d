"""What decides rows: the transformer and the pictures, in words that can be compared."""

import functools
import hashlib
import inspect
import json
import os
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_memorability._fingerprint import fingerprint
from sklearn_memorability.features._caption_embedding import CaptionEmbedding
from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.features._write_journal import hash_of
from sklearn_memorability.images import ImageContent, ImageReadError

# Code of these packages is known by its name.
_LIBRARIES = frozenset(
    {"builtins", "copyreg", "functools", "numpy", "pandas", "scipy", "skimage", "sklearn"}
    | {"sklearn_memorability", "skorch", "torch", "torchvision"}
)
# Attributes of estimators that change no row.
_NEUTRAL = frozenset(
    {"_sklearn_output_config", "_sklearn_version", "memory", "n_jobs", "verbose"}
    | {"verbose_feature_names_out"}
)


def known_transformer(transformer: Any) -> Any:
    """Return what tells a transformer from others that would give other rows.

    Parameters
    ----------
    transformer : object with transform
        Fitted.

    Returns
    -------
    object
        What JSON can hold: of networks their name, layer, weights, preprocessing, crops
        and precision; of other estimators their class and all that they hold, arrays as
        hashes. Two that differ in nothing but speed, place or talk are the same.

    Raises
    ------
    ValueError
        If something in it can't be known by its value.
    """
    return _known(transformer, "transformer", ())


def known_pictures(pictures: Any) -> tuple[str, str]:
    """Return hashes that tell pictures from others, and their files from what they become.

    Parameters
    ----------
    pictures : sequence
        Paths, known by their text; the second hash takes the sizes and times of their
        files. Others are known by their content.

    Returns
    -------
    tuple of str
    """
    names, states = (hashlib.blake2b(digest_size=16) for _ in range(2))
    for picture in _each(pictures):
        name, state = _known_picture(picture)
        names.update(b"%d %s" % (len(name), name))
        states.update(b"%d %s" % (len(state), state))
    return names.hexdigest(), states.hexdigest()


def _each(pictures: Any) -> Iterable[Any]:
    if hasattr(pictures, "columns") or hasattr(pictures, "to_numpy"):
        pictures = np.asarray(pictures)
        return pictures.ravel() if pictures.dtype == object else pictures
    return pictures


def _known_picture(picture: Any) -> tuple[bytes, bytes]:
    if isinstance(picture, os.PathLike):
        picture = os.fspath(picture)
    if isinstance(picture, str):
        try:
            status = os.stat(picture)
            state = b"%d %d" % (status.st_size, status.st_mtime_ns)
        except (OSError, ValueError):
            state = b"missing"
        return b"path " + picture.encode("utf-8", "surrogatepass"), state
    if isinstance(picture, bytes | bytearray | memoryview):
        return b"bytes " + hash_of(picture).encode(), b""
    if isinstance(picture, np.ndarray) and picture.dtype != object:
        return b"array " + fingerprint(picture).encode(), b""
    try:
        return b"picture " + ImageContent(picture).digest(), b""
    except ImageReadError:
        # What can't be known by its value is another one each time.
        return b"thing", fingerprint(picture).encode()


def _known(thing: Any, place: str, inside: tuple[int, ...]) -> Any:
    if thing is None or isinstance(thing, bool | int | str):
        return thing
    if isinstance(thing, float | complex | np.generic | np.dtype | os.PathLike | torch.device):
        return f"{type(thing).__name__} {thing}"
    if isinstance(thing, bytes | bytearray):
        return f"bytes {hash_of(thing)}"
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        return f"array {fingerprint(thing)}"
    if isinstance(thing, torch.Tensor):
        content = thing.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return f"tensor {thing.dtype} {tuple(thing.shape)} {hash_of(content)}"
    if id(thing) in inside:
        return f"above ({type(thing).__name__})"
    inside = (*inside, id(thing))
    if sparse.issparse(thing):
        rows = thing.tocsr()
        return _known([rows.shape, rows.data, rows.indices, rows.indptr], place, inside)
    if isinstance(thing, dict):
        return {str(key): _known(thing[key], f"{place}[{key!r}]", inside) for key in thing}
    if isinstance(thing, set | frozenset):
        return sorted(str(_known(item, place, inside)) for item in thing)
    if isinstance(thing, list | tuple | np.ndarray):
        return [_known(item, f"{place}[{i}]", inside) for i, item in enumerate(thing)]
    if isinstance(thing, ImageExtractor):
        return _known_extractor(thing, place, inside)
    if isinstance(thing, type | types.FunctionType | types.MethodType | functools.partial):
        return _known_code(thing, place, inside)
    return _known_object(thing, place, inside)


def _known_extractor(extractor: Any, place: str, inside: tuple[int, ...]) -> Any:
    check_is_fitted(extractor)
    recipe = extractor._available_recipe()
    try:
        known = json.loads((extractor._network or recipe.load()).identity)
    except ValueError as error:
        raise ValueError(_UNKNOWN.format(place, error)) from error
    if isinstance(extractor, CaptionEmbedding):
        space: Any = extractor.embedding_
        # What a caption becomes is of no matter here.
        arrays = [getattr(space, name, None) for name in ("image_weights_", "image_bias_")]
        projection: Any = type(space) if arrays[0] is None else arrays
        if arrays[0] is None and not _is_of_a_library(type(space)):
            projection = space
        known["embedding"] = _known(projection, f"{place}.embedding", inside)
        known["with_cnn"] = extractor._with_cnn
    if not _is_of_a_library(type(extractor)):
        known["class"] = _known(type(extractor), place, inside)
    return known


def _known_object(thing: Any, place: str, inside: tuple[int, ...]) -> Any:
    kind = type(thing)
    known: dict[str, Any] = {"class": _known(kind, place, inside)}
    if isinstance(thing, nn.Module) or hasattr(thing, "get_params"):
        for name, value in vars(thing).items():
            if name not in _NEUTRAL:
                known[name] = _known(value, f"{place}.{name}", inside)
        return known
    if inspect.isbuiltin(thing) or isinstance(thing, np.ufunc):
        return f"{getattr(thing, '__module__', None)}.{thing.__name__}"
    # What Python would copy of it is what it holds.
    try:
        reduced = thing.__reduce_ex__(2)
    except Exception as error:
        raise ValueError(_UNKNOWN.format(place, f"{kind.__qualname__}: {error}")) from error
    if isinstance(reduced, str):
        return f"{getattr(thing, '__module__', None)}.{reduced}"
    known["from"] = _known([item for item in reduced[1] if item is not kind], place, inside)
    for i, held in enumerate(reduced[2:]):
        # Items of lists and dicts come one by one.
        held = list(held) if i > 0 and isinstance(held, Iterator) else held
        known[("state", "items", "entries", "setter")[i]] = _known(held, place, inside)
    return known


def _known_code(code: Any, place: str, inside: tuple[int, ...]) -> Any:
    if isinstance(code, functools.partial):
        return _known([code.func, code.args, code.keywords], place, inside)
    if isinstance(code, types.MethodType):
        return _known([code.__func__, code.__self__], place, inside)
    name = f"{code.__module__}.{code.__qualname__}"
    if _is_of_a_library(code):
        return name
    if isinstance(code, types.FunctionType):
        around = [cell.cell_contents for cell in code.__closure__ or ()]
        held = _known([around, code.__defaults__, code.__kwdefaults__], place, inside)
        return [name, _hash_of_code(code.__code__), held]
    known: dict[str, Any] = {"name": name}
    for base in reversed(code.__mro__):
        if _is_of_a_library(base):
            continue
        for key, value in vars(base).items():
            value = getattr(value, "__func__", getattr(value, "fget", value))
            if isinstance(value, types.FunctionType | bool | int | float | str | tuple) and (
                key not in {"__module__", "__doc__", "__qualname__", "__firstlineno__"}
            ):
                known[key] = _known(value, f"{place}.{key}", inside)
    return known


def _hash_of_code(code: types.CodeType) -> str:
    held = [_constant(value) for value in code.co_consts]
    return hash_of(repr([code.co_code, held, code.co_names, code.co_freevars]).encode())


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _hash_of_code(value)
    # The order of a set is another one in each process.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _is_of_a_library(code: Any) -> bool:
    return str(code.__module__).partition(".")[0] in _LIBRARIES


_UNKNOWN = (
    "What {} holds can't be known by its value, so an interrupted call could not go on with the "
    "same features: {}"
)
