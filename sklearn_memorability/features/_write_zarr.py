"""Features in a Zarr array, which may be written in parts by several machines."""

import json
import os
import shutil
import uuid
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
    read_lines,
    refuse_other,
    sealed,
    unsealed_header,
)

# Readers refuse an array that has it.
UNFINISHED = "memorability_unfinished"
_HEADER = "memorability_features"
_METADATA, _JOURNALS = "zarr.json", "journal"

# Rows are decoded so many at a time: few enough that single ones can be read, enough
# that all of them are read fast.
_DECODED = range(128, 31, -1)


class ZarrStore:
    """A Zarr array (version 3) that is written chunk by chunk, in place.

    Each chunk of rows is one file, ``c/I/0``, in Zarr's words a shard. Inside it, rows
    are compressed some 128 at a time, each time with a checksum that readers compare. As
    long as rows are missing, the array's attribute ``memorability_unfinished`` is true.
    The folder ``journal`` has a file for each part, with a line of JSON for each chunk
    that is on disk.

    Parameters
    ----------
    path : pathlib.Path
        The folder.
    part : tuple of int
        Which part is written, and of how many.

    Raises
    ------
    ImportError
        If zarr is not installed.
    """

    def __init__(self, path: Path, part: tuple[int, int]) -> None:
        _zarr()
        self.path = path
        self.n_features: int | None = None
        self._part = "{}-of-{}".format(*part)
        self._array: Any = None
        self._metadata: dict[str, Any] = {}

    @property
    def is_finished(self) -> bool:
        """Whether all rows are there."""
        return UNFINISHED not in self._metadata["attributes"]

    def load(self, wanted: dict[str, Any]) -> bool:
        """Find what earlier calls, or other parts, left.

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
        if not os.path.lexists(self.path) or (self.path.is_dir() and not any(self.path.iterdir())):
            return False
        header = self._read_header()
        if header is None:
            raise OtherFeaturesError(
                f"{str(self.path)!r} exists, and nothing readable in it says what it holds. Give "
                "another path, or overwrite=True to replace it."
            )
        refuse_other(self.path, header["features"], wanted)
        self.n_features = header["n_features"]
        self._shape = wanted["n_rows"], header["n_features"]
        self._chunk_rows = wanted["chunk_rows"]
        self._key = sealed(header)["check"]
        self._array = self._opened(wanted["dtype"])
        self._read_chunks()
        return True

    def create(self, wanted: dict[str, Any], n_features: int) -> None:
        """Make the array, unless another part has made it."""
        # Under another name first, so that of several parts one makes it, as a whole.
        made = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}")
        try:
            self._make(made, wanted, n_features)
            try:
                os.rename(made, self.path)
            except OSError:
                if not self.path.is_dir():
                    raise
            flush_folder(self.path.parent)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        if not self.load(wanted):
            raise OtherFeaturesError(f"{str(self.path)!r} was removed while it was made.")

    def chunks(self, start: int) -> list[Chunk]:
        """Return what is kept of the chunk that begins with a row."""
        return self._chunks.get(start, [])

    def holds(self, chunk: Chunk) -> bool:
        """Tell whether a chunk's rows are on disk as they were written."""
        if not self._file(chunk.start).is_file():
            return False
        if self.is_finished:
            return True
        try:
            rows = self._array[chunk.start : chunk.start + self._chunk_rows]
        except Exception:  # whatever the codecs make of damaged bytes
            return False
        return hash_of(np.ascontiguousarray(rows).data) == chunk.content

    def put(self, chunk: Chunk, values: np.ndarray) -> None:
        """Write a chunk's rows; it is on disk when this returns."""
        if self.is_finished:
            self._mark(unfinished=True)
        file = self._file(chunk.start)
        # A damaged one would be read first where it is only partly covered.
        file.unlink(missing_ok=True)
        try:
            self._array[chunk.start : chunk.start + len(values)] = values
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever damaged settings make of the codecs
            raise OtherFeaturesError(
                f"{str(self.path / _METADATA)!r} is damaged: {error}. Give another path, or remove "
                "the folder."
            ) from error
        with file.open("rb+") as written:
            flush(written)
        flush_folder(file.parent)
        journal = self.path / _JOURNALS / f"{self._part}.jsonl"
        add_line(journal, sealed(chunk._asdict(), self._key))

    def finish(self) -> bool:
        """Mark the array as finished if all rows are there, whoever wrote them."""
        if self._array is None:
            return False
        self._read_chunks()  # other parts may have gone on
        if any(start not in self._chunks for start in range(0, self._shape[0], self._chunk_rows)):
            return False
        if not self.is_finished:
            for left in self.path.glob("c/*/*.partial"):  # by a process that was killed
                left.unlink(missing_ok=True)
            self._mark(unfinished=False)
        return True

    def close(self) -> None:
        """Do nothing; no file is kept open."""

    def remove(self) -> None:
        """Remove the folder.

        Raises
        ------
        OtherFeaturesError
            If it is no Zarr array or group.
        """
        if self.path.is_dir() and not any(
            (self.path / name).is_file() for name in (_METADATA, ".zarray", ".zgroup")
        ):
            raise OtherFeaturesError(
                f"{str(self.path)!r} is not in Zarr's format, so it is not overwritten. Remove it, "
                "or give another path."
            )
        # It is gone at once; what a kill leaves is no array any more.
        aside = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}")
        os.rename(self.path, aside)
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside)
        else:
            aside.unlink()
        self._array = None

    def _make(self, path: Path, wanted: dict[str, Any], n_features: int) -> None:
        zarr = _zarr()
        rows = wanted["chunk_rows"]
        decoded = next((n for n in _DECODED if rows % n == 0), rows)
        codecs = zarr.codecs
        zarr.create_array(
            str(path),
            shape=(wanted["n_rows"], n_features),
            dtype=wanted["dtype"],
            chunks=(decoded, n_features),
            shards=None if decoded == rows else (rows, n_features),
            compressors=(
                codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"),
                codecs.Crc32cCodec(),
            ),
            fill_value=float("nan"),
            zarr_format=3,
            attributes={
                UNFINISHED: True,
                _HEADER: sealed({"features": wanted, "n_features": n_features}),
            },
        )
        (path / _JOURNALS).mkdir()
        with (path / _METADATA).open("rb+") as file:
            flush(file)
        flush_folder(path)

    def _read_header(self) -> dict[str, Any] | None:
        try:
            self._metadata = json.loads((self.path / _METADATA).read_bytes())
            return unsealed_header(self._metadata["attributes"][_HEADER])
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def _opened(self, dtype: str) -> Any:
        zarr = _zarr()
        try:
            # A chunk whose rows are all NaN is a file, too, so that none can be missed.
            with zarr.config.set({"array.write_empty_chunks": True}):
                array = zarr.open_array(str(self.path), mode="r+", zarr_format=3)
            sound = array.shape == self._shape and array.dtype == np.dtype(dtype)
            sound = sound and (array.shards or array.chunks) == (self._chunk_rows, self.n_features)
        except Exception:  # as many kinds as there are ways to damage metadata
            sound = False
        if not sound:
            raise OtherFeaturesError(
                f"{str(self.path / _METADATA)!r} is damaged. Give another path, or overwrite=True "
                "to compute the features again."
            )
        return array

    def _read_chunks(self) -> None:
        lines: list[Any] = []
        for journal in sorted((self.path / _JOURNALS).glob("*.jsonl")):
            lines += read_lines(journal)
        self._chunks = chunks_of(lines, self._key)

    def _mark(self, *, unfinished: bool) -> None:
        self._metadata["attributes"].pop(UNFINISHED, None)
        if unfinished:
            self._metadata["attributes"][UNFINISHED] = True
        # Whole or as it was, also for another part that reads it just now.
        new = self.path / f"{_METADATA}.{uuid.uuid4().hex}"
        with new.open("wb") as file:
            file.write(json.dumps(self._metadata, indent=2).encode())
            flush(file)
        os.replace(new, self.path / _METADATA)
        flush_folder(self.path)

    def _file(self, start: int) -> Path:
        return self.path / "c" / str(start // self._chunk_rows) / "0"


def _zarr() -> Any:
    try:
        import zarr
        import zarr.codecs
    except ImportError as error:
        raise ImportError(
            "Features in Zarr's format need the package zarr: "
            'pip install "sklearn-memorability[zarr]". A path that ends in .npy needs nothing.'
        ) from error
    return zarr
