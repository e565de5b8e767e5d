"""What every network trained here shares: batches by index, fast optimisers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
# RMSprop has no fused kernel.
_FUSED = frozenset({"adam", "adamw", "sgd"})


def optimizer_settings(name: str, device: torch.device) -> dict[str, Any]:
    """Return the arguments of a skorch net that choose an optimiser.

    At the paper's batch of 16 the update costs more than the gradient; the fused
    kernels, one call for all weights, are what makes small batches affordable.

    Parameters
    ----------
    name : {"adam", "adamw", "rmsprop", "sgd"}
        The optimiser.
    device : torch.device
        Where the weights are.

    Returns
    -------
    dict
        ``optimizer`` and, where there is a fused kernel, ``optimizer__fused``.
    """
    settings: dict[str, Any] = {"optimizer": OPTIMIZERS[name]}
    if name in _FUSED and device.type in {"cpu", "cuda"}:
        settings["optimizer__fused"] = True
    return settings


class IndexBatches:
    """Batches of a skorch data set, each taken by one indexing of the arrays.

    Stands in for torch's ``DataLoader``, which collates row by row and draws from
    torch's global generator.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        With arrays as ``X`` and ``y``; ``y`` may be None.
    batch_size : int
        Rows a batch; the last one may have fewer.
    seed : int, optional
        Shuffles the rows anew in every pass; None keeps their order.
    """

    def __init__(self, dataset: Dataset, batch_size: int, seed: int | None = None) -> None:
        self.X, self.y = dataset.X, dataset.y
        self.batch_size = batch_size
        self._chance = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield pairs of features and targets."""
        n_rows = len(self.X)
        order = np.arange(n_rows) if self._chance is None else self._chance.permutation(n_rows)
        for start in range(0, n_rows, self.batch_size):
            # Indexing copies the rows, so a read-only array is never shared with torch.
            rows = order[start : start + self.batch_size]
            X = torch.from_numpy(self.X[rows].astype(np.float32, copy=False))
            # skorch, too, gives a single zero where there is no target.
            yield X, torch.zeros(1) if self.y is None else torch.from_numpy(self.y[rows])
