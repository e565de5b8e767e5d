"""Images decoded once and kept small, and the random crops that a network is trained on."""

import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from PIL import Image
from skorch.dataset import Dataset
from tqdm.auto import tqdm

from sklearn_memorability.features._preprocessing import Preprocess
from sklearn_memorability.images import read_image

# Beyond so many bytes, small images are kept in a temporary file.
_IN_MEMORY = 4 << 30
# The shorter side that is kept, in sides of the network's input: what ImageNet's networks
# are shown is cut out of an image that is larger by as much.
_MARGIN = 256 / 224
_BATCHES_AHEAD = 2
_MOST_THREADS = 16


def keep_small(images: list[Any], rows: np.ndarray, size: int, verbose: int) -> np.ndarray:
    """Read the images of some rows; arrays of (height, width, 3), 8 bits, none much above size."""
    kept = np.empty(len(rows), dtype=object)
    file, n_bytes = None, 0
    places: list[tuple[int, int, tuple[int, ...]]] = []
    pool = _threads()
    try:
        small = pool.map(
            partial(_small, side=round(_MARGIN * size)), (images[i] for i in rows), rows
        )
        progress = tqdm(small, "Reading", len(rows), unit="image", disable=not verbose)
        for i, image in enumerate(progress):
            n_bytes += image.nbytes
            if n_bytes <= _IN_MEMORY:
                kept[i] = image
                continue
            file = file or tempfile.TemporaryFile()  # noqa: SIM115 - the arrays hold it open
            places.append((i, file.tell(), image.shape))
            file.write(image)
    finally:
        pool.shutdown(cancel_futures=True)
    if file is not None:
        file.flush()
        memory = np.memmap(file, mode="r")
        for i, start, shape in places:
            kept[i] = memory[start : start + int(np.prod(shape))].reshape(shape)
    return kept


def _small(image: Any, row: int, side: int) -> np.ndarray:
    rgb = read_image(image, row=int(row))
    scale = side / min(rgb.size)
    if scale < 1:
        width, height = (max(1, round(scale * length)) for length in rgb.size)
        rgb = rgb.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(rgb)


class Crops:
    """Batches of a skorch data set of small images, made by threads ahead of the network.

    With a seed, the rows are shuffled in every pass, and an image is a random square of
    ``crop`` to 1 of its shorter side, mirrored or not, in 8 bits. Without one, it is what the
    network sees of it in prediction.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        preprocess: Preprocess,
        size: tuple[int, int] = (0, 0),
        crop: float = 1.0,
        seed: int | None = None,
    ) -> None:
        self.X, self.y = dataset.X, dataset.y
        self.batch_size = batch_size
        self.preprocess = preprocess
        self.size = size
        self.crop = crop
        self._rng = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield pairs of images and targets."""
        n_rows = len(self.X)
        order = np.arange(n_rows) if self._rng is None else self._rng.permutation(n_rows)
        ahead: deque[tuple[np.ndarray, list[Future[Any]]]] = deque()
        pool = _threads()
        try:
            for start in range(0, n_rows, self.batch_size):
                rows = order[start : start + self.batch_size]
                ahead.append((rows, [pool.submit(*self._task(row)) for row in rows]))
                if len(ahead) > _BATCHES_AHEAD:
                    yield self._batch(*ahead.popleft())
            while ahead:
                yield self._batch(*ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _task(self, row: int) -> tuple[Any, ...]:
        """Return the function that makes an image's pixels, and its arguments."""
        if self._rng is None:
            return _seen, self.X[row], self.preprocess
        # Drawn here, so that no thread's pace decides.
        return _cropped, self.X[row], self.size, self.crop, self._rng.random(4)

    def _batch(
        self, rows: np.ndarray, found: list[Future[Any]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = torch.stack([future.result() for future in found])
        # skorch, too, gives a single zero where there is no target.
        return pixels, torch.zeros(1) if self.y is None else torch.from_numpy(self.y[rows])


def _seen(image: np.ndarray, preprocess: Preprocess) -> torch.Tensor:
    return preprocess.view(Image.fromarray(image))


def _cropped(
    image: np.ndarray, size: tuple[int, int], crop: float, chance: np.ndarray
) -> torch.Tensor:
    height, width = image.shape[:2]
    side = (crop + (1 - crop) * chance[0]) * min(height, width)
    left, top = chance[1] * (width - side), chance[2] * (height - side)
    cut = Image.fromarray(image).resize(
        size[::-1], Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    if chance[3] < 0.5:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(cut)).permute(2, 0, 1)


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(_MOST_THREADS, cpu_count()), "images")
