"""What becomes of a fitted network outside the process: settings and tensors."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from skorch.history import History

from sklearn_memorability._torch import resolve_device
from sklearn_memorability.regression._branches import is_sizes, width
from sklearn_memorability.regression._distributed import Processes
from sklearn_memorability.regression._linear_path import LinearPath, Ridge
from sklearn_memorability.regression._net import build_net

# What the file's tensors say, or what is drawn anew in the next fit.
_LEFT_OUT = {"linear_path", "init_seed", "dropout_seed"}
# What a network's settings are, beside its sizes.
_SIZES = {"branches", "widths", "branch_sizes", "hidden_layer_sizes", "n_classes", "n_members"}
_KINDS = {
    "activation": str,
    "dropout": float | int,
    "input_dropout": float | int,
    "linear_weight": float | int,
    "share_weights": bool | np.bool_,
}


def take_network(model: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what a fitted regressor's network can be built from again.

    Parameters
    ----------
    model : BalancedQuantileClassifierRegressor
        Fitted; it is not changed.

    Returns
    -------
    settings : dict
        Numbers, strings and containers of them. They are those of the fit, whatever
        ``set_params`` did since.
    tensors : dict of str to torch.Tensor
        The weights, on the CPU.
    """
    net = model.net_
    network = {k: v for k, v in net.get_params_for("module").items() if k not in _LEFT_OUT}
    history = [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history]
    tensors = {name: t.detach().cpu().contiguous() for name, t in net.module_.state_dict().items()}
    return {"network": network, "history": history}, tensors


def put_network(
    model: Any,
    settings: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    device: str | torch.device | None,
) -> None:
    """Give a regressor the network that :func:`take_network` took.

    Parameters
    ----------
    model : BalancedQuantileClassifierRegressor
        With all that was fitted but the network.
    settings : mapping
        The settings.
    tensors : mapping of str to torch.Tensor
        The weights.
    device : str, torch.device or None
        Where to predict; None is the best there is.

    Raises
    ------
    ValueError
        If they don't fit each other or the regressor.
    """
    network = dict(settings["network"])
    _check_sizes(network, tensors)
    n_classes, n_features = network["n_classes"], model.n_features_in_
    if not len(model.thresholds_) == len(model.class_values_) == n_classes == model.n_classes_:
        raise ValueError("the classes of the regressor and those of its network differ.")
    for columns in network["branches"]:
        stop = columns.stop if isinstance(columns, slice) else max(columns) + 1
        if not stop <= n_features:
            raise ValueError(f"a branch reads column {stop - 1} of {n_features}.")
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ValueError("a weight is not finite.")
    path = None
    if any(name.startswith("linear_path.") for name in tensors):
        path = LinearPath(Ridge(np.zeros(n_features), 0.0, 1.0, 1.0), np.zeros(n_classes - 1))

    device = resolve_device(device)
    net = build_net(
        model,
        columns=network["branches"],
        n_classes=n_classes,
        input_dropout=network["input_dropout"],
        linear_path=path,
        seeds=(0, 0, 0),
        max_epochs=model.max_epochs,
        processes=Processes(device),
        callbacks=[],
    )
    net.set_params(**{f"module__{name}": value for name, value in network.items()})
    net.initialize()
    net.module_.load_state_dict(dict(tensors))
    net.history_ = History({**epoch, "batches": []} for epoch in settings["history"])
    model.net_, model.history_, model.device_ = net, net.history, device


def _check_sizes(network: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that a network is as large as its tensors, before memory is taken for it."""
    if network.keys() != _SIZES | _KINDS.keys() or not all(
        isinstance(network[name], kind) for name, kind in _KINDS.items()
    ):
        raise ValueError("the settings of its network are none.")
    widths, n_members = network["widths"], network["n_members"]
    before, behind = network["branch_sizes"], network["hidden_layer_sizes"]
    sizes = [*widths, *before, *behind, network["n_classes"], n_members]
    if not is_sizes(sizes) or widths != [width(columns) for columns in network["branches"]]:
        raise ValueError("the sizes of its network are none.")
    merged = [sum([w, *before][-1] for w in widths), *behind]
    layers = {
        f"branches.{b}.{i}": pair
        for b, w in enumerate(widths)
        for i, pair in enumerate(pairwise([w, *before]))
    }
    layers |= {f"shared.{i}": pair for i, pair in enumerate(pairwise(merged))}
    layers["output"] = merged[-1], network["n_classes"]
    for name, (n_in, n_out) in layers.items():
        one_matrix = network["share_weights"] and name != "output"
        n_weights = n_in * n_out * (1 if one_matrix else n_members)
        expected = {f"{name}.weight": n_weights, f"{name}.bias": n_out * n_members}
        for tensor, n_numbers in expected.items():
            if tensor not in tensors or tensors[tensor].numel() != n_numbers:
                raise ValueError(f"its network needs {n_numbers} numbers in {tensor}.")
