"""What every network trained here shares: batches by index, fast optimisers, stopping."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import Dataset
from skorch.utils import noop

from sklearn_memorability._torch import suitable_threads

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
# RMSprop has no fused kernel.
_FUSED = frozenset({"adam", "adamw", "sgd"})


def optimizer_settings(name: str, device: torch.device) -> dict[str, Any]:
    """Return the arguments of a skorch net that choose an optimiser, fused where it can be.

    At the paper's batch of 16 the update costs more than the gradient; the fused
    kernels, one call for all weights, are what makes small batches affordable.
    """
    settings: dict[str, Any] = {"optimizer": OPTIMIZERS[name]}
    if name in _FUSED and device.type in {"cpu", "cuda"}:
        settings["optimizer__fused"] = True
    return settings


def silence(verbose: int) -> dict[str, Any]:
    """Return the arguments of a skorch net that keep it from printing where it should not.

    skorch takes a ``print`` that is not Python's for one of the user's own, and then prints
    whatever ``verbose`` says. Ray replaces Python's in the process that it runs in.
    """
    return {} if verbose else {"callbacks__print_log": None}


class IndexBatches:
    """Batches of a skorch data set, each taken by one indexing of the arrays.

    Stands in for torch's ``DataLoader``, which collates row by row and draws from
    torch's global generator. With a seed, every pass shuffles the rows anew.
    """

    def __init__(self, dataset: Dataset, batch_size: int, seed: int | None = None) -> None:
        self.X, self.y = dataset.X, dataset.y
        self.batch_size = batch_size
        self._rng = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield pairs of features and targets."""
        n_rows = len(self.X)
        order = np.arange(n_rows) if self._rng is None else self._rng.permutation(n_rows)
        for start in range(0, n_rows, self.batch_size):
            rows = order[start : start + self.batch_size]
            # Indexing copies the rows, so a read-only array is never shared with torch.
            features = torch.from_numpy(self.X[rows].astype(np.float32, copy=False))
            # skorch, too, gives a single zero where there is no target.
            yield features, torch.zeros(1) if self.y is None else torch.from_numpy(self.y[rows])


class Validation(Callback):
    """Record, after every epoch, a figure on held-out rows; larger is better."""

    def __init__(self, name: str, evaluate: Callable[[NeuralNet], float] | None) -> None:
        self.name = name
        self.evaluate = evaluate

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Evaluate and record."""
        if self.evaluate is not None:
            net.history.record(self.name, self.evaluate(net))

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Let go of the held-out rows."""
        self.evaluate = None


def stop_early(
    name: str, evaluate: Callable[[NeuralNet], float], patience: int
) -> list[tuple[str, Callback]]:
    """Return the callbacks that stop at the best epoch and restore its weights."""
    stopping = EarlyStopping(
        monitor=name,
        lower_is_better=False,
        patience=patience,
        threshold=0,
        load_best=True,
        sink=noop,
    )
    return [("validation", Validation(name, evaluate)), ("early_stopping", stopping)]


def hold_out(
    n_rows: int, groups: np.ndarray | None, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and those to hold out, at least two, whole groups of them.

    True holds out a tenth.
    """
    if isinstance(fraction, bool | np.bool_):
        fraction = 0.1
    if n_rows < 3:
        raise ValueError(
            "early_stopping=True needs at least 3 rows, two of them to hold out; got "
            f"n_samples = {n_rows}."
        )
    if groups is None:
        held = min(max(2, round(fraction * n_rows)), n_rows - 1)
        kept, held_out = next(
            ShuffleSplit(1, test_size=held, random_state=seed).split(np.empty(n_rows))
        )
    else:
        if len(np.unique(groups)) < 2:
            raise ValueError("early_stopping=True needs at least two groups to hold one out.")
        splitter = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
        kept, held_out = next(splitter.split(np.empty(n_rows), groups=groups))
    # In their own order, so that reading a memory-mapped X goes forwards.
    return np.sort(kept), np.sort(held_out)


def train(
    net: NeuralNet, X: np.ndarray, target: np.ndarray, start: torch.nn.Module | None = None
) -> None:
    """Train a net, from the weights of ``start`` if given, and leave what prediction needs.

    skorch's own ``fit`` swallows an interruption from the keyboard and goes on as if
    trained; here only callbacks that stop training are heard.
    """
    net.initialize()
    if start is not None:
        with torch.no_grad():
            for weight, before in zip(net.module_.parameters(), start.parameters(), strict=True):
                weight.copy_(before)
    n_weights = sum(weight.numel() for weight in net.module_.parameters())
    with suitable_threads(torch.device(net.device), min(net.batch_size, len(X)) * n_weights):
        net.notify("on_train_begin", X=X, y=target)
        try:
            net.fit_loop(X, target)
        except KeyboardInterrupt as interrupt:
            if not _is_from_callback(interrupt):
                raise
        net.notify("on_train_end", X=X, y=target)
    if not np.isfinite(net.history[-1, "train_loss"]):
        raise ValueError(
            "Training diverged: the loss is not finite. Scale the features (for example with "
            "StandardScaler) or lower lr."
        )
    # What only training needs would triple the memory, or make it grow with the rows.
    net.optimizer_.state.clear()
    for epoch in net.history:
        epoch["batches"] = []


def _is_from_callback(interrupt: KeyboardInterrupt) -> bool:
    # skorch's way to stop is that a callback raises what the keyboard would raise. The
    # keyboard's comes from wherever the program was, a callback's from its own method.
    frame = interrupt.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and isinstance(frame.tb_frame.f_locals.get("self"), Callback)
