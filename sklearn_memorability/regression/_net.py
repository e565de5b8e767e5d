"""The skorch net of one fit, built from the regressor's settings."""

from collections.abc import Sequence
from typing import Any

from skorch import NeuralNet

from sklearn_memorability._training import IndexBatches, optimizer_settings, silence
from sklearn_memorability.regression._branches import width
from sklearn_memorability.regression._distributed import Processes
from sklearn_memorability.regression._linear_path import LinearPath
from sklearn_memorability.regression._network import BranchedMLP, Columns, DistributionLoss

PREDICTION_BATCH = 1024


def build_net(
    model: Any,
    *,
    columns: Sequence[Columns],
    n_classes: int,
    input_dropout: float,
    linear_path: LinearPath | None,
    seeds: Sequence[int],
    max_epochs: int,
    processes: Processes,
    callbacks: list[Any],
) -> NeuralNet:
    """Return the net that trains a regressor's network, not initialised.

    Parameters
    ----------
    model : BalancedQuantileClassifierRegressor
        Its parameters are the settings; what they leave to the data comes beside them.
    columns : sequence of slice or tuple of int
        The columns of each branch.
    n_classes : int
        How many classes there are.
    input_dropout : float
        Share of the inputs left out in training.
    linear_path : LinearPath or None
        The path beside the network.
    seeds : sequence of three int
        Of initialisation, dropout and shuffling.
    max_epochs : int
        Passes over the rows.
    processes : Processes
        Where to train, and who with.
    callbacks : list
        skorch callbacks.

    Returns
    -------
    skorch.NeuralNet
    """
    init_seed, dropout_seed, shuffle_seed = seeds
    verbose = model.verbose if processes.index == 0 else 0
    return NeuralNet(
        BranchedMLP,
        module__branches=list(columns),
        module__widths=[width(c) for c in columns],
        module__branch_sizes=tuple(model.branch_sizes),
        module__hidden_layer_sizes=tuple(model.hidden_layer_sizes),
        module__n_classes=n_classes,
        module__activation=model.activation,
        module__dropout=model.dropout,
        module__init_seed=init_seed,
        # Each process leaves out units of its own choice.
        module__dropout_seed=dropout_seed + processes.index,
        module__n_members=model.n_members,
        module__share_weights=model.share_weights,
        module__input_dropout=input_dropout,
        module__linear_path=linear_path,
        module__linear_weight=model.linear_weight,
        criterion=DistributionLoss,
        lr=model.lr,
        optimizer__weight_decay=model.weight_decay,
        **optimizer_settings(model.optimizer, processes.device),
        max_epochs=max_epochs,
        batch_size=model.batch_size,
        iterator_train=processes.batches,
        iterator_train__seed=shuffle_seed,
        iterator_valid=IndexBatches,
        iterator_valid__batch_size=PREDICTION_BATCH,
        train_split=None,
        callbacks=[*processes.callbacks, *callbacks],
        verbose=verbose,
        **silence(verbose),
        device=str(processes.device),
    )
