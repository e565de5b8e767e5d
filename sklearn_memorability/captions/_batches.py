"""Batches of pictures with a caption each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from skorch.dataset import Dataset

# Captions of like length are put in one batch, so that few steps go to filling up; they
# are sorted within this many batches at a time, which leaves most of the chance.
_SORTED_TOGETHER = 16


@dataclass
class CaptionRows:
    """Captions and the pictures that they belong to.

    Attributes
    ----------
    features : numpy.ndarray of shape (n_pictures, n_features), float32
        One row a picture.
    text : numpy.ndarray of shape (n_captions, width)
        The numbers of each caption's words, or its sentence embedding.
    owner : numpy.ndarray of shape (n_captions,), int64
        The row of each caption's picture.
    lengths : numpy.ndarray of shape (n_captions,) or None
        Words of each caption, where ``text`` holds numbers.
    """

    features: np.ndarray
    text: np.ndarray
    owner: np.ndarray
    lengths: np.ndarray | None

    def batch(self, which: np.ndarray) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return some captions with their pictures, no longer than the longest."""
        text = self.text[which]
        if self.lengths is not None:
            text = text[:, : self.lengths[which].max() + 1]
        owner = self.owner[which]
        pair = {
            "features": torch.from_numpy(self.features[owner]),
            "text": torch.from_numpy(np.ascontiguousarray(text)),
        }
        return pair, torch.from_numpy(owner)


class CaptionBatches:
    """Batches for skorch: every caption once a pass, with its picture.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        Its ``X`` are places in ``rows``.
    batch_size : int
        Captions a batch.
    rows : CaptionRows
        The captions.
    seed : int
        Shuffles them anew in every pass.
    """

    def __init__(self, dataset: Dataset, batch_size: int, rows: CaptionRows, seed: int) -> None:
        self.places = dataset.X
        self.batch_size = batch_size
        self.rows = rows
        self._chance = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.places) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        """Yield pairs of what the network takes and the rows of the pictures."""
        order = self._chance.permutation(self.places)
        batches = []
        for start in range(0, len(order), self.batch_size * _SORTED_TOGETHER):
            pool = order[start : start + self.batch_size * _SORTED_TOGETHER]
            if self.rows.lengths is not None:
                pool = pool[np.argsort(self.rows.lengths[pool], kind="stable")]
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        for i in self._chance.permutation(len(batches)):
            yield self.rows.batch(batches[i])
