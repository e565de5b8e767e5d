"""The classifier's network: a branch for each feature set, a merge, shared layers."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sklearn_memorability.regression._linear_path import LinearPath

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
        Units of each layer of every branch, and of the layers behind the merge.
    n_classes : int
        How many logits there are.
    activation : {"relu", "tanh", "gelu"}
        Applied behind every layer but the last.
    dropout : float
        Share of the units left out behind every layer but the last, in training.
    init_seed, dropout_seed : int
        Seeds of this network's own generators; torch's global one is not touched.
    n_members : int
        How many networks are trained side by side.
    share_weights : bool
        Whether the members share the matrices of all layers but the last.
    input_dropout : float
        Share of the inputs left out in training.
    linear_path : LinearPath, optional
        Class probabilities to mix in when predicting.
    linear_weight : float
        Their weight in the mixture.
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
        n_members: int = 1,
        share_weights: bool = True,
        input_dropout: float = 0.0,
        linear_path: LinearPath | None = None,
        linear_weight: float = 0.0,
    ) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(init_seed)

        def layers(sizes: Sequence[int], share: bool) -> nn.ModuleList:
            return nn.ModuleList(
                _layer(n_in, n_out, n_members, share, chance) for n_in, n_out in pairwise(sizes)
            )

        self.columns = [c if isinstance(c, slice) else list(c) for c in branches]
        self.branches = nn.ModuleList(
            layers([width, *branch_sizes], share_weights) for width in widths
        )
        merged = sum([width, *branch_sizes][-1] for width in widths)
        sizes = [merged, *hidden_layer_sizes]
        self.shared = layers(sizes, share_weights)
        self.output = layers([sizes[-1], n_classes], False)[0]
        self.linear_path = linear_path
        self.linear_weight = linear_weight
        self.n_members = n_members
        self.share_weights = share_weights
        self.input_dropout = input_dropout
        self.activation = activation
        self.dropout = dropout
        self.dropout_seed = dropout_seed
        self._dropout_generator: torch.Generator | None = None

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the logits.

        Of shape (n_samples, n_classes); in the training of several members
        (n_members, n_samples, n_classes), one set for each. When several members or a
        linear path predict, the logits are those of the mixed probabilities.
        """
        inputs = self._mask_inputs(X)
        merged = [
            self._through(layers, inputs[..., columns])
            for columns, layers in zip(self.columns, self.branches, strict=True)
        ]
        logits = self.output(self._through(self.shared, torch.cat(merged, dim=-1)))
        if self.training or (self.n_members == 1 and self.linear_path is None):
            return logits
        log_proba = logits.log_softmax(dim=-1)
        if self.n_members > 1:
            log_proba = log_proba.logsumexp(dim=0) - math.log(self.n_members)
        if self.linear_path is not None:
            proba = torch.lerp(log_proba.exp(), self.linear_path(X), self.linear_weight)
            # The smallest normal number, so that a class ruled out has a logit too.
            log_proba = proba.clamp_min(torch.finfo(proba.dtype).tiny).log()
        return log_proba

    def _mask_inputs(self, X: torch.Tensor) -> torch.Tensor:
        # Near a rate of 1, at which the network hardly sees its input, the usual scaling
        # by 1 / kept would blow up what is left; this one keeps the variance instead.
        if self.input_dropout == 0:
            return X
        kept = 1.0 - self.input_dropout
        if not self.training:
            return X * math.sqrt(kept)
        if self.n_members > 1 and not self.share_weights:
            X = X.expand(self.n_members, -1, -1)
        return X * self._mask(X, kept).div_(math.sqrt(kept))

    def _through(self, layers: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            x = self._drop(ACTIVATIONS[self.activation](layer(x)))
        return x

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.dropout == 0:
            return x
        kept = 1.0 - self.dropout
        return x * self._mask(x, kept).div_(kept)

    def _mask(self, x: torch.Tensor, kept: float) -> torch.Tensor:
        if self._dropout_generator is None or self._dropout_generator.device != x.device:
            self._dropout_generator = torch.Generator(x.device).manual_seed(self.dropout_seed)
        return torch.empty(x.shape, dtype=x.dtype, device=x.device).bernoulli_(
            kept, generator=self._dropout_generator
        )

    def __getstate__(self) -> dict[str, Any]:
        # Generators can't be pickled or copied everywhere; this one comes back from
        # its seed.
        return {**self.__dict__, "_dropout_generator": None}


class DistributionLoss(nn.CrossEntropyLoss):
    """Cross-entropy to a distribution over classes, averaged over rows and members."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits of shape ([n_members,] n_samples, n_classes)."""
        if logits.ndim == 2:
            return super().forward(logits, target)
        return -(target * logits.log_softmax(dim=-1)).sum(dim=-1).mean()


class OwnLinear(nn.Module):
    """A linear layer for each member, all in one batched product."""

    def __init__(self, n_in: int, n_out: int, n_members: int, chance: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(_glorot((n_members, n_in, n_out), chance))
        self.bias = nn.Parameter(torch.zeros(n_members, 1, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ([n_members,] n_samples, n_in) to (n_members, n_samples, n_out)."""
        return x @ self.weight + self.bias


class SharedLinear(nn.Module):
    """One matrix for all members, whose outputs each scales and shifts its own way.

    The output half of BatchEnsemble (Wen, Tran, Ba 2020). Its input half would run
    every member's copy of a wide X through the matrix; leaving it out, X goes through
    once. The scales start as random signs, which makes the members differ.
    """

    def __init__(self, n_in: int, n_out: int, n_members: int, chance: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(_glorot((n_in, n_out), chance))
        signs = torch.empty(n_members, 1, n_out).bernoulli_(0.5, generator=chance)
        self.scale = nn.Parameter(2 * signs - 1)
        self.bias = nn.Parameter(torch.zeros(n_members, 1, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ([n_members,] n_samples, n_in) to (n_members, n_samples, n_out)."""
        return (x @ self.weight) * self.scale + self.bias


def _layer(
    n_in: int, n_out: int, n_members: int, share: bool, chance: torch.Generator
) -> nn.Module:
    if n_members > 1:
        kind = SharedLinear if share else OwnLinear
        return kind(n_in, n_out, n_members, chance)
    # skip_init leaves out torch's own initialisation and its global generator.
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
    nn.init.xavier_uniform_(layer.weight, generator=chance)
    nn.init.zeros_(layer.bias)
    return layer


def _glorot(shape: tuple[int, ...], chance: torch.Generator) -> torch.Tensor:
    limit = math.sqrt(6 / (shape[-2] + shape[-1]))
    return torch.empty(shape).uniform_(-limit, limit, generator=chance)
