"""What features cost on disk: room, writing, reading in order, reading at random.

    python benchmarks/storage.py [--rows 100000] [--seconds 5] [--folder FOLDER]

Two kinds of rows, made in chunks so that --rows may exceed memory:

- ``photographs``: ``ImageFeatures`` of the 946 photographs in
  ``MEMORABILITY_TEST_DATA/things_images/images`` (1,280 columns), drawn again and again,
  each time with a tenth of a percent of seeded noise, so that no two rows are equal;
- ``ReLU``: 4,096 columns, half of them zero, the others half a normal distribution, as
  behind a ReLU; random digits, so this is the least that compression saves.

Each format gets the same rows, 1,024 at a time. ``.npy``, ``Zarr`` and ``Zarr, float16``
are what ``write_features`` writes, with its checksums and with every chunk flushed to the
disk; ``Zarr, plain`` has no compression, the same chunks and is only written; Parquet
(pyarrow's defaults, a row group a chunk, one column of lists) is a yardstick, where
pyarrow is installed.

MB/s are of float32 rows, whatever the format makes of them; time for making the rows is
taken off. Before each reading the system is asked to forget the files. ``random`` is rows
a second, read in batches of 64 from anywhere. Ratios are to ``.npy``.

For 10^6 and 10^8 pictures, multiply.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from _figures import Figure, add_json_option, write_figures

from sklearn_memorability.features import ImageFeatures, StoredFeatures, write_features
from sklearn_memorability.images import list_images

CHUNK, BATCH = 1024, 64


class Rows:
    """Makes the rows of a chunk from its row numbers, and keeps the time that takes."""

    def __init__(self, base: np.ndarray | None) -> None:
        self.base = base
        self.width = 4096 if base is None else base.shape[1]
        self.seconds_ = 0.0

    def transform(self, numbers: np.ndarray) -> np.ndarray:
        """Make the rows."""
        begun = time.perf_counter()
        chance = np.random.default_rng(int(numbers[0]))
        noise = chance.standard_normal((len(numbers), self.width), dtype=np.float32)
        rows = np.maximum(noise, 0) if self.base is None else self._again(numbers, noise)
        self.seconds_ += time.perf_counter() - begun
        return rows

    def _again(self, numbers: np.ndarray, noise: np.ndarray) -> np.ndarray:
        assert self.base is not None
        return self.base[numbers % len(self.base)] * (1 + np.float32(1e-3) * noise)

    def chunks(self, n_rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first row and the rows of each chunk."""
        for start in range(0, n_rows, CHUNK):
            yield start, self.transform(np.arange(start, min(start + CHUNK, n_rows)))


class Reader(NamedTuple):
    """A format's ways to read: all rows in order, and some."""

    blocks: Callable[[], Iterator[Any]]
    take: Callable[[np.ndarray], Any]


def write_ours(path: Path, rows: Rows, n_rows: int, dtype: str = "float32") -> Reader:
    """Write what ``write_features`` writes."""
    stored = write_features(rows, np.arange(n_rows), path, chunk_rows=CHUNK, dtype=dtype)
    assert stored is not None
    return Reader(stored.blocks, stored.take)


def write_plain_zarr(path: Path, rows: Rows, n_rows: int) -> Reader:
    """Write the same chunks without compression."""
    shape = (n_rows, rows.width)
    array = zarr.create_array(
        str(path),
        shape=shape,
        dtype="float32",
        chunks=(128, rows.width),
        shards=(CHUNK, rows.width),
        compressors=None,
    )
    for start, values in rows.chunks(n_rows):
        array[start : start + len(values)] = values
    stored = StoredFeatures(path)
    return Reader(stored.blocks, stored.take)


def write_parquet(path: Path, rows: Rows, n_rows: int) -> Reader:
    """Write one column of lists, a row group a chunk."""
    import pyarrow
    from pyarrow import parquet

    kind = pyarrow.list_(pyarrow.float32(), rows.width)
    with parquet.ParquetWriter(path, pyarrow.schema([("features", kind)])) as writer:
        for _, values in rows.chunks(n_rows):
            column = pyarrow.FixedSizeListArray.from_arrays(values.ravel(), rows.width)
            writer.write_table(pyarrow.table({"features": column}), row_group_size=CHUNK)

    def group(i: int) -> np.ndarray:
        column = parquet.ParquetFile(path).read_row_group(i)["features"].combine_chunks()
        return column.flatten().to_numpy().reshape(-1, rows.width)

    def take(numbers: np.ndarray) -> list[np.ndarray]:
        groups = numbers // CHUNK
        return [group(i)[numbers[groups == i] - i * CHUNK] for i in np.unique(groups)]

    return Reader(lambda: map(group, range(-(-n_rows // CHUNK))), take)


def write_half(path: Path, rows: Rows, n_rows: int) -> Reader:
    """Write half precision."""
    return write_ours(path, rows, n_rows, "float16")


FORMATS: dict[str, tuple[str, Callable[[Path, Rows, int], Reader]]] = {
    ".npy": ("features.npy", write_ours),
    "Zarr, plain": ("plain.zarr", write_plain_zarr),
    "Zarr": ("features.zarr", write_ours),
    "Zarr, float16": ("half.zarr", write_half),
    "Parquet": ("features.parquet", write_parquet),
}
COLUMNS = {
    "bytes a picture": ("lower", "bytes"),
    "write": ("higher", "MB/s"),
    "read": ("higher", "MB/s"),
    "random": ("higher", "rows/s"),
}


def forget(path: Path) -> None:
    """Ask the system to forget what it has of a file, or of those in a folder, in memory."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def measure(
    folder: Path, name: str, base: np.ndarray | None, n_rows: int, seconds: float
) -> list[float]:
    """Return one format's figures, in the order of COLUMNS."""
    file, write = FORMATS[name]
    path, rows = folder / file, Rows(base)
    megabytes = n_rows * rows.width * 4 / 1e6
    begun = time.perf_counter()
    reader = write(path, rows, n_rows)
    writing = time.perf_counter() - begun - rows.seconds_
    forget(path)
    begun = time.perf_counter()
    for _ in reader.blocks():
        pass
    reading = time.perf_counter() - begun
    forget(path)
    chance, n_read = np.random.default_rng(0), 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        reader.take(chance.integers(n_rows, size=BATCH))
        n_read += BATCH
    at_random = n_read / (time.perf_counter() - begun)
    found = [size_of(path) / n_rows, megabytes / writing, megabytes / reading, at_random]
    del reader
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return found


def photographs() -> np.ndarray | None:
    """Return the features of the 946 photographs."""
    folder = Path(os.environ.get("MEMORABILITY_TEST_DATA", "")) / "things_images" / "images"
    if not folder.is_dir():
        print("photographs: not measured, they are missing (see MEMORABILITY_TEST_DATA)")
        return None
    return ImageFeatures().fit_transform(list_images(folder))


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of reading at random")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    add_json_option(parser)
    arguments = parser.parse_args()
    base = photographs()
    sets = {"photographs": base, "ReLU": None}
    if base is None:
        del sets["photographs"]
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        FORMATS.pop("Parquet")
        print("Parquet: not measured, pyarrow is not installed")
    figures = []
    print(f"\n{arguments.rows:,} rows; in parentheses, times .npy\n")
    print(f"| {'rows':11} | {'format':13} | " + " | ".join(f"{n:>15}" for n in COLUMNS) + " |")
    print(f"|{'-' * 13}|{'-' * 15}|" + f"{'-' * 16}:|" * len(COLUMNS))
    for kind, rows in sets.items():
        peers: list[float] = []
        for name in FORMATS:
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                found = measure(Path(folder), name, rows, arguments.rows, arguments.seconds)
            peers = peers or found
            cells = [f"{f:,.0f} ({f / p:.2f})" for f, p in zip(found, peers, strict=True)]
            print(f"| {kind:11} | {name:13} | " + " | ".join(f"{c:>15}" for c in cells) + " |")
            figures += [
                Figure(
                    f"{kind}, {name}: {column}",
                    ours=ours,
                    better=better,
                    unit=unit,
                    **({} if found is peers else {"peer": peer, "peer_name": ".npy"}),
                    ratio=None if found is peers else ours / peer,
                )
                for ours, peer, (column, (better, unit)) in zip(
                    found, peers, COLUMNS.items(), strict=True
                )
            ]
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
