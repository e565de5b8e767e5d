"""The classifier's network: a branch for each feature set, a merge, shared layers."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
}

Columns = slice | tuple[int, ...]


class BranchedMLP(nn.Module):
    """Branches over columns of X, concatenated, then shared layers and logits.

    The paper's Fig. 1 (section 2.2): each feature set has layers of its own before
    the merge. Weights start as in Keras, which the paper used: Glorot's uniform
    distribution, zero biases.

    Parameters
    ----------
    branches : sequence of slice or tuple of int
        The columns of each branch.
    widths : sequence of int
        How many columns each branch has.
    branch_sizes, hidden_layer_sizes : sequence of int
        Units of each layer of every branch, and of the shared layers.
    n_classes : int
        How many logits there are.
    activation : {"relu", "tanh", "gelu"}
        Applied behind every layer but the last.
    dropout : float
        Share of the units left out behind every layer but the last, in training.
    init_seed, dropout_seed : int
        Seeds of this network's own generators; torch's global one is not touched.
    """

    def __init__(
        self,
        branches: Sequence[Columns],
        widths: Sequence[int],
        branch_sizes: Sequence[int],
        hidden_layer_sizes: Sequence[int],
        n_classes: int,
        activation: str,
        dropout: float,
        init_seed: int,
        dropout_seed: int,
    ) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(init_seed)
        self.columns = [c if isinstance(c, slice) else list(c) for c in branches]
        self.branches = nn.ModuleList(_layers([width, *branch_sizes], chance) for width in widths)
        merged = sum([width, *branch_sizes][-1] for width in widths)
        self.shared = _layers([merged, *hidden_layer_sizes], chance)
        self.output = _layers([[merged, *hidden_layer_sizes][-1], n_classes], chance)[0]
        self.activation = activation
        self.dropout = dropout
        self.dropout_seed = dropout_seed
        self._dropout_generator: torch.Generator | None = None

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the logits, of shape (n_samples, n_classes)."""
        merged = [
            self._through(layers, X[:, columns])
            for columns, layers in zip(self.columns, self.branches, strict=True)
        ]
        return self.output(self._through(self.shared, torch.cat(merged, dim=1)))

    def _through(self, layers: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            x = self._drop(ACTIVATIONS[self.activation](layer(x)))
        return x

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.dropout == 0:
            return x
        if self._dropout_generator is None or self._dropout_generator.device != x.device:
            self._dropout_generator = torch.Generator(x.device).manual_seed(self.dropout_seed)
        kept = 1.0 - self.dropout
        mask = torch.empty_like(x).bernoulli_(kept, generator=self._dropout_generator)
        return x * mask.div_(kept)

    def __getstate__(self) -> dict[str, Any]:
        # Generators can't be pickled or copied everywhere; this one comes back from
        # its seed.
        return {**self.__dict__, "_dropout_generator": None}


def _layers(sizes: Sequence[int], chance: torch.Generator) -> nn.ModuleList:
    layers = nn.ModuleList()
    for n_in, n_out in pairwise(sizes):
        # skip_init leaves out torch's own initialisation and its global generator.
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
        nn.init.xavier_uniform_(layer.weight, generator=chance)
        nn.init.zeros_(layer.bias)
        layers.append(layer)
    return layers
