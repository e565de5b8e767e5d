"""What features are known by in the cache: the network, its weights, its input, its code."""

import functools
import hashlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sklearn_memorability.features._preprocessing import Preprocess, Transform, reading_side

# Code of these packages is known by its name.
_LIBRARIES = frozenset(
    {"PIL", "builtins", "efficientnet_lite_pytorch", "open_clip", "sklearn_memorability"}
    | {"timm", "torch", "torchvision"}
)


def identity(
    name: str,
    layer: str,
    weights: str,
    module: nn.Module,
    preprocess: Preprocess,
    precision: str,
    own: bool,
) -> str:
    """Return JSON that two networks share only if they give the same features.

    A network of the user's ``own`` is known by its structure and its source, too.
    """
    known = {
        "network": name,
        "layer": layer,
        "weights": weights,
        "preprocessing": _describe(preprocess),
        "reading": ["sRGB", reading_side(preprocess)],
        "precision": precision,
    }
    if own:
        # The repr tells the parts that are a library's, and how they are put together.
        parts = [part for part in module.modules() if not _is_of_a_library(type(part))]
        known["structure"] = _hash(repr(module), *map(_describe, parts))
    return json.dumps(known, sort_keys=True)


def hash_of_weights(module: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, with their names and shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _describe(thing: Any) -> str:
    """Return what tells a callable or a module from others, its source included."""
    if isinstance(thing, Transform):
        return f"Transform({_describe(thing.transform)})"
    steps = getattr(thing, "transforms", None)
    if isinstance(steps, list):
        return f"{type(thing).__name__}({', '.join(map(_describe, steps))})"
    if isinstance(thing, functools.partial):
        return _checked(thing, f"{_describe(thing.func)}{thing.args!r}{thing.keywords!r}")
    if inspect.isfunction(thing) or inspect.ismethod(thing):
        function = inspect.unwrap(thing)
        bound = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
        values = [function.__defaults__, function.__kwdefaults__, sorted(bound.items())]
        if inspect.ismethod(thing):
            values.append(_describe(thing.__self__))
        line = function.__code__.co_firstlineno
        name = f"{function.__module__}.{function.__qualname__}:{line}"
        return _checked(thing, f"{name} {values!r} {_source(function)}")
    kind = type(thing)
    if _is_of_a_library(kind):
        return _checked(thing, repr(thing))
    state = {k: v for k, v in sorted(vars(thing).items()) if not k.startswith("_")}
    state.pop("training", None)
    return _checked(thing, f"{kind.__module__}.{kind.__qualname__} {state!r} {_source(kind)}")


def _is_of_a_library(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in _LIBRARIES


def _checked(thing: Any, description: str) -> str:
    # An address in memory is another one in the next process, and may be another
    # object's by then.
    if " at 0x" in description:
        raise ValueError(
            f"cache= can't tell {thing!r} from others of its kind: {description.splitlines()[0]}. "
            "Give what it holds a __repr__ that says all that it does, or use cache=None."
        )
    return description


def _source(code: Any) -> str:
    """Return the hash of the file that the code stands in, or of its own source."""
    try:
        path = inspect.getsourcefile(code)
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        if path is not None and (code.__module__ != "__main__" or path == main):
            return _hash(Path(path).read_text(encoding="utf-8"))
        return _hash(inspect.getsource(code))
    except (OSError, TypeError) as error:
        raise ValueError(
            f"cache= can't tell {code!r} from what it may be later, as its source can't be read. "
            "Define it in a file, or use cache=None."
        ) from error


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
