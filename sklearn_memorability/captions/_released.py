"""Reading released weights of joint image-caption embeddings.

The files are from elsewhere and nothing in them is run. One that is not what was released
is a ValueError, one that can't be opened an OSError.
"""

import argparse
import codecs
import os
import pickletools
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

_Path = str | os.PathLike[str]

_LARGEST_DICTIONARY = 64_000_000  # bytes; far more than the words of any captions take
_TOKEN = re.compile(
    rb"(?P<structure>[\](){}ltdaesuR\x85\x86\x94]+|\x80.|\x95.{8}|q.|r.{4}|p\d+\n)"
    rb"|(?P<name>[ci][^\n]*\n[^\n]*\n|\x93)"
    rb"|(?P<digits>[IL]-?\d{1,10}L?\n)|(?P<number>J.{4}|K.|M.{2})"
    rb"|(?P<quoted>S(['\"])(?:[^\n\\]|\\(?:x[0-9a-f]{2}|[nrt\\'\"])){0,999}\6\n)|(?P<unicode>V[^\n]*\n)"
    rb"|(?P<sized>[U\x8c].|[TX].{4})|(?P<stop>\.)",
    re.DOTALL,
)
_MARKS = ("<start>", "<end>", "<unk>")


@dataclass
class ReleasedEmbedding:
    """The weights of a joint embedding of images and captions.

    Attributes
    ----------
    image_weight : ndarray of shape (n_features, n_components), float32
        An image's features ``x`` are embedded as ``x @ image_weight + image_bias``.
    image_bias : ndarray of shape (n_components,), float32
    vocabulary : dict of str to int, or None
        From a word to its row of ``"words.weight"``, without the marks below. None, as
        ``text_state`` is, if the words are not known: then images alone can be embedded.
    text_state : dict of str to torch.Tensor, or None
        ``"words.weight"`` of shape (n_words, n_dimensions), and the parameters of a
        ``torch.nn.GRU`` of one layer behind ``"recurrent."``. The caption is its last state.
    start : int or None
        The id in front of a caption's words; None if there is none.
    end : int
        The id behind them.
    unknown : int
        The id of words that the vocabulary lacks.
    """

    image_weight: np.ndarray
    image_bias: np.ndarray
    vocabulary: dict[str, int] | None = None
    text_state: dict[str, torch.Tensor] | None = None
    start: int | None = None
    end: int = 0
    unknown: int = 1


def read_kiros(path: _Path) -> ReleasedEmbedding:
    """Read a model of Kiros, Salakhutdinov and Zemel (2014): ``X.npz``.

    Parameters
    ----------
    path : str or path-like
        The ``.npz``. Its words are read from ``X.npz.dictionary.pkl`` beside it; without
        that file there is the image side alone. ``X.npz.pkl`` is not needed.

    Returns
    -------
    ReleasedEmbedding
        Images are scaled to unit length before and after, captions after.
    """
    dictionary = f"{os.fspath(path)}.dictionary.pkl"
    with_text = os.path.exists(dictionary)
    names = ["ff_image_W", "ff_image_b"]
    if with_text:
        names += ["Wemb"] + [f"encoder_{name}" for name in ("W", "b", "U", "Wx", "Ux", "bx")]
    found: dict[str, Any] = {}
    name = "the archive"
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers by Python 2
        try:
            with np.load(file, allow_pickle=False) as archive:
                for name in names:
                    found[name] = archive[name]
        except Exception as error:  # zipfile, zlib, tokenize and NumPy have each their own
            raise _not_released(path, f"{name} can't be read: {error!r}") from error
    weight = _checked(path, found, "ff_image_W", (None, None))
    n = weight.shape[1]
    bias = _checked(path, found, "ff_image_b", (n,))
    if not with_text:
        return ReleasedEmbedding(weight, bias)
    words = _checked(path, found, "Wemb", (None, None))
    n_words, d = words.shape
    W, U = (_checked(path, found, f"encoder_{k}", (m, 2 * n)) for k, m in [("W", d), ("U", n)])
    Wx, Ux = (_checked(path, found, f"encoder_{k}x", (m, n)) for k, m in [("W", d), ("U", n)])
    b, bx = (_checked(path, found, f"encoder_{k}", (m,)) for k, m in [("b", 2 * n), ("bx", n)])
    # The gates are in torch's order, reset before update, and the new state is mixed as in
    # torch; there is one bias where torch has two.
    arrays = {
        "words.weight": words,
        "recurrent.weight_ih_l0": np.vstack([W.T, Wx.T]),
        "recurrent.weight_hh_l0": np.vstack([U.T, Ux.T]),
        "recurrent.bias_ih_l0": np.hstack([b, bx]),
        "recurrent.bias_hh_l0": np.zeros(3 * n, dtype=np.float32),
    }
    # The network may have been trained on the frequent words alone.
    known = {word: i for word, i in _read_words(dictionary).items() if i < n_words}
    return ReleasedEmbedding(weight, bias, known, _tensors(arrays))


def read_vsepp(path: _Path, vocabulary: Mapping[str, int] | None = None) -> ReleasedEmbedding:
    """Read a checkpoint of VSE++ (Faghri et al., 2018), or only its layer of images.

    Parameters
    ----------
    path : str or path-like
        What ``torch.save`` has written: a checkpoint, or ``{"fc.weight": ..., "fc.bias": ...}``.
    vocabulary : mapping of str to int, optional
        The ``word2idx`` of its vocabulary, with ``"<start>"``, ``"<end>"`` and ``"<unk>"``.
        The released file of it holds a class of that project, so it is not read here;
        without it there is the image side alone.

    Returns
    -------
    ReleasedEmbedding
    """
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of storages as old versions of torch wrote them
        try:
            # The options in a checkpoint are a Namespace, which is as plain as a dict.
            with torch.serialization.safe_globals([argparse.Namespace]):
                content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch has no error of its own for this
            raise _not_released(path, f"torch can't read it: {error}") from error
    model = content.get("model") if isinstance(content, dict) else None
    states = model if isinstance(model, list | tuple) and len(model) == 2 else (content, {})
    if not all(isinstance(state, dict) for state in states):
        raise _not_released(path, "there is no 'model' with the weights of images and of captions")
    images, captions = (
        {k.removeprefix("module."): v for k, v in state.items() if isinstance(k, str)}
        for state in states
    )
    weight = np.ascontiguousarray(_checked(path, images, "fc.weight", (None, None)).T)
    n = weight.shape[1]
    bias = _checked(path, images, "fc.bias", (n,))
    if vocabulary is None:
        return ReleasedEmbedding(weight, bias)
    arrays = {"words.weight": _checked(path, captions, "embed.weight", (None, None))}
    n_words, d = arrays["words.weight"].shape
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (3 * n, d), "weight_hh": (3 * n, n)}
    for k, shape in (shapes | {"bias_ih": (3 * n,), "bias_hh": (3 * n,)}).items():
        arrays[f"recurrent.{k}_l0"] = _checked(path, captions, f"rnn.{k}_l0", shape)
    if sum(k.startswith("rnn.") for k in captions) != 4:
        raise _not_released(path, "its GRU has not one layer in one direction")
    ids = list(vocabulary.values())
    good = all(isinstance(i, int | np.integer) and 0 <= i < n_words for i in ids)
    if not good or len(set(ids)) < len(ids) or not set(_MARKS) <= set(vocabulary):
        raise ValueError(
            f"vocabulary is not that of {os.fspath(path)}: words need ids of their own from 0 to "
            f"{n_words - 1}, and {', '.join(_MARKS)} must be among them. Pass the word2idx of the "
            "vocabulary that the checkpoint was trained with."
        )
    start, end, unknown = (int(vocabulary[mark]) for mark in _MARKS)
    known = {k: int(i) for k, i in vocabulary.items() if k not in (*_MARKS, "<pad>")}
    return ReleasedEmbedding(weight, bias, known, _tensors(arrays), start, end, unknown)


def _not_released(path: _Path, what: str) -> ValueError:
    return ValueError(
        f"{os.fspath(path)} does not hold released weights: {what}. Fetch the file again, and "
        "check that it is of the model that this function reads."
    )


def _checked(
    path: _Path, found: Mapping[str, Any], name: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Return an array as float32; None in the shape is any length but zero."""
    value = found.get(name)
    if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta:
        # A view can claim to be far larger than what is stored; it must not be copied out.
        stored = value.numel() * value.element_size() <= value.untyped_storage().nbytes()
        real = stored and value.is_floating_point()
        value = value.to(torch.float32).numpy(force=True) if real else None
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise _not_released(path, f"the array {name!r} is missing, or not of real numbers")
    if value.ndim != len(shape) or any(
        n != (wanted or max(n, 1)) for n, wanted in zip(value.shape, shape, strict=True)
    ):
        expected = str(shape).replace("None", "any")
        raise _not_released(path, f"{name!r} has shape {value.shape}, not {expected}")
    with np.errstate(all="ignore"):
        value = np.ascontiguousarray(value, dtype=np.float32)
    if not np.isfinite(value).all():
        raise _not_released(path, f"{name!r} has values that are not finite")
    return value


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}


def _read_words(path: str) -> dict[str, int]:
    """Return the words of a dictionary that Python 2 has pickled, and their ids.

    A pickle is a program, and this one is never run: its words and numbers are picked out
    as they follow each other, and the one name in it may be that of ``OrderedDict``.
    """
    with open(path, "rb") as file:
        data = file.read(_LARGEST_DICTIONARY + 1)
    try:
        if len(data) > _LARGEST_DICTIONARY:
            raise ValueError(f"it is larger than {_LARGEST_DICTIONARY} bytes")
        found = _literals(data)
        words, ids = found[::2], found[1::2]
        if {*map(type, words)} - {str} or {*map(type, ids)} - {int} or len(found) % 2:
            raise ValueError("it holds other things than words, each with its id")
        if len(set(words)) < len(words) or len(set(ids)) < len(ids) or min(ids, default=2) < 2:
            raise ValueError("words and ids must be distinct, and ids count from 2")
    except (LookupError, ValueError) as error:
        raise _not_released(path, f"it is not a dictionary of words ({error})") from error
    return dict(zip(words, ids, strict=True))


def _literals(data: bytes) -> list[Any]:
    found: list[Any] = []
    at = 0
    while token := _TOKEN.match(data, at):
        at = token.end()
        kind, raw = token.lastgroup, token[0]
        if kind == "stop":
            return found
        if kind == "name":
            name = raw[1:].decode().split() if raw != b"\x93" else [found.pop(-2), found.pop()]
            if name != ["collections", "OrderedDict"]:
                raise ValueError(f"it asks for {'.'.join(map(str, name))[:99]}")
        elif kind == "digits":
            found.append(int(raw[1:].rstrip(b"L\n")))
        elif kind == "number":
            found.append(int.from_bytes(raw[1:], "little", signed=raw[:1] == b"J"))
        elif kind == "unicode":
            found.append(raw[1:-1].decode("raw-unicode-escape"))
        elif kind == "quoted":
            found.append(_decoded(codecs.escape_decode(raw[2:-2])[0]))
        elif kind == "sized":
            length = int.from_bytes(raw[1:], "little")
            if at + length > len(data):
                raise ValueError("it is cut short")
            found.append(_decoded(data[at : at + length]))
            at += length
    wanted = [
        op.name for op in pickletools.opcodes if op.code == data[at : at + 1].decode("latin-1")
    ]
    raise ValueError(f"it asks for {wanted[0]}" if wanted else "it is damaged or cut short")


def _decoded(text: bytes) -> str:
    # Strings of Python 2 are bytes of no stated encoding.
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
