"""Damage done to a valid file: to its bytes, or to its parts."""

import json
import random
import warnings
from collections.abc import Callable

from fuzzing import formats
from fuzzing.flat import damaged_json, damaged_lines, flat
from fuzzing.formats import Damage

LARGEST = 1 << 20  # bytes of a case


def damaged(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Return a file with one or several damages, some of them well made.

    Parameters
    ----------
    data : bytes
        The file.
    chance : random.Random
        Decides on them.
    others : list of bytes
        Files of which parts may be put in.

    Returns
    -------
    bytes
    """
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        inside = next((change for is_kind, change in _KINDS if is_kind(data)), None)
        if inside is not None and chance.random() < 0.75:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    data = inside(data, chance, lambda part: damaged(part, chance, []))
            except Exception:  # damaged earlier, so that its parts are not to be had
                data = flat(data, chance, others)
        else:
            data = flat(data, chance, others)
    return data[:LARGEST]


def _json(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    return json.dumps(damaged_json(json.loads(data), chance)).encode()


def _lines(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    return damaged_lines(data, chance)


def _is_json(data: bytes) -> bool:
    return data[:1] in (b"{", b"[")


def _is_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and len(data) > 16 and data[4:8] == bytes(4)


def _is_text(data: bytes) -> bool:
    return len(data) > 0 and data.count(b"\0") < 3 and data[:1].isalnum() and b"\n" in data[:400]


_KINDS: list[tuple[Callable[[bytes], bool], Callable[[bytes, random.Random, Damage], bytes]]] = [
    (lambda data: data.startswith(b"PK\3\4"), formats.damaged_zip),
    (lambda data: data.startswith(b"\x1f\x8b"), formats.damaged_gzip),
    (lambda data: data.startswith(b"\x93NUMPY\1"), formats.damaged_npy),
    (lambda data: data.startswith(b"SQLite format 3\0"), formats.damaged_sqlite),
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), formats.damaged_png),
    (lambda data: data.startswith(b"MATLAB 5.0"), formats.damaged_matlab),
    (lambda data: data[257:262] == b"ustar", formats.damaged_tar),
    (_is_safetensors, formats.damaged_safetensors),
    (_is_json, _json),
    (_is_text, _lines),
]
