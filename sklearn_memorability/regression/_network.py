"""The classifier's network (a branch for each feature set, a merge, shared layers) and its net."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.history import History
from torch import nn
from torch.nn import functional

from sklearn_memorability._training import IndexBatches
from sklearn_memorability.regression._kernel_path import KernelPath, KernelRidge

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
}

Columns = slice | tuple[int, ...]

_PREDICTION_BATCH = 1024


class BranchedMLP(nn.Module):
    """Branches over columns of X, concatenated, then shared layers and logits.

    The paper's Fig. 1 (section 2.2): each feature set has layers of its own before
    the merge. Weights start as in Keras, which the paper used: Glorot's uniform
    distribution, zero biases.

    Parameters
    ----------
    branches : sequence of slice or tuple of int
        The columns of each branch.
    branch_sizes, hidden_layer_sizes : sequence of int
        Units of each layer of every branch, and of the layers behind the merge.
    n_classes : int
        Number of logits.
    activation : {"relu", "tanh", "gelu"}
        Applied behind every layer but the last.
    dropout, input_dropout : float
        Share of the units, and of the inputs, left out in training.
    n_members : int
        Number of networks trained side by side.
    kernel_path : KernelPath, optional
        Class probabilities to mix in when predicting.
    init_seed, dropout_seed : int
        Seeds of this network's own generators; torch's global one is not touched.
    """

    def __init__(
        self,
        branches: Sequence[Columns],
        branch_sizes: Sequence[int],
        hidden_layer_sizes: Sequence[int],
        n_classes: int,
        activation: str,
        dropout: float,
        input_dropout: float = 0.0,
        n_members: int = 1,
        kernel_path: KernelPath | None = None,
        init_seed: int = 0,
        dropout_seed: int = 0,
    ) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(init_seed)

        def layers(sizes: Sequence[int]) -> nn.ModuleList:
            return nn.ModuleList(_layer(*sides, n_members, rng) for sides in pairwise(sizes))

        widths = [c.stop - c.start if isinstance(c, slice) else len(c) for c in branches]
        self.columns = [c if isinstance(c, slice) else list(c) for c in branches]
        self.branches = nn.ModuleList(layers([width, *branch_sizes]) for width in widths)
        merged = sum([width, *branch_sizes][-1] for width in widths)
        sizes = [merged, *hidden_layer_sizes]
        self.shared = layers(sizes)
        self.output = _layer(sizes[-1], n_classes, n_members, rng)
        self.kernel_path = kernel_path
        self.n_members = n_members
        self.activation = ACTIVATIONS[activation]
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.dropout_seed = dropout_seed
        self._rng: torch.Generator | None = None

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the logits.

        Of shape (n_samples, n_classes); in the training of several members
        (n_members, n_samples, n_classes), one set for each. When several members or a
        kernel path predict, the logits are those of the mixed probabilities.
        """
        inputs = self._mask_inputs(X)
        merged = [
            self._through(layers, inputs[..., columns])
            for columns, layers in zip(self.columns, self.branches, strict=True)
        ]
        logits = self.output(self._through(self.shared, torch.cat(merged, dim=-1)))
        if self.training or (self.n_members == 1 and self.kernel_path is None):
            return logits
        log_proba = logits.log_softmax(dim=-1)
        if self.n_members > 1:
            log_proba = log_proba.logsumexp(dim=0) - math.log(self.n_members)
        if self.kernel_path is not None:
            proba = torch.lerp(log_proba.exp(), self.kernel_path(X), self.kernel_path.weight)
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
        if self.n_members > 1:
            X = X.expand(self.n_members, -1, -1)
        return X * self._mask(X, kept).div_(math.sqrt(kept))

    def _through(self, layers: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            x = self._drop(self.activation(layer(x)))
        return x

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.dropout == 0:
            return x
        kept = 1.0 - self.dropout
        return x * self._mask(x, kept).div_(kept)

    def _mask(self, x: torch.Tensor, kept: float) -> torch.Tensor:
        if self._rng is None or self._rng.device != x.device:
            self._rng = torch.Generator(x.device).manual_seed(self.dropout_seed)
        # Four times as fast as Tensor.bernoulli_, which would take a third of a fit.
        return (torch.rand(x.shape, device=x.device, generator=self._rng) < kept).to(x.dtype)


class MemberLinear(nn.Module):
    """A linear layer for each member, all in one batched product."""

    def __init__(self, n_in: int, n_out: int, n_members: int, rng: torch.Generator) -> None:
        super().__init__()
        limit = math.sqrt(6 / (n_in + n_out))
        weight = torch.empty(n_members, n_in, n_out).uniform_(-limit, limit, generator=rng)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(n_members, 1, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ([n_members,] n_samples, n_in) to (n_members, n_samples, n_out)."""
        return x @ self.weight + self.bias


class DistributionLoss(nn.CrossEntropyLoss):
    """Cross-entropy to a distribution over classes, averaged over rows and members."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits of shape ([n_members,] n_samples, n_classes)."""
        if logits.ndim == 2:
            return super().forward(logits, target)
        return -(target * logits.log_softmax(dim=-1)).sum(dim=-1).mean()


def build_net(network: Mapping[str, Any], device: torch.device, **settings: Any) -> NeuralNet:
    """Return the skorch net, not initialised, of a network with these arguments."""
    return NeuralNet(
        BranchedMLP,
        **{f"module__{name}": value for name, value in network.items()},
        criterion=DistributionLoss,
        iterator_train=IndexBatches,
        iterator_valid=IndexBatches,
        iterator_valid__batch_size=_PREDICTION_BATCH,
        train_split=None,
        device=str(device),
        **settings,
    )


def plain_net(net: NeuralNet) -> dict[str, Any]:
    """Return what a trained net can be built from again: settings and NumPy arrays."""
    left_out = {"kernel_path", "init_seed", "dropout_seed"}
    settings = net.get_params_for("module").items()
    weights = net.module_.state_dict().items()
    return {
        "network": {name: value for name, value in settings if name not in left_out},
        "weights": {name: tensor.detach().cpu().numpy() for name, tensor in weights},
        "history": [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history],
    }


def rebuilt_net(plain: Mapping[str, Any], n_features: int, device: torch.device) -> NeuralNet:
    """Return the net that :func:`plain_net` described; a ValueError if it does not fit itself."""
    network, weights = dict(plain["network"]), plain["weights"]
    try:
        landmarks = weights.get("kernel_path.landmarks")
        if landmarks is not None:
            ridge = KernelRidge(landmarks, 0.0, weights["kernel_path.coef"], 0.0, 0.0)
            network["kernel_path"] = KernelPath(ridge, weights["kernel_path.thresholds"])
        # A network on this device has shapes and no memory, whatever sizes a file gives.
        with torch.device("meta"):
            expected = {k: tuple(v.shape) for k, v in BranchedMLP(**network).state_dict().items()}
        if landmarks is not None:
            expected["kernel_path.landmarks"] = (len(landmarks), n_features)
            expected["kernel_path.coef"] = (len(landmarks),)
            expected["kernel_path.thresholds"] = (network["n_classes"] - 1,)
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise ValueError("The settings of the stored network are damaged.") from error
    found = {name: np.shape(array) for name, array in weights.items()}
    if found != expected:
        raise ValueError(
            f"The stored network needs arrays of the shapes {expected}, and has {found}."
        )
    for name, array in weights.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ValueError(f"The stored weights {name!r} are not finite numbers of float32.")
    net = build_net(network, device, callbacks__print_log=None, verbose=0).initialize()
    net.module_.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
    net.history_ = History({**epoch, "batches": []} for epoch in plain["history"])
    return net


def _layer(n_in: int, n_out: int, n_members: int, rng: torch.Generator) -> nn.Module:
    if n_members > 1:
        return MemberLinear(n_in, n_out, n_members, rng)
    # skip_init leaves out torch's own initialisation and its global generator.
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, device=torch.get_default_device())
    nn.init.xavier_uniform_(layer.weight, generator=rng)
    nn.init.zeros_(layer.bias)
    return layer
