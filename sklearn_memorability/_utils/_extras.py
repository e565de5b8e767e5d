"""Packages that come with an extra."""

from importlib import import_module
from typing import Any


def import_extra(module: str, what: str, extra: str) -> Any:
    """Import a module; where it is missing, the error tells what needs it, and the extra."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} needs the extra {extra!r}: pip install 'sklearn-memorability[{extra}]'"
        ) from error
