"""Features in a .npy file, which gets its name when it is whole."""

import io
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.features._write_journal import (
    Chunk,
    OtherFeaturesError,
    add_line,
    chunks_of,
    flush,
    flush_folder,
    hash_of,
    no_room,
    read_lines,
    refuse_other,
    sealed,
    unsealed,
    unsealed_header,
)


class NpyStore:
    """A ``.npy`` file that is written chunk by chunk.

    Rows go to ``NAME.npy.unfinished``, which becomes ``NAME.npy`` in the end. Beside it
    lies ``NAME.npy.journal``: a line of JSON that says what the features are, then one
    for each chunk that is on disk, and one that the file is finished.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_features: int | None = None
        self.is_finished = False
        self._unfinished = path.with_name(f"{path.name}.unfinished")
        self._journal = path.with_name(f"{path.name}.journal")
        self._file: Any = None

    def load(self, wanted: dict[str, Any]) -> bool:
        """Find what an earlier call left.

        Parameters
        ----------
        wanted : dict
            What the features are.

        Returns
        -------
        bool
            Whether there is something to go on with.

        Raises
        ------
        OtherFeaturesError
            If the path holds other features, or nobody knows which.
        """
        lines = read_lines(self._journal)
        header = unsealed_header(lines[0]) if lines else None
        if header is None:
            if os.path.lexists(self.path):
                raise OtherFeaturesError(
                    f"{str(self.path)!r} exists, and nothing beside it says what it holds. Give "
                    "another path, or overwrite=True to replace it."
                )
            if lines:
                warnings.warn(
                    f"{str(self._journal)!r} is damaged; all rows are computed again.",
                    UserWarning,
                    stacklevel=4,
                )
            return False
        refuse_other(self.path, header["features"], wanted)
        self._set(wanted, header["n_features"])
        self._chunks = chunks_of(lines, self._key)
        if os.path.lexists(self.path):
            self.is_finished = True
            self._file = self.path.open("rb", buffering=0)
            state = self._state(self.path)
            self._trusted = any(unsealed(line, self._key) == state for line in lines)
            if not self._trusted and (
                self._file.read(len(self._header)) != self._header
                or state["finished"][0] != self._place(self._shape[0])
            ):
                raise self._changed()
        else:
            self._open()
        return True

    def create(self, wanted: dict[str, Any], n_features: int) -> None:
        """Begin anew."""
        self._set(wanted, n_features)
        self._chunks = {}
        self._unfinished.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)
        self._open()
        add_line(self._journal, sealed({"features": wanted, "n_features": n_features}))
        flush_folder(self.path.parent)

    def chunks(self, start: int) -> list[Chunk]:
        """Return what is kept of the chunk that begins with a row."""
        return self._chunks.get(start, [])

    def holds(self, chunk: Chunk) -> bool:
        """Tell whether a chunk's rows are on disk as they were written.

        Raises
        ------
        OtherFeaturesError
            If they are not, though the file was finished.
        """
        if self.is_finished and self._trusted:
            return True
        stop = min(chunk.start + self._chunk_rows, self._shape[0])
        self._file.seek(self._place(chunk.start))
        rows = np.fromfile(self._file, self._dtype, (stop - chunk.start) * self._shape[1])
        is_sound = hash_of(rows.data) == chunk.content
        if self.is_finished and not is_sound:
            raise self._changed()
        return is_sound

    def put(self, chunk: Chunk, values: np.ndarray) -> None:
        """Write a chunk's rows; it is on disk when this returns."""
        self._file.seek(self._place(chunk.start))
        rest = values.data.cast("B")
        while rest:
            rest = rest[self._file.write(rest) :]
        flush(self._file)
        add_line(self._journal, sealed(chunk._asdict(), self._key))

    def finish(self) -> bool:
        """Give the file its name."""
        if not self.is_finished:
            self._file.close()
            add_line(self._journal, sealed(self._state(self._unfinished), self._key))
            os.replace(self._unfinished, self.path)
            flush_folder(self.path.parent)
        elif not self._trusted:  # copied, but every row was just compared
            add_line(self._journal, sealed(self._state(self.path), self._key))
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Remove the file and what is beside it."""
        self.close()
        self.is_finished = False
        for path in (self.path, self._unfinished, self._journal):
            path.unlink(missing_ok=True)

    def _set(self, wanted: dict[str, Any], n_features: int) -> None:
        self.n_features = n_features
        self._shape = wanted["n_rows"], n_features
        self._chunk_rows = wanted["chunk_rows"]
        self._dtype = np.dtype(wanted["dtype"]).newbyteorder("<")
        header = {"features": wanted, "n_features": n_features}
        self._key = sealed(header)["check"]
        written = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            written, {"descr": self._dtype.str, "fortran_order": False, "shape": self._shape}
        )
        self._header = written.getvalue()

    def _open(self) -> None:
        """Open the unfinished file, with room for what is missing and a sound header."""
        there = self._unfinished.stat().st_size if self._unfinished.exists() else 0
        missing = self._place(self._shape[0]) - there
        free = shutil.disk_usage(self.path.parent).free
        if missing > free:
            raise no_room(self.path, missing, free)
        self._file = self._unfinished.open("r+b" if there else "w+b", buffering=0)
        self._file.write(self._header)
        # What is longer can't be of this call's making.
        self._file.truncate(min(max(there, len(self._header)), self._place(self._shape[0])))
        flush(self._file)

    def _changed(self) -> OtherFeaturesError:
        return OtherFeaturesError(
            f"{str(self.path)!r} was changed after it was written. Give another path, or "
            "overwrite=True to write it anew."
        )

    def _place(self, row: int) -> int:
        return len(self._header) + row * self._shape[1] * self._dtype.itemsize

    def _state(self, path: Path) -> dict[str, Any]:
        status = path.stat()
        return {"finished": [status.st_size, status.st_mtime_ns]}
