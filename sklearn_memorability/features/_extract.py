"""From images to rows: read ahead by threads, batched, looked up and kept."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from sklearn_memorability._torch import share_threads, use_threads
from sklearn_memorability.features._cache import FeatureCache
from sklearn_memorability.features._cache_rows import CachedRows
from sklearn_memorability.features._networks import Network
from sklearn_memorability.features._pace import Pace
from sklearn_memorability.images import ImageContent, ImageReadError

# Batches that are under way beyond those that threads are busy with; more would only
# take memory.
_AHEAD = 2


@dataclass
class Extraction:
    """What came of some images.

    Attributes
    ----------
    rows : numpy.ndarray of shape (n_images, width), float32
        The features; NaN where an image could not be read.
    errors : list of ImageReadError
        Those that could not be read, in their order.
    """

    rows: np.ndarray
    errors: list[ImageReadError]


@dataclass
class _Read:
    """One image, read: its features if they are known, else its views, or the error."""

    row: int
    digest: bytes | None = None
    known: np.ndarray | None = None
    views: torch.Tensor | None = None
    error: ImageReadError | None = None


@dataclass
class _Batch:
    """Images whose features are to be computed, each once."""

    rows: list[list[int]] = field(default_factory=list)
    digests: list[bytes | None] = field(default_factory=list)
    views: list[torch.Tensor] = field(default_factory=list)

    def add(self, read: _Read) -> None:
        if read.digest is not None and read.digest in self.digests:
            self.rows[self.digests.index(read.digest)].append(read.row)
        elif read.views is not None:
            self.rows.append([read.row])
            self.digests.append(read.digest)
            self.views.append(read.views)

    def compute(self, network: Network, kept: CachedRows | None, rows: Any) -> int:
        """Put the features into their rows and into the cache; return how many rows."""
        if not self.rows:
            return 0
        found = network.features(_joined(self.views)).numpy()
        for i, where in enumerate(self.rows):
            for row in where:
                rows[row] = found[i]
        if kept is not None:
            kept.put([digest for digest in self.digests if digest is not None], found)
        return sum(map(len, self.rows))


def extract(
    network: Network,
    images: Sequence[Any],
    first_row: int,
    batch_size: int,
    cache: FeatureCache | None,
    on_error: str,
    advance: Callable[[int], object] | None = None,
) -> Extraction:
    """Compute, or look up, the features of images.

    Parameters
    ----------
    network : Network
        The network.
    images : sequence
        Images in any form that is read here.
    first_row : int
        The place of the first among all, for error messages.
    batch_size : int
        How many go through the network at a time.
    cache : FeatureCache or None
        Where rows are looked up and kept.
    on_error : {"raise", "nan"}
        With ``"raise"``, nothing is computed after the first image that can't be read.
    advance : callable, optional
        Told how many more images are done: their rows computed, and kept where there is
        a cache.

    Returns
    -------
    Extraction
        With ``on_error="raise"`` and an error, its rows are not all there.
    """
    rows = np.full((len(images), network.width), np.nan, dtype=np.float32)
    errors: list[ImageReadError] = []
    kept = None if cache is None else CachedRows(cache, network.identity, network.width)
    pace = Pace(network.device, batch_size)
    n_workers, n_threads = share_threads(network.device)
    pool = ThreadPoolExecutor(n_workers, "images", initializer=use_threads, initargs=(n_threads,))
    try:
        for block in pace.blocks(len(images)):
            batch = _Batch()
            read_part = partial(_read, network, images, first_row, kept, pace.side_by_side)
            parts = _parts(block, batch_size)
            for reads in _run_ahead(pool, read_part, parts, n_workers + _AHEAD):
                n_done = 0
                for read in reads:
                    if read.error is not None:
                        errors.append(read.error)
                        if on_error == "raise":
                            return Extraction(rows, errors)
                        n_done += 1
                    elif read.known is not None:
                        rows[read.row] = read.known
                        n_done += 1
                    else:
                        batch.add(read)
                        if len(batch.rows) == batch_size:
                            n_done += batch.compute(network, kept, rows)
                            batch = _Batch()
                if advance is not None:
                    advance(n_done)
            n_done = batch.compute(network, kept, rows)
            if advance is not None:
                advance(n_done)
    finally:
        # Also when something stops it early: what is not begun is not begun.
        pool.shutdown(wait=True, cancel_futures=True)
        if kept is not None:
            kept.close()
    return Extraction(rows, errors)


def _parts(block: slice, size: int) -> Iterator[range]:
    for start in range(block.start, block.stop, size):
        yield range(start, min(start + size, block.stop))


def _run_ahead(
    pool: ThreadPoolExecutor,
    read_part: Callable[[range], list[_Read]],
    parts: Iterator[range],
    n_ahead: int,
) -> Iterator[list[_Read]]:
    """Yield what comes of the parts, in their order, with a few of them under way."""
    waiting: deque[Future[list[_Read]]] = deque()
    for part in parts:
        waiting.append(pool.submit(read_part, part))
        if len(waiting) >= n_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read(
    network: Network,
    images: Sequence[Any],
    first_row: int,
    kept: CachedRows | None,
    compute: bool,
    part: range,
) -> list[_Read]:
    found = []
    contents: list[tuple[_Read, ImageContent]] = []
    for row in part:
        read = _Read(row)
        found.append(read)
        try:
            content = ImageContent(images[row], row=first_row + row)
            if kept is not None:
                read.digest = content.digest()
            contents.append((read, content))
        except ImageReadError as error:
            read.error = error
    known = {}
    if kept is not None:
        known = kept.get([read.digest for read, _ in contents if read.digest is not None])
    for read, content in contents:
        if read.digest in known:
            read.known = known[read.digest]
            continue
        try:
            read.views = network.preprocess.views(content.picture(), network.recipe.crops)
        except ImageReadError as error:
            read.error = error
    if compute:
        _compute_here(network, found, kept)
    return found


def _compute_here(network: Network, found: list[_Read], kept: CachedRows | None) -> None:
    """Compute what is not known yet in the thread that read it."""
    batch = _Batch()
    for read in found:
        batch.add(read)
    rows: dict[int, np.ndarray] = {}
    batch.compute(network, kept, rows)
    for read in found:
        read.known, read.views = rows.get(read.row, read.known), None


def _joined(views: list[torch.Tensor]) -> torch.Tensor:
    shapes = {tuple(view.shape[1:]) for view in views}
    if len(shapes) > 1:
        raise ValueError(
            f"preprocessing gives tensors of different shapes, {sorted(shapes)}; a network takes "
            "pictures of one size: resize and crop them."
        )
    return torch.cat(views)
