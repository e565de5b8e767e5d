"""Files of joint spaces: our own, and the weights that others released.

A space is what ``VisualSemanticEmbedding._set_space`` takes. Files come from elsewhere, and
nothing in them is run.
"""

import argparse
import codecs
import io
import json
import os
import pickletools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save

from sklearn_memorability._utils._files import write_whole
from sklearn_memorability.captions._words import FIRST_WORD

_Path = str | os.PathLike[str]

_FORMAT = "sklearn-memorability joint image-caption space 2"
_TEXT = "text."
_LARGEST_DICTIONARY = 64_000_000  # bytes; far more than the words of any captions take
_VSEPP_MARKS = ("<start>", "<end>", "<unk>")


@contextmanager
def reading(path: _Path) -> Iterator[None]:
    """Turn every error into a ValueError that names the file."""
    try:
        yield
    except Exception as error:  # torch, NumPy, zipfile and safetensors each raise their own
        raise ValueError(
            f"{os.fspath(path)!r} can't be read as a joint space of images and captions: {error}. "
            "Is it of another kind, or damaged?"
        ) from error


def write_embedding(
    path: _Path, parameters: dict[str, Any], space: dict[str, Any], dtype: str
) -> None:
    """Write an estimator's parameters and its space: arrays as tensors, the rest as JSON."""
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"{os.fspath(path)!r} must end in .safetensors, the format of the file.")
    arrays = {_TEXT + name: array for name, array in (space.pop("text_weights") or {}).items()}
    arrays |= {name: space.pop(name) for name in ("image_weights", "image_bias")}
    # Parameters that a search has set may be NumPy's numbers.
    settings = json.dumps({"parameters": parameters, **space}, default=np.generic.item)
    # safetensors writes an array's memory, whatever its order is.
    tensors = {name: np.ascontiguousarray(array, dtype) for name, array in arrays.items()}
    write_whole(path, save(tensors, {"format": _FORMAT, "settings": settings}))


def read_embedding(path: _Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters and the space that ``write_embedding`` wrote."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != _FORMAT:
            raise ValueError(
                "VisualSemanticEmbedding.save of this version did not write it (its format is "
                f"{metadata.get('format')!r:.80})"
            )
        # It can't be iterated itself.
        arrays = {k: file.get_tensor(k).astype(np.float32) for k in file.keys()}  # noqa: SIM118
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name!r} has values that are not finite")
    space = json.loads(metadata["settings"])
    parameters = space.pop("parameters")
    space |= {name: arrays.pop(name) for name in ("image_weights", "image_bias")}
    space["text_weights"] = {k.removeprefix(_TEXT): v for k, v in arrays.items()} or None
    return parameters, space


def read_kiros(path: _Path) -> dict[str, Any]:
    """Read ``X.npz`` of Kiros et al. (2014), and its words from ``X.npz.dictionary.pkl``."""
    dictionary = f"{os.fspath(path)}.dictionary.pkl"
    with open(path, "rb") as file, reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        with np.load(file, allow_pickle=False) as arrays:
            weights = _checked(arrays, "ff_image_W", (None, None))
            n = weights.shape[1]
            bias = _checked(arrays, "ff_image_b", (n,))
            space: dict[str, Any] = {"image_weights": weights, "image_bias": bias}
            if not os.path.exists(dictionary):
                return space
            words = _checked(arrays, "Wemb", (None, None))
            n_words, d = words.shape
            shapes: dict[str, tuple[int, ...]] = {"W": (d, 2 * n), "b": (2 * n,), "U": (n, 2 * n)}
            shapes |= {"Wx": (d, n), "bx": (n,), "Ux": (n, n)}
            p = {k: _checked(arrays, f"encoder_{k}", shape) for k, shape in shapes.items()}
    # The gates are in torch's order, reset before update, and the new state is mixed as in
    # torch; there is one bias where torch has two.
    space["text_weights"] = {
        "words.weight": words,
        "recurrent.weight_ih_l0": np.vstack([p["W"].T, p["Wx"].T]),
        "recurrent.weight_hh_l0": np.vstack([p["U"].T, p["Ux"].T]),
        "recurrent.bias_ih_l0": np.hstack([p["b"], p["bx"]]),
        "recurrent.bias_hh_l0": np.zeros(3 * n, dtype=np.float32),
    }
    with open(dictionary, "rb") as file, reading(dictionary):
        numbers = _read_words(file.read(_LARGEST_DICTIONARY + 1))
    # The network may have been trained on the frequent words alone.
    space["vocabulary"] = {word: i for word, i in numbers.items() if i < n_words}
    return space


def read_vsepp(path: _Path, vocabulary: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Read a checkpoint of VSE++ (Faghri et al. 2018), or ``{"fc.weight": …, "fc.bias": …}``."""
    with open(path, "rb") as file, reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of storages as old versions of torch wrote them
        # The options in a checkpoint are a Namespace, which is as plain as a dict.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(file, map_location="cpu", weights_only=True)
        model = content.get("model") if isinstance(content, dict) else None
        states = model if isinstance(model, list | tuple) and len(model) == 2 else (content, {})
        if not all(isinstance(state, dict) for state in states):
            raise ValueError("there is no 'model' with the weights of images and of captions")
        images, captions = (
            {str(k).removeprefix("module."): v for k, v in state.items()} for state in states
        )
        weights = np.ascontiguousarray(_checked(images, "fc.weight", (None, None)).T)
        n = weights.shape[1]
        bias = _checked(images, "fc.bias", (n,))
        space: dict[str, Any] = {"image_weights": weights, "image_bias": bias}
        if vocabulary is None:
            return space
        table = _checked(captions, "embed.weight", (None, None))
        n_words, d = table.shape
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (3 * n, d), "weight_hh": (3 * n, n)}
        shapes |= {"bias_ih": (3 * n,), "bias_hh": (3 * n,)}
        gru = {
            f"recurrent.{k}_l0": _checked(captions, f"rnn.{k}_l0", shape)
            for k, shape in shapes.items()
        }
        if sum(k.startswith("rnn.") for k in captions) != 4:
            raise ValueError("its GRU has not one layer in one direction")
    numbers = list(vocabulary.values())
    good = all(isinstance(i, int | np.integer) and 0 <= i < n_words for i in numbers)
    if not good or len(set(numbers)) < len(numbers) or not set(_VSEPP_MARKS) <= set(vocabulary):
        raise ValueError(
            f"vocabulary is not that of {os.fspath(path)}: words need numbers of their own from 0 "
            f"to {n_words - 1}, and {', '.join(_VSEPP_MARKS)} must be among them. Pass the "
            "word2idx of the vocabulary that the checkpoint was trained with."
        )
    # Our numbers are the end first, then the unknown, then words, of which the start is one.
    start, end, unknown = _VSEPP_MARKS
    words = [start, *(word for word in vocabulary if word not in {*_VSEPP_MARKS, "<pad>"})]
    order = [int(vocabulary[word]) for word in (end, unknown, *words)]
    space["text_weights"] = {"words.weight": table[order], **gru}
    space["vocabulary"] = {word: i for i, word in enumerate(words, FIRST_WORD)}
    space["prefix"] = [start]
    return space


def _checked(arrays: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return an array as float32; None in the shape is any length but zero."""
    value = arrays.get(name)
    if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta:
        # A view can claim to be far larger than what is stored; it must not be copied out.
        stored = value.numel() * value.element_size() <= value.untyped_storage().nbytes()
        real = stored and value.is_floating_point()
        value = value.to(torch.float32).numpy(force=True) if real else None
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise ValueError(f"the array {name!r} is missing, or not of real numbers")
    if value.ndim != len(shape) or any(
        n != (wanted or max(n, 1)) for n, wanted in zip(value.shape, shape, strict=True)
    ):
        expected = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name!r} has shape {value.shape}, not ({expected})")
    with np.errstate(all="ignore"):
        value = np.ascontiguousarray(value, dtype=np.float32)
    if not np.isfinite(value).all():
        raise ValueError(f"{name!r} has values that are not finite")
    return value


# Codes of a pickled dictionary of words: what only builds it, strings, numbers, names.
_STRUCTURE = frozenset("](})ltdaesuR\x85\x86\x94\x80\x95pqr")
_STRINGS, _NUMBERS, _NAMES = frozenset("SUTVX\x8c"), frozenset("ILJKM"), frozenset("ci\x93")
_OPCODES = {op.code: op for op in pickletools.opcodes}


def _read_words(data: bytes) -> dict[str, int]:
    """Return the words of a dictionary that Python 2 pickled, and their numbers."""
    # A pickle is a program, and this one is never run: words and numbers are picked out as they
    # follow each other, and the only name allowed in it is that of `OrderedDict`.
    if len(data) > _LARGEST_DICTIONARY:
        raise ValueError(f"it is larger than {_LARGEST_DICTIONARY} bytes")
    literals = _literals(data)
    words, numbers = literals[::2], literals[1::2]
    if {*map(type, words)} - {str} or {*map(type, numbers)} - {int} or len(literals) % 2:
        raise ValueError("it holds other things than words, each with its id")
    distinct = len(set(words)) == len(words) and len(set(numbers)) == len(numbers)
    if not distinct or min(numbers, default=2) < FIRST_WORD:
        raise ValueError("words and ids must be distinct, and ids count from 2")
    return dict(zip(words, numbers, strict=True))


def _literals(data: bytes) -> list[Any]:
    """Return the strings and integers of a pickle, in their order."""
    literals: list[Any] = []
    stream = io.BytesIO(data)
    while (code := stream.read(1).decode("latin-1")) in _OPCODES:
        op = _OPCODES[code]
        if code == "S":  # whose reader knows ASCII only
            raw = pickletools.read_stringnl(stream, decode=False)
            value: Any = codecs.escape_decode(raw)[0].decode("latin-1")
        else:
            value = op.arg.reader(stream) if op.arg else None
        if code == ".":
            return literals
        if code in _NAMES:
            if code == "\x93":  # the name is on the stack
                value = f"{literals.pop(-2)} {literals.pop()}"
            if value != "collections OrderedDict":
                raise ValueError(f"it asks for {value.replace(' ', '.')[:99]}")
        elif code in _STRINGS:
            literals.append(_decoded(value) if code in "SUT" else value)
        elif code in _NUMBERS:
            literals.append(value)
        elif code not in _STRUCTURE:
            raise ValueError(f"it asks for {op.name}")
    raise ValueError("it is damaged or cut short")


def _decoded(text: str) -> str:
    # Strings of Python 2 are bytes of no stated encoding, which pickletools reads as Latin-1.
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text
