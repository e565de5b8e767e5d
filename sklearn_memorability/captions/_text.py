"""The language side: which encoder, and what it is fed with."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_memorability.captions._network import (
    RECURRENT,
    BagEncoder,
    RecurrentEncoder,
    SentenceEncoder,
)

SENTENCES = "sentence:"


def is_worded(text_encoder: Any) -> bool:
    """Tell whether an encoder is one that learns from words."""
    return isinstance(text_encoder, str) and not text_encoder.startswith(SENTENCES)


def get_sentence_model(text_encoder: Any) -> Callable[[Sequence[str]], np.ndarray]:
    """Return the function that embeds sentences.

    Parameters
    ----------
    text_encoder : str, object with ``encode``, or callable
        ``"sentence:NAME"`` is a model of sentence-transformers; else the model itself.

    Returns
    -------
    callable
        From a list of strings to an array of shape (n_sentences, n_inputs).

    Raises
    ------
    ImportError
        If sentence-transformers is wanted and not installed.
    ValueError
        If there is no such kind of encoder, or it does not give finite rows.
    """
    if isinstance(text_encoder, str):
        if not text_encoder.startswith(SENTENCES):
            raise ValueError(
                f"text_encoder={text_encoder!r} is not one of 'lstm', 'gru', 'bow', "
                "'sentence:NAME' or a sentence model."
            )
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ImportError(
                f"text_encoder={text_encoder!r} needs sentence-transformers: "
                "pip install 'sklearn-memorability[sentences]'."
            ) from error
        text_encoder = SentenceTransformer(text_encoder.removeprefix(SENTENCES))
    encode = text_encoder.encode if hasattr(text_encoder, "encode") else text_encoder

    def embed(captions: Sequence[str]) -> np.ndarray:
        rows = np.asarray(encode(list(captions)), dtype=np.float32)
        if rows.ndim != 2 or len(rows) != len(captions) or not np.isfinite(rows).all():
            raise ValueError(
                f"text_encoder gave an array of shape {rows.shape} for {len(captions)} captions; "
                "it must give one finite row a caption."
            )
        return rows

    return embed


def build_text_side(
    kind: Any,
    *,
    n_inputs: int,
    word_dim: int,
    n_components: int,
    dropout: float = 0.0,
    seeds: tuple[int, int] = (0, 0),
) -> nn.Module:
    """Return the network of the language side.

    Parameters
    ----------
    kind : {"lstm", "gru", "bow"} or a sentence model
        Which one.
    n_inputs : int
        Words in the vocabulary, or the width of a sentence embedding.
    word_dim : int
        Dimension of word vectors.
    n_components : int
        Dimension of the space.
    dropout : float
        As in the encoders.
    seeds : pair of int
        Of initialisation and dropout.

    Returns
    -------
    torch.nn.Module
    """
    if not is_worded(kind):
        return SentenceEncoder(n_inputs, n_components, dropout, seeds)
    if kind in RECURRENT:
        return RecurrentEncoder(n_inputs, word_dim, n_components, kind, dropout, seeds)
    return BagEncoder(n_inputs, word_dim, n_components, dropout, seeds)


def set_word_vectors(encoder: Any, numbers: np.ndarray, vectors: np.ndarray) -> None:
    """Let the known words start from given vectors, scaled as the others are."""
    scale = 0.1 / max(float(vectors.std()), 1e-12)
    with torch.no_grad():
        encoder.words.weight[torch.from_numpy(numbers)] = torch.from_numpy(vectors * scale)


def on_cpu(module: nn.Module) -> nn.Module:
    """Return a copy of a network for predictions, on the CPU."""
    return copy.deepcopy(module).cpu().eval().requires_grad_(False)
