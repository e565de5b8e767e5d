"""What every place that rows come from has in common."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

Rows = range | np.ndarray


class Source(Protocol):
    """A table of numbers whose rows can be read.

    Attributes
    ----------
    name : str
        What it is called in messages.
    shape : tuple of two int
        Number of rows and of features.
    chunk_rows : int or None
        How many rows are stored together; None where each can be read alone.
    row_bytes : int
        Bytes of a row as it is stored.
    """

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def chunk_rows(self) -> int | None: ...

    @property
    def row_bytes(self) -> int: ...

    def read(self, rows: Rows, *, in_passing: bool = False) -> np.ndarray:
        """Return rows as they are stored; perhaps a view.

        In passing means in the order of all rows, so that none is soon wanted again.
        """
        ...

    def read_ahead(self, rows: Rows) -> None:
        """Have the system read rows, without waiting for them, where it can."""
        ...

    def identity(self) -> tuple[Any, ...]:
        """Return what tells its values from others: values, or files with size and time."""
        ...


def state_of(path: Path) -> tuple[int, int]:
    """Return what changes with a file's content."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def check_table(shape: tuple[int, ...], dtype: np.dtype, name: str) -> None:
    if len(shape) != 2:
        raise ValueError(
            f"{name} has {len(shape)} dimensions; features are a table of two, a row a picture."
        )
    if dtype.kind not in "biuf":
        raise ValueError(f"{name} holds values of type {dtype}; features are numbers.")
