"""The skorch net of one fit, built from the embedding's settings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils import Bunch, gen_batches
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping, ProgressBar

from sklearn_memorability._training import optimizer_settings, silence, stop_early
from sklearn_memorability.captions._batches import CaptionBatches, CaptionRows
from sklearn_memorability.captions._network import JointNetwork, RankingLoss
from sklearn_memorability.captions._recall import caption_recall

CAPTIONS_AT_A_TIME = 512
_LEAST_NORM = 1e-12


def build_net(
    model: Any,
    side: torch.nn.Module,
    rows: CaptionRows,
    held: np.ndarray,
    seeds: Sequence[int],
    device: torch.device,
) -> NeuralNet:
    """Return the net that trains an embedding, not initialised.

    Parameters
    ----------
    model : VisualSemanticEmbedding
        Its parameters are the settings.
    side : torch.nn.Module
        The language side.
    rows : CaptionRows
        The pictures and all their captions.
    held : numpy.ndarray of int
        The captions to judge the epochs by; none trains to the end.
    seeds : sequence of three int
        Of initialisation, dropout and shuffling.
    device : torch.device
        Where to train.

    Returns
    -------
    skorch.NeuralNet
        To be fitted with the places of captions in ``rows``.
    """
    init_seed, dropout_seed, shuffle_seed = seeds
    callbacks: list[Any] = []
    if model.max_grad_norm is not None:
        callbacks.append(("clip", GradientNormClipping(model.max_grad_norm)))
    if len(held):

        def valid_recall(net: NeuralNet) -> float:
            return recall_on(net, rows, held).sum

        callbacks += stop_early("valid_recall", valid_recall, model.patience)
    if model.verbose:
        callbacks.append(("progress", ProgressBar()))
    return NeuralNet(
        JointNetwork,
        module__n_features=rows.features.shape[1],
        module__n_components=model.n_components,
        module__text=side,
        module__dropout=model.dropout,
        module__init_seed=init_seed,
        module__dropout_seed=dropout_seed,
        criterion=RankingLoss,
        criterion__negatives=model.negatives,
        criterion__margin=model.margin,
        criterion__temperature=model.temperature,
        lr=model.lr,
        optimizer__weight_decay=model.weight_decay,
        **optimizer_settings(model.optimizer, device),
        max_epochs=model.max_epochs,
        batch_size=model.batch_size,
        iterator_train=CaptionBatches,
        iterator_train__rows=rows,
        iterator_train__seed=shuffle_seed,
        train_split=None,
        callbacks=callbacks,
        verbose=model.verbose,
        **silence(model.verbose),
        device=str(device),
    )


def recall_on(net: NeuralNet, rows: CaptionRows, captions: np.ndarray) -> Bunch:
    """Return the recall of a net in training on some captions and their pictures."""
    pictures, owner = np.unique(rows.owner[captions], return_inverse=True)
    module = net.module_.eval()
    with torch.inference_mode():
        X = torch.from_numpy(rows.features[pictures]).to(net.device)
        image = module.image(torch.nn.functional.normalize(X)).cpu().numpy()
        text = [
            module.text(rows.batch(captions[part])[0]["text"].to(net.device)).cpu().numpy()
            for part in gen_batches(len(captions), CAPTIONS_AT_A_TIME)
        ]
    return caption_recall(unit(image), unit(np.concatenate(text)), owner)


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to unit length; a row of zeros stays one."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(norms, _LEAST_NORM)
