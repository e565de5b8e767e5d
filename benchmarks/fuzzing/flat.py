"""Damage to bytes, texts and values of JSON, whatever file they are of."""

import json
import random
import re
import struct
from typing import Any

# What readers trip over, in any file.
TOKENS = [
    b"\0", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x7f\xff\xff\xff", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b"\t", b",", b";", b'"', b"'", b"../outside.txt",
    b"/etc/passwd", b"..\\", b"nan", b"inf", b"-inf", b"1e999", b"-0.0", b"1_000", b"0x10",
    "\u0663".encode(), b"=1+1", b"\xe2\x80\xa8", b"\x85", b"{}", b"[]", b"null",
    b"cos\nsystem\n(S'touch ran'\ntR.", b"c__builtin__\neval\n(S'1'\ntR.", b"PK\3\4", b"PK\5\6",
    b"XFD1048576", b"1048576", b"\x93NUMPY", b"[" * 3000, b"A" * 5000,
]  # fmt: skip
NUMBERS = [0, 1, -1, 127, 128, 255, 256, 32767, 65535, 1 << 24, 2**31 - 1, 2**31, 2**32 - 1]
TEXTS = [
    "", " ", ".", "..", "../outside.txt", "/etc/passwd", "C:\\x", "a/../../b", "\0", "a\0b",
    "\ud800", "\udcff", "\u2028", "\ufeff", "\u202e", "e\u0301" * 50, "\U0001f600",
    "<script>alert(1)</script>", '" onerror="alert(1)', "</title><img src=x>", "--><!--", "]]>",
    "&amp;", "{{x}}", "%s%n", "=1+1", "@SUM(1)", "+1", "-1", "\t=1", "\r=1", "x" * 300, "y" * 5000,
    "é" * 200, "nan", "1e999", "NaN", "0", "-0", "1" * 400, "9" * 5000, "0x1F", "1_0",
    "builtins.eval", "os.system", "sentence:x",
]  # fmt: skip
_VALUES = [
    None, True, False, [], {}, [[]], {"": {}}, [None], 0.5, 1e308, float("nan"), float("inf"),
    -0.0, 2**63, 2**64, -(2**63), 10**30, *NUMBERS,
]  # fmt: skip


def flat(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Return bytes with one damage anywhere, whatever they mean."""
    at = _place(data, chance)
    end = min(len(data), at + chance.choice((1, 2, 4, 8, 64, 1024)))
    kind = chance.randrange(10)
    if kind == 0 and data:
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        return bytes(changed)
    if kind == 1:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + chance.choice(TOKENS) + data[at:]
    if kind == 3:
        token = chance.choice(TOKENS)
        return data[:at] + token + data[at + len(token) :]
    if kind == 4:
        return data[:at] + data[end:]
    if kind == 5:
        return data[:at]
    if kind == 6:
        return data[:at] + data[at:end] * chance.choice((2, 3, 100)) + data[end:]
    if kind == 7 and others:
        other = chance.choice(others)
        start = _place(other, chance)
        return data[:at] + other[start : start + chance.choice((8, 64, 4096))] + data[end:]
    if kind == 8:
        form = chance.choice(("<H", ">H", "<I", ">I", "<Q", ">Q", "B"))
        size = struct.calcsize(form)
        number = (chance.choice(NUMBERS) + chance.choice((0, 0, 1, -1))) % (1 << (8 * size))
        return data[:at] + struct.pack(form, number) + data[at + size :]
    start = _place(data, chance)
    return data[:at] + data[start : start + end - at] + data[end:]


def damaged_json(value: Any, chance: random.Random) -> Any:
    """Return a value with one node changed, removed, doubled or nested."""
    places: list[tuple[Any, Any]] = []
    left = [value]
    while left:
        node = left.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, item in list(items):
            places.append((node, key))
            if isinstance(item, dict | list):
                left.append(item)
    if not places or chance.random() < 0.02:
        return _any_value(chance)
    node, key = chance.choice(places)
    kind = chance.randrange(7)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[chance.choice([chance.choice(TEXTS), *map(str, node)])] = node[key]
    elif kind == 1:
        node.insert(chance.randrange(len(node) + 1), node[key])
    elif kind == 2:
        for _ in range(chance.choice((1, 2, 50))):
            node[key] = {"a": node[key]} if chance.random() < 0.5 else [node[key]]
    elif kind == 3:
        other, place = chance.choice(places)
        node[key] = json.loads(json.dumps(other.get(place) if isinstance(other, dict) else None))
    elif kind == 4 and isinstance(node[key], int | float):
        number = node[key]
        node[key] = chance.choice((-number, number + 1, number * 2, number / 2, float(number)))
    elif kind == 5 and isinstance(node[key], str):
        text = node[key]
        at = chance.randrange(len(text) + 1)
        node[key] = text[:at] + chance.choice(TEXTS) + text[at + chance.choice((0, 1, 8)) :]
    else:
        node[key] = _any_value(chance)
    return value


def _any_value(chance: random.Random) -> Any:
    return chance.choice(TEXTS if chance.random() < 0.4 else _VALUES)


def damaged_lines(data: bytes, chance: random.Random) -> bytes:
    """Change a cell, a line or the lot of them in a table or another text."""
    text = data.decode("utf-8", "surrogateescape")
    parts = re.split(r"([,\n\t ;:\"]+)", text)
    at = chance.randrange(len(parts))
    kind = chance.randrange(4)
    if kind == 0:
        parts[at] = chance.choice(TEXTS)
    elif kind == 1:
        parts[at] = chance.choice(parts)
    elif kind == 2:
        parts[at:at] = [chance.choice(TEXTS), chance.choice((",", "\n", '"', "\r"))]
    else:
        lines = text.splitlines(keepends=True)
        line = lines.pop(chance.randrange(len(lines)))
        where = chance.randrange(len(lines) + 1)
        lines[where:where] = [line] * chance.choice((0, 1, 2, 200))
        parts = lines
    return "".join(parts).encode("utf-8", "surrogatepass")


def _place(data: bytes, chance: random.Random) -> int:
    # Half of the damage is done to the head, where sizes and tables are.
    far = chance.random() < 0.5
    return int(chance.random() * (len(data) if far else min(len(data), 512)))
