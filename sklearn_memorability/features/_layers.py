"""Several layers of a network as one row: maps by their mean and standard deviation."""

import math
import threading
from functools import partial
from typing import Any

import torch
from torch import nn

STAGES = "stages"
_Traced = dict[str, tuple[int, torch.Tensor]]


class Layers(nn.Module):
    """A network that gives the outputs of several of its layers, side by side.

    ``names`` are paths of its parts; ``default`` stands for its own output.
    """

    def __init__(self, network: nn.Module, names: list[str], default: str) -> None:
        super().__init__()
        self.network = network
        self.names = names
        self.default = default
        self._found = threading.local()  # threads share the network
        for name in set(names) - {default}:
            network.get_submodule(name).register_forward_hook(partial(self._keep, name))

    def _keep(self, name: str, layer: nn.Module, given: Any, output: torch.Tensor) -> None:
        # Pooled at once, as what comes next may work in place.
        vars(self._found)[name] = pooled(output)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From images to the layers' outputs."""
        output = self.network(x)
        found = {**vars(self._found), self.default: pooled(output)}
        vars(self._found).clear()  # what gradients hang on
        return torch.cat([found[name] for name in self.names], dim=1)


def pooled(x: torch.Tensor) -> torch.Tensor:
    """Return mean and standard deviation over positions, or a vector as it is."""
    x = _by_position(x).float()
    if x.shape[2] == 1:
        return x[:, :, 0]
    std, mean = torch.std_mean(x, dim=2, correction=0)
    return torch.cat([mean, std], dim=1)


def _by_position(x: torch.Tensor) -> torch.Tensor:
    """Return an output as (n, channels, positions)."""
    if x.ndim == 2:
        return x[:, :, None]
    if x.ndim == 3:
        # In front of an image's patches, which are a square, stand tokens of other kinds.
        return x[:, x.shape[1] - math.isqrt(x.shape[1]) ** 2 :].transpose(1, 2)
    if x.shape[1] == x.shape[2] != x.shape[3]:  # some transformers have channels last
        x = x.movedim(3, 1)
    return x.flatten(2)


def find_layers(
    network: nn.Module, layer: str, default: str, stages: tuple[str, ...], batch: torch.Tensor
) -> list[str]:
    """Return the names of the layers in ``layer``, where commas are between them."""
    traced, output = _trace(network, batch)
    stages = stages or _stages(network, traced, default, output)
    names = [
        found for name in layer.split(",") for found in (stages if name == STAGES else (name,))
    ]
    unknown = [name for name in names if name not in traced and name != default]
    if unknown:
        depth = max(map(_depth, stages))
        maps = [name for name, (n, _) in traced.items() if n > 1 and _depth(name) <= depth]
        raise ValueError(
            f"layer={unknown[0]!r} is not a layer of the network; it has {default!r}, {STAGES!r} "
            f"and its parts by their names, such as {maps}."
        )
    return names


def _trace(network: nn.Module, batch: torch.Tensor) -> tuple[_Traced, torch.Tensor]:
    """Return each part's positions and their mean, as parts end in turn, and the output."""
    traced: _Traced = {}

    def keep(name: str, part: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim in (2, 3, 4) and len(output) == 1:
            found = _by_position(output.float())
            traced.pop(name, None)
            traced[name] = found.shape[2], found.mean(dim=2)

    parts = [(name, part) for name, part in network.named_modules() if name]
    hooks = [part.register_forward_hook(partial(keep, name)) for name, part in parts]
    try:
        with torch.inference_mode():
            return traced, network(batch)
    finally:
        for hook in hooks:
            hook.remove()


def _stages(
    network: nn.Module, traced: _Traced, default: str, output: torch.Tensor
) -> tuple[str, ...]:
    """Return the last map at each of the last three resolutions, and the default layer."""
    # A transformer has one resolution: its blocks at the half, at three quarters and at the end.
    maps = {name: n for name, (n, _) in traced.items() if n > 1}
    # What lies deeper is inside of a block, attention for instance.
    deepest = 1 + min(map(_depth, maps), default=0)
    last: dict[int, str] = {}
    for name, n_positions in maps.items():
        if _depth(name) <= min(deepest, _depth(last.get(n_positions, name))):
            last[n_positions] = name
    chosen = [last[n_positions] for n_positions in sorted(last, reverse=True)[-3:]]
    series = [
        names
        for parent, part in network.named_modules()
        if isinstance(part, nn.Sequential | nn.ModuleList)
        and len(names := [n for n in maps if n.rpartition(".")[0] == parent]) > 1
    ]
    if len(last) < 3 and series:
        blocks = min(series, key=lambda names: (_depth(names[0]), -len(names)))
        n = len(blocks)
        chosen = [blocks[i] for i in sorted({max(0, n // 2 - 1), 3 * n // 4 - 1, n - 1})]
    if chosen:
        mean = traced[chosen[-1]][1]
        if mean.shape == output.shape and torch.allclose(mean, output, rtol=1e-3):
            return tuple(chosen)  # the default is among them
    return (*chosen, default)


def _depth(name: str) -> int:
    return name.count(".")
