"""Which way a CPU runs a network fastest just now: one batch on all cores, or one each."""

import time
from collections.abc import Iterator

import torch

# Batches that each way is tried on, images until both are tried again, and below which
# there is nothing to gain by trying.
_TRIED = 4
_AGAIN_AFTER = 1024
_WORTH_TRYING = 64
# What no trial is shorter than; a clock that stands still, or is set back, says it is.
_SHORTEST = 1e-9  # seconds


class Pace:
    """Blocks of images, with the way to run each.

    One batch on all cores uses the caches best while the machine is idle. On a busy one
    its threads wait for each other at every layer, and batches side by side, on one core
    each, are many times as fast. Only a trial tells; it is repeated, as that changes.

    Parameters
    ----------
    device : torch.device
        Where the network is; elsewhere than on the CPU, batches come one by one.
    batch_size : int
        Images a batch.

    Attributes
    ----------
    side_by_side : bool
        The way to run the block that was yielded last.
    """

    def __init__(self, device: torch.device, batch_size: int) -> None:
        self._batch_size = batch_size
        self._has_choice = device.type == "cpu" and torch.get_num_threads() > 1
        self.side_by_side = device.type == "cpu"

    def blocks(self, n_images: int) -> Iterator[slice]:
        """Yield slices of the images; the time until the next one is asked for is taken."""
        if not self._has_choice or n_images < _WORTH_TRYING:
            yield slice(0, n_images)
            return
        start = 0
        tried = _TRIED * torch.get_num_threads() * self._batch_size
        while start < n_images:
            rates = {}
            # The way that is never slow goes first, and takes what is slow the first time.
            for side_by_side in (True, False):
                stop = min(start + tried, n_images)
                self.side_by_side = side_by_side
                begun = time.perf_counter()
                yield slice(start, stop)
                taken = max(time.perf_counter() - begun, _SHORTEST)
                rates[side_by_side] = (stop - start) / taken
                start = stop
            self.side_by_side = rates[True] >= rates[False]
            stop = min(start + _AGAIN_AFTER, n_images)
            yield slice(start, stop)
            start = stop
