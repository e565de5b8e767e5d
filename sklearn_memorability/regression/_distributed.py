"""Training one network in several processes: each takes a share of every batch."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from joblib.parallel import get_active_backend
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sklearn_memorability._fingerprint import fingerprint
from sklearn_memorability._torch import resolve_device
from sklearn_memorability._training import IndexBatches

_NAME = "in_step"


@dataclass(frozen=True)
class Processes:
    """The processes that train together, as one of them sees them.

    What they say to each other, all must say at the same time and in the same order.

    Attributes
    ----------
    device : torch.device
        Where this one computes.
    index, count : int
        Which of how many it is.
    """

    device: torch.device
    index: int = 0
    count: int = 1

    @classmethod
    def of_fit(cls, device: str | torch.device | None, accelerate: bool) -> "Processes":
        """Find those of a fit: this one alone, or all of a launch.

        Parameters
        ----------
        device : str, torch.device or None
            The user's choice; a launch must agree with it.
        accelerate : bool
            Whether to train in all processes of a launch by ``accelerate launch`` or
            ``torchrun``, and where it says.

        Returns
        -------
        Processes

        Raises
        ------
        ImportError
            If accelerate is not installed.
        ValueError
            If the launch computes elsewhere, or this is one of several fits side by side.
        """
        if not accelerate:
            return cls(resolve_device(device))
        try:
            from accelerate import PartialState
            from accelerate.utils import parse_flag_from_env
        except ImportError as error:
            raise ImportError(
                "accelerate=True needs the package accelerate: "
                'pip install "sklearn-memorability[accelerate]"'
            ) from error
        # A worker inherits the launch's variables and would join it as a process that is
        # there already; threads would mix up what they say. Both wait for ever.
        if "LOCAL_RANK" in os.environ and get_active_backend()[0].nesting_level:
            raise ValueError(
                "accelerate=True trains in all processes of a launch in step, so there can't be "
                "other fits at the same time: set n_jobs=None around it, or accelerate=False."
            )
        wanted = None if device is None else resolve_device(device)
        # Left to itself, accelerate does not join processes without GPUs.
        on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU")
        launch = PartialState(cpu=on_cpu or (wanted or resolve_device(None)).type == "cpu")
        # In a launch the CPU is "cpu:0", a name under which torch can't read a pickle.
        given = torch.device("cpu") if launch.device.type == "cpu" else launch.device
        if wanted and (wanted.type != given.type or wanted.index not in {None, given.index}):
            raise ValueError(
                f"device={str(device)!r} contradicts accelerate=True, which computes on "
                f"{str(given)!r} here. Set device=None; the launch chooses the device."
            )
        n_launched = int(os.environ.get("WORLD_SIZE", "1"))
        if launch.num_processes == 1 < n_launched:
            raise ValueError(
                f"There are WORLD_SIZE={n_launched} processes, but accelerate sees this one alone. "
                "Start them by accelerate launch or torchrun; on CPUs, if you make an Accelerator "
                "before fit, make it by Accelerator(cpu=True)."
            )
        return cls(given, launch.process_index, launch.num_processes)

    @property
    def batches(self) -> Callable[..., IndexBatches]:
        """What makes this process's batches for a skorch net."""
        return IndexBatches if self.count == 1 else partial(ShareOfBatches, processes=self)

    @property
    def callbacks(self) -> list[tuple[str, Callback]]:
        """What a skorch net needs to keep in step, before all other callbacks."""
        return [] if self.count == 1 else [(_NAME, InStep(self))]

    def agree(self, numbers: Sequence[float]) -> list[float]:
        """Return the first process's numbers."""
        said = torch.tensor(numbers, dtype=torch.float64)
        return self.first(said.to(self.device)).tolist() if self.count > 1 else list(numbers)

    def first(self, tensor: torch.Tensor) -> torch.Tensor:
        """Put the first process's values into a tensor."""
        from accelerate.utils import broadcast

        return broadcast(tensor)

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the mean of all processes' tensors."""
        from accelerate.utils import reduce

        return reduce(tensor, reduction="mean")

    def where(self, flag: bool) -> list[int]:
        """Return the processes in which a flag is set."""
        flags = torch.zeros(self.count, device=self.device)
        flags[self.index] = float(flag)
        return torch.nonzero(self.mean(flags)).flatten().tolist()


class ShareOfBatches(IndexBatches):
    """One process's rows of each batch, weighted so that a mean over processes is exact.

    A mean over all rows is not the mean of the shares' means if these differ in size.
    The loss is linear in the target, so the target makes up for that. A batch with
    fewer rows than there are processes is not shared: all take the whole of it.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        All rows, the same in all processes.
    batch_size : int
        Rows of a batch, all shares together.
    seed : int, optional
        As for ``IndexBatches``; the same in all processes.
    processes : Processes
        Who shares.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int, seed: int | None = None, *, processes: Processes
    ) -> None:
        super().__init__(dataset, batch_size, seed)
        self.processes = processes

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield pairs of features and targets."""
        sizes = batch_sizes(len(self.X), self.batch_size)
        for (X, y), size in zip(super().__iter__(), sizes, strict=True):
            shared = len(X) < size
            yield X, y * (len(X) * self.processes.count / size) if shared else y

    def rows(self) -> Iterator[np.ndarray]:
        """Yield which rows of each batch this process takes."""
        index, count = self.processes.index, self.processes.count
        for rows in super().rows():
            yield rows if len(rows) < count else rows[index::count]


class InStep(Callback):
    """Make a step of training the same in all processes, and the end of it too.

    Parameters
    ----------
    processes : Processes
        Those that train together.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Check that all have the same rows, and start from the first one's weights."""
        given = (y, list(X.shape), net.batch_size, net.max_epochs)
        digest = fingerprint(*given, repr(net.module_), repr(net.optimizer_))
        # Six bytes at a time are whole numbers that a float64 holds.
        mine = [float(int(digest[i : i + 12], 16)) for i in range(0, 48, 12)]
        others = self.processes.where(mine != self.processes.agree(mine))
        if others:
            raise ValueError(
                f"The rows, scores, weights or parameters of fit in process(es) {others} are not "
                "those of process 0. Give all processes the same, and all rows: each takes its "
                "share of every batch itself."
            )
        with torch.no_grad():
            for weight in net.module_.parameters():
                self.processes.first(weight)
        self._sizes = batch_sizes(len(X), net.batch_size)
        self._over = False

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Stop, if another process's callback has stopped training with the last epoch."""
        if self.processes.where(False):
            net.history.pop()  # of this epoch, which is not to be
            self._over = True
            raise KeyboardInterrupt

    def on_grad_computed(self, net: NeuralNet, named_parameters: Any, **kwargs: Any) -> None:
        """Average the gradients, in one message."""
        gradients = [weight.grad for weight in net.module_.parameters()]
        mean = self.processes.mean(parameters_to_vector(gradients))
        vector_to_parameters(mean, gradients)

    def on_batch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """After a pass, replace the losses on this process's shares by those on the batches."""
        batches = net.history[-1]["batches"]
        if len(batches) == len(self._sizes):
            losses = torch.tensor([batch["train_loss"] for batch in batches], device=net.device)
            for batch, loss, size in zip(
                batches, self.processes.mean(losses).tolist(), self._sizes, strict=True
            ):
                batch.update(train_loss=loss, train_batch_size=size)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Tell the others, and leave a net that is this process's own."""
        if not self._over:
            self.processes.where(True)
        net.iterator_train = IndexBatches
        mine = (_NAME, self)
        net.callbacks = [entry for entry in net.callbacks if entry != mine]
        net.callbacks_ = [entry for entry in net.callbacks_ if entry != mine]


def batch_sizes(n_rows: int, batch_size: int) -> list[int]:
    """Return how many rows each batch of a pass has."""
    return [min(batch_size, n_rows - start) for start in range(0, n_rows, batch_size)]
