"""The structure of a model: what skops writes of it, checked before anything is built."""

import io
import json
import math
import re
import zipfile
from typing import Any

import numpy as np

from sklearn_memorability.persistence._file import SCHEMA, pack
from sklearn_memorability.persistence._trusted import default_types, refusal

# The protocol of skops with which the first such file was written. Older ones are built by
# older code.
_OLDEST_PROTOCOL = 2
_KEYS = frozenset(
    {"__class__", "__module__", "__loader__", "__id__", "__reduce__"}
    | {"content", "file", "is_json", "key_types", "protocol", "shape", "type", "_skops_version"}
)
_MARKS = frozenset({"__class__", "__module__", "__loader__"})


def dump_structure(model: Any, trusted: frozenset[str]) -> dict[str, bytes]:
    """Return the members of the file that hold a model's structure.

    Parameters
    ----------
    model : estimator
        Without networks.
    trusted : frozenset of str
        The names of types that the user trusts.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    ValueError
        If it is made of types that would not be loaded again, or skops has no way to
        write it.
    """
    buffer = io.BytesIO()
    try:
        import_skops().dump(model, buffer)
    except Exception as error:
        # Foreign objects may raise anything when they are asked for their state.
        raise ValueError(f"The model can't be written ({type(error).__name__}): {error}") from error
    with zipfile.ZipFile(buffer) as archive:
        written = {name: archive.read(name) for name in archive.namelist()}
    names: dict[str, str] = {}
    schema = _renumbered(json.loads(written[SCHEMA]), names, {})
    members = {SCHEMA: json.dumps(schema, indent=1).encode()}
    members |= {new: written[old] for old, new in names.items()}
    try:
        check_structure(members, trusted)
    except ValueError as error:
        raise ValueError(f"The model can't be saved: {error}") from error
    return members


def load_structure(members: dict[str, bytes], trusted: frozenset[str]) -> Any:
    """Build what :func:`dump_structure` wrote.

    Parameters
    ----------
    members : dict of str to bytes
        The members of the file that hold it.
    trusted : frozenset of str
        The names of types that the user trusts.

    Returns
    -------
    estimator
        Without networks.

    Raises
    ------
    ValueError
        If it is damaged, or made of types that are not trusted.
    """
    check_structure(members, trusted)
    return import_skops().loads(pack(members), trusted=sorted(default_types() | trusted))


def check_structure(members: dict[str, bytes], trusted: frozenset[str]) -> None:
    """Check a structure before anything of it is built.

    Raises
    ------
    ValueError
        If it is damaged, or holds what no model needs or what is not trusted.
    """
    if SCHEMA not in members:
        raise ValueError(f"it has no {SCHEMA}.")
    schema = json.loads(members[SCHEMA])
    if not isinstance(schema, dict):
        raise ValueError(f"its {SCHEMA} is no structure.")
    protocol = schema.get("protocol")
    if not isinstance(protocol, int) or protocol < _OLDEST_PROTOCOL:
        raise ValueError(f"its skops protocol is {protocol!r:.20}.")
    arrays = _check_nodes(schema, trusted)
    if arrays != members.keys() - {SCHEMA}:
        raise ValueError(f"arrays are missing or spare: {sorted(arrays ^ members.keys())[:3]}.")
    for name in arrays:
        _check_array(name, members[name])
    found = import_skops().get_untrusted_types(data=pack(members))
    unknown = sorted(set(found) - default_types() - trusted)
    if unknown:
        raise ValueError(
            f"types that are not trusted are in it: {', '.join(unknown[:10])}. If they are your "
            f"own, or you know what they do, pass trusted={unknown[:10]!r}."
        )


def import_skops() -> Any:
    """Import skops.

    Raises
    ------
    ImportError
        If it is not installed; names the extra.
    """
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            "Files of models come with the extra 'share': pip install 'sklearn-memorability[share]'"
        ) from error
    return skops.io


def _check_nodes(schema: dict[str, Any], trusted: frozenset[str]) -> set[str]:
    """Check every node, wherever it stands; return the files that they name."""
    files: set[str] = set()
    seen: dict[Any, tuple[str, ...]] = {}
    left: list[Any] = [schema]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if _MARKS & part.keys() or part is schema:
                reason = refusal(part, trusted)
                if reason is None and not part.keys() <= _KEYS:
                    reason = f"{sorted(part.keys() - _KEYS)[0]!r:.80} is no part of a node."
                if reason is None and "__id__" in part:
                    # skops takes the first of those that share an id, and never looks at
                    # the others.
                    kind = part["__loader__"], part["__module__"], part["__class__"]
                    if seen.setdefault(part["__id__"], kind) != kind:
                        reason = f"two of its nodes have the same id {part['__id__']!r:.20}."
                if reason is not None:
                    raise ValueError(reason)
                if "file" in part:
                    if part["__loader__"] != "NdArrayNode" or not isinstance(part["file"], str):
                        raise ValueError(f"{part['__loader__']} has no file of its own.")
                    files.add(part["file"])
            left += part.values()
        elif isinstance(part, list):
            left += part
    return files


def _check_array(name: str, content: bytes) -> None:
    """Check an array's header, which could ask for more memory than the file has."""
    stream = io.BytesIO(content)
    one, two = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    try:
        version = np.lib.format.read_magic(stream)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError(f"its version {version} is unknown")
        shape, _, dtype = (one if version == (1, 0) else two)(stream)
    except Exception as error:  # a header is Python's text, whose parser has errors of its own
        raise ValueError(f"{name} is not an array: {error}.") from error
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects.")
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"{name} is not as large as its header says.")


def _renumbered(part: Any, names: dict[str, str], ids: dict[int, int]) -> Any:
    """Return a structure with numbers in place of addresses in memory."""
    if isinstance(part, list):
        return [_renumbered(item, names, ids) for item in part]
    if not isinstance(part, dict):
        return part
    found: dict[str, Any] = {}
    for key, value in part.items():
        if key == "__id__" and isinstance(value, int):
            found[key] = ids.setdefault(value, len(ids) + 1)
        elif key == "file" and isinstance(value, str) and "__loader__" in part:
            suffix = re.sub(r".*\.", "", value)
            found[key] = names.setdefault(value, f"array-{len(names)}.{suffix}")
        else:
            found[key] = _renumbered(value, names, ids)
    return found
