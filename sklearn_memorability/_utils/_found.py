"""Telling of what was found: its first few, and how many more."""

from collections.abc import Iterable, Sequence

_SHOWN = 5


def first_few(found: Sequence[str]) -> str:
    """Join the first few of them, and say how many there are beyond."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{', '.join(found[:_SHOWN])}{more}"


def refuse(
    found: Iterable[str], what: str, error: type[Exception] = ValueError, way_out: str = ""
) -> None:
    """Raise an error that names the first few of what is wrong, if anything is."""
    found = list(found)
    if found:
        raise error(f"{what}: {first_few(found)}. {way_out}".strip())
