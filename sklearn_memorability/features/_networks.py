"""A network made ready: from what was asked for to a function from views to features."""

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from sklearn_memorability._torch import autocast
from sklearn_memorability.features._families import get_backbone, get_preprocess, output_width
from sklearn_memorability.features._identity import identity
from sklearn_memorability.features._preprocessing import Preprocess

# How many networks a process keeps, ready for the next fit of a search or the next
# task of a worker.
_KEPT = 2


@dataclass(frozen=True)
class Recipe:
    """All that decides what a picture's features are. It travels between processes.

    Attributes
    ----------
    backbone : str or torch.nn.Module
        As in :class:`~sklearn_memorability.features.ImageFeatures`.
    layer : str
        The layer to read.
    weights : str or None
        A file of weights.
    preprocessing : None, "caffe" or callable
        In place of the backbone's own.
    crops : int
        How many views of a picture are averaged.
    precision : {"float32", "bfloat16"}
        What the network computes in.
    channels_last : bool
        The layout of pictures in memory; it changes features by rounding alone.
    device : str
        Where to compute.
    token : str
        What a network with parts of the user's own is known by in workers, another one
        after each fit. Others have none.
    """

    backbone: str | nn.Module
    layer: str
    weights: str | None
    preprocessing: Any
    crops: int
    precision: str
    channels_last: bool
    device: str
    token: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether a process keeps this network ready; not if parts are the user's own."""
        return isinstance(self.backbone, str) and not callable(self.preprocessing)

    def load(self, keep: bool = False) -> "Network":
        """Return the network, from those kept in this process if it is one of them.

        Parameters
        ----------
        keep : bool, default=False
            Whether one with parts of the user's own is kept too: in a worker, to which
            every task brings them anew.
        """
        if not self.is_kept and not (keep and self.token):
            return Network.of(self)
        state = None
        if self.weights is not None and os.path.exists(self.weights):
            found = os.stat(self.weights)
            state = found.st_mtime_ns, found.st_size, found.st_ino
        known_by = self if self.is_kept else (self.token, self.device)
        return _KEPT_NETWORKS.get((known_by, state), lambda: Network.of(self))


class Network:
    """A network with its preprocessing, on its device.

    Parameters
    ----------
    recipe : Recipe
        What it was made from.
    name : str
        The backbone's name.
    module : torch.nn.Module
        The network up to the layer.
    preprocess : Preprocess
        What it does to pictures first.
    width : int
        How many features it gives.
    """

    def __init__(
        self, recipe: Recipe, name: str, module: nn.Module, preprocess: Preprocess, width: int
    ) -> None:
        self.recipe = recipe
        self.name = name
        self.module = module
        self.preprocess = preprocess
        self.width = width
        self.device = torch.device(recipe.device)
        self.layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        # How many views went through at once when there last was memory for them.
        self._fits: int | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> "Network":
        """Load it.

        Raises
        ------
        WeightsUnavailableError, ImportError, FileNotFoundError, ValueError
            If it can't be had; the message says the way out.
        """
        backbone = get_backbone(recipe.backbone)
        preprocess = get_preprocess(recipe.preprocessing, backbone)
        module = backbone.load(recipe.layer, recipe.weights)
        width = backbone.layers[recipe.layer]
        if not width or callable(recipe.preprocessing):
            width = output_width(module.cpu(), preprocess, backbone.name)
        network = cls(recipe, backbone.name, module, preprocess, width)
        network.module = module.to(network.device).to(memory_format=network.layout)
        return network

    def features(self, views: torch.Tensor) -> torch.Tensor:
        """Compute the features of pictures from their views.

        Parameters
        ----------
        views : torch.Tensor of shape (n_images * crops, channels, height, width)
            What ``preprocess.views`` gave, one picture after the other.

        Returns
        -------
        torch.Tensor of shape (n_images, width), float32
            On the CPU; the mean over each picture's crops.
        """
        found = self._forward(views).float().flatten(1)
        return found.view(-1, self.recipe.crops, self.width).mean(dim=1).cpu()

    def _forward(self, views: torch.Tensor) -> torch.Tensor:
        n_views = len(views)
        size = min(n_views, self._fits or n_views)
        parts: list[torch.Tensor] = []
        done = 0
        while done < n_views:
            part, error = self._attempt(views[done : done + size])
            if part is not None:
                parts.append(part)
                done += len(part)
            elif size == 1:
                raise error
            else:
                size = self._halve(size, error)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _attempt(self, views: torch.Tensor) -> tuple[Any, Any]:
        # The error is returned, as while it is handled it would hold the very memory that
        # the next attempt needs.
        try:
            with torch.inference_mode(), autocast(self.device, self.recipe.precision):
                batch = self.preprocess.normalize(views.to(self.device))
                return self.module(batch.contiguous(memory_format=self.layout)), None
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            return None, error.with_traceback(None)

    def _halve(self, size: int, error: Exception) -> int:
        if self._fits is None:
            warnings.warn(
                f"Not enough memory for {size} views at a time on {self.device}: "
                f"{str(error).splitlines()[0]} The batch is halved, as often as needed; "
                "a smaller batch_size avoids the attempt.",
                RuntimeWarning,
                stacklevel=2,
            )
        self._fits = size // 2
        return self._fits

    @cached_property
    def identity(self) -> str:
        """What the features are known by, as text: the network, its weights, its input.

        Raises
        ------
        ValueError
            If a network or a preprocessing of the user's own has no code to be known
            by.
        """
        return identity(
            self.name,
            self.recipe.layer,
            self.module,
            self.preprocess,
            own=not isinstance(self.recipe.backbone, str),
            crops=self.recipe.crops,
            precision=self.recipe.precision,
        )


class _Kept:
    """The last few networks that were used."""

    def __init__(self) -> None:
        self._networks: OrderedDict[Any, Network] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, load: Callable[[], Network]) -> Network:
        # Loading is done under the lock too: threads that want the same network wait for
        # it instead of loading it once each.
        with self._lock:
            if key not in self._networks:
                self._networks[key] = load()
                while len(self._networks) > _KEPT:
                    self._networks.popitem(last=False)
            self._networks.move_to_end(key)
            return self._networks[key]

    def clear(self) -> None:
        with self._lock:
            self._networks.clear()


_KEPT_NETWORKS = _Kept()


def release_networks() -> None:
    """Let go of the networks that this process keeps ready.

    The last two pretrained networks used stay in memory, so that the many fits of a
    search load them once. Transformers that need one again load it again.

    Examples
    --------
    >>> from sklearn_memorability.features import release_networks
    >>> release_networks()
    """
    _KEPT_NETWORKS.clear()


def _is_out_of_memory(error: RuntimeError) -> bool:
    # CUDA has an error of its own for it, MPS and the CPU say it in words.
    text = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
    )
