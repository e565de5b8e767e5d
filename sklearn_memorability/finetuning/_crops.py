"""Images decoded once and kept small, and the random crops that a network is trained on."""

import io
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from PIL import Image
from skorch.dataset import Dataset
from tqdm.auto import tqdm

from sklearn_memorability.features._preprocessing import Preprocess
from sklearn_memorability.images import read_image

# Beyond about so many bytes, small images are kept in a temporary file.
_IN_MEMORY = 4 << 30
# The shorter side that is kept, in sides of the network's input: what ImageNet's networks
# are shown is cut out of an image that is larger by as much.
_MARGIN = 256 / 224
_BATCHES_AHEAD = 2
_MOST_THREADS = 16


def keep_small(images: list[Any], rows: np.ndarray, size: int, verbose: int) -> np.ndarray:
    """Read the images of some rows; arrays of (height, width, 3), 8 bits, none much above size."""
    side = round(_MARGIN * size)
    is_large = 4 * len(rows) * side**2 > _IN_MEMORY
    file: Any = tempfile.TemporaryFile() if is_large else io.BytesIO()  # noqa: SIM115
    shapes = []
    pool = _threads()
    try:
        small = pool.map(lambda row: _small(images[row], row, side), rows.tolist())
        for image in tqdm(small, "Reading", len(rows), unit="image", disable=not verbose):
            file.write(image)
            shapes.append(image.shape)
    finally:
        pool.shutdown(cancel_futures=True)
    if is_large:
        file.flush()
        memory: np.ndarray = np.memmap(file, mode="r")
        file.close()  # the mapping keeps what it needs
    else:
        memory = np.frombuffer(file.getbuffer(), np.uint8)
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    kept = np.empty(len(rows), dtype=object)
    for i, (pixels, shape) in enumerate(zip(np.split(memory, ends[:-1]), shapes, strict=True)):
        kept[i] = pixels.reshape(shape)
    return kept


def _small(image: Any, row: int, side: int) -> np.ndarray:
    rgb = read_image(image, row=row)
    scale = side / min(rgb.size)
    if scale < 1:
        width, height = (max(1, round(scale * length)) for length in rgb.size)
        rgb = rgb.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(rgb)


class Seen:
    """Batches of a skorch data set of small images, made by threads ahead of the network.

    An image is what ``preprocess`` shows the network of it in prediction.
    """

    def __init__(self, dataset: Dataset, batch_size: int, preprocess: Any = None) -> None:
        self.X, self.y = dataset.X, dataset.y
        self.batch_size = batch_size
        self.preprocess = preprocess

    def _tasks(self) -> Iterator[tuple[Any, ...]]:
        """Yield each image's row, and the function that makes its pixels with its arguments."""
        for row, image in enumerate(self.X):
            yield row, _seen, image, self.preprocess

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield pairs of images and targets."""
        tasks = self._tasks()
        ahead: deque[list[tuple[int, Future[torch.Tensor]]]] = deque()
        pool = _threads()
        try:
            while True:
                batch = islice(tasks, self.batch_size)
                ahead.append([(row, pool.submit(*task)) for row, *task in batch])
                if not ahead[0]:
                    return
                if len(ahead) > _BATCHES_AHEAD:
                    rows, found = zip(*ahead.popleft(), strict=True)
                    # skorch, too, gives a single zero where there is no target.
                    y = torch.zeros(1) if self.y is None else torch.from_numpy(self.y[list(rows)])
                    yield torch.stack([future.result() for future in found]), y
        finally:
            pool.shutdown(cancel_futures=True)


class Crops(Seen):
    """The like for training: shuffled in every pass, random squares, mirrored or not, in 8 bits.

    A square has ``crop`` to 1 of its image's shorter side.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        size: tuple[int, int] = (0, 0),
        crop: float = 1.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, batch_size)
        self.size = size
        self.crop = crop
        self._rng = np.random.default_rng(seed)

    def _tasks(self) -> Iterator[tuple[Any, ...]]:
        # All is drawn here, so that no thread's pace decides.
        for row in self._rng.permutation(len(self.X)):
            yield row, _cropped, self.X[row], self.size, self.crop, self._rng.random(4)


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
