"""Whether the parts of a MATLAB file are as they say, before SciPy trusts them.

SciPy reads a damaged file's sizes, kinds and nesting as they are, in C, and can crash or
take all memory over them. The format: "MAT-File Format", MathWorks, level 5.
"""

import math
import struct
import zlib
from itertools import pairwise

# What is larger unpacked than this is no set: the largest, all of Isola's pictures, has 472 MB.
_LARGEST = 1 << 30
_MOST_ARRAYS = 10_000_000
_DEEPEST = 32

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE = range(1, 6)
_NUMERIC = range(6, 16)  # from double to uint64
_FUNCTION, _OPAQUE = 16, 17
_NESTED = {_CELL, _STRUCT, _OBJECT, _FUNCTION, _OPAQUE}
_INT32 = {5, 6}
_NAMES = {1, 16}
_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}
_TEXTS = {1, 2, 4, 16, 17, 18}
# What stands in an array before those that are nested in it.
_PARTS: dict[int, list[set[int]]] = {
    **{number: [_NUMBERS] for number in _NUMERIC},
    **{nested: [] for nested in _NESTED},
    _SPARSE: [_INT32, _INT32, _NUMBERS],
    _CHAR: [_TEXTS],
    _OBJECT: [_NAMES],
    _OPAQUE: [_NAMES] * 3,
}


def check_matlab(content: bytes) -> None:
    """Refuse a file whose parts are not as they say.

    Parameters
    ----------
    content : bytes
        The file. Those of versions 4 and 7.3, which are built otherwise, are let pass: SciPy
        reads the former in Python and the latter not at all.

    Raises
    ------
    ValueError
        If it is damaged, or larger or deeper than any set.
    """
    if 0 in content[:4]:  # version 4
        return
    if len(content) < 128:
        raise ValueError("it ends too early.")
    order = "<" if content[126:128] == b"IM" else ">"
    if content[125 if order == "<" else 124] != 1:
        return
    walk = _Walk(order)
    at, left = 128, _LARGEST
    while at < len(content):
        kind, start, stop = walk.full_tag(content, at, len(content))
        if kind == _COMPRESSED:
            unpacked = _unpacked(content[start:stop], left)
            left -= len(unpacked)
            walk.array(unpacked, 0, len(unpacked), 0)
        else:
            walk.array(content, at, stop, 0)
        at = stop


def _unpacked(content: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(content, most + 1)
    if len(unpacked) > most:
        raise ValueError(f"it has more than {_LARGEST:,} bytes when it is unpacked.")
    if not unpacker.eof:
        raise ValueError("a compressed part of it ends too early.")
    return unpacked


def _n_elements(sizes: tuple[int, ...], most: int | None) -> int:
    """Return how many elements an array has, of which each takes a byte at least."""
    size = math.prod(sizes)
    if not 2 <= len(sizes) <= 32 or min(sizes) < 0 or (most is not None and size > most):
        raise ValueError(f"an array of it should have the shape {sizes}.")
    return size


def _parts_of(what: int, is_complex: bool) -> list[set[int]]:
    """Return the kinds of those parts of an array; a complex one has a second of numbers."""
    if what not in _PARTS:
        raise ValueError(f"an array of it is of the unknown class {what}.")
    return _PARTS[what] + [_NUMBERS] * (is_complex and (what in _NUMERIC or what == _SPARSE))


class _Walk:
    """Goes from part to part."""

    def __init__(self, order: str) -> None:
        self._two = struct.Struct(f"{order}II")
        self._order = order
        self._n_arrays = 0

    def full_tag(self, data: bytes, at: int, end: int) -> tuple[int, int, int]:
        """Return the kind of a part, and where its content begins and ends."""
        if at + 8 > end:
            raise ValueError("it ends too early.")
        kind, size = self._two.unpack_from(data, at)
        if at + 8 + size > end:
            raise ValueError(f"a part of it should have {size:,} bytes, which are not there.")
        return kind, at + 8, at + 8 + size

    def array(self, data: bytes, at: int, end: int, depth: int) -> int:
        """Check an array with all that is in it, and return where it ends."""
        self._n_arrays += 1
        if self._n_arrays > _MOST_ARRAYS or depth > _DEEPEST:
            raise ValueError("it has more arrays, or deeper ones, than any set.")
        kind, at, end = self.full_tag(data, at, end)
        if kind != _MATRIX:
            raise ValueError(f"it has a part of kind {kind} where an array should be.")
        if at == end:
            return end
        flags, at = self._integers(data, at, end)
        if len(flags) != 2:
            raise ValueError("an array of it has no kind.")
        what, is_complex = flags[0] & 0xFF, bool(flags[0] & 0x800)
        size = 1
        if what != _OPAQUE:
            sizes, at = self._integers(data, at, end)
            size = _n_elements(sizes, None if what == _SPARSE else len(data))
            _, _, at = self._part(data, at, end, _NAMES)
        for kinds in _parts_of(what, is_complex):
            _, _, at = self._part(data, at, end, kinds)
        if what in (_STRUCT, _OBJECT):
            n_fields, at = self._n_fields(data, at, end)
            size *= n_fields
        if what in _NESTED:
            for _ in range(size):
                at = self.array(data, at, end, depth + 1)
        return end

    def _part(self, data: bytes, at: int, end: int, kinds: set[int]) -> tuple[int, int, int]:
        """Return where a part's content begins and ends, and where the next part begins."""
        if at + 8 > end:
            raise ValueError("it ends too early.")
        kind, size = self._two.unpack_from(data, at)
        if kind >> 16:  # four bytes or fewer stand in the tag itself
            kind, size = kind & 0xFFFF, kind >> 16
            start, following = at + 4, at + 8
            fits = size <= 4
        else:
            start = at + 8
            following = start + size + -size % 8
            fits = start + size <= end
        if not fits or kind not in kinds:
            raise ValueError(f"a part of it is of the kind {kind} and {size:,} bytes.")
        return start, start + size, min(following, end)

    def _integers(self, data: bytes, at: int, end: int) -> tuple[tuple[int, ...], int]:
        start, stop, at = self._part(data, at, end, _INT32)
        n = (stop - start) // 4
        return struct.unpack_from(f"{self._order}{n}i", data, start), at

    def _n_fields(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Return how many fields a structure has, once their names are checked."""
        lengths, at = self._integers(data, at, end)
        start, stop, at = self._part(data, at, end, _NAMES)
        length = lengths[0] if len(lengths) == 1 else 0
        if length < 1 or (stop - start) % length:
            raise ValueError("a structure of it has no names for its fields.")
        for begin, behind in pairwise(range(start, stop + 1, length)):
            if 0 not in data[begin:behind]:
                raise ValueError("the name of a field of it doesn't end.")
        return (stop - start) // length, at
