"""What a transformer needs of a joint space of pictures and captions, and where it is from."""

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from sklearn_memorability.captions import load_embedding
from sklearn_memorability.features._families import clip_captions, get_backbone

# Floor of a norm: a row of zeros stays one.
_TINY = 1e-12


class JointSpace(Protocol):
    """What is needed of an embedding: a fitted ``VisualSemanticEmbedding`` has it."""

    n_features_in_: int
    n_components_: int
    network_: dict[str, Any] | None

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Project features of pictures; rows have unit length."""

    def transform_captions(self, captions: list[str]) -> np.ndarray:
        """Project captions; rows have unit length."""


class ClipSpace:
    """The joint space of a CLIP model; its text side is loaded for the first caption.

    Parameters
    ----------
    backbone : str
        ``"clip:MODEL/PRETRAINED"``.
    """

    def __init__(self, backbone: str) -> None:
        self.network_: dict[str, Any] | None = {"backbone": backbone}
        self._name = backbone.removeprefix("clip:")
        self.n_features_in_ = self.n_components_ = get_backbone(backbone).layers["embedding"]
        self._place: tuple[str | None, torch.device] = None, torch.device("cpu")
        self._encode: Callable[[list[str]], torch.Tensor] | None = None

    def place(self, weights: str | None, device: torch.device) -> None:
        """Say where the weights are (None: downloaded), and where to compute."""
        if self._place != (weights, device):
            self._place, self._encode = (weights, device), None

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Scale rows to unit length."""
        return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), _TINY)

    def transform_captions(self, captions: list[str]) -> np.ndarray:
        """Project captions; rows have unit length."""
        if self._encode is None:
            self._encode = clip_captions(self._name, *self._place)
        return self.transform(self._encode(captions).numpy())


def open_embedding(embedding: Any) -> JointSpace:
    """Return the joint space that ``CaptionEmbedding(embedding)`` asks for.

    Raises
    ------
    FileNotFoundError
        If it is a file that does not exist.
    ImportError
        If it needs an extra that is not installed; names it.
    ValueError
        If it is not fitted, not known to open_clip, or a damaged file.
    """
    if isinstance(embedding, str) and embedding.startswith("clip:"):
        return ClipSpace(embedding)
    if isinstance(embedding, str | os.PathLike):
        return load_embedding(os.fspath(embedding))
    if getattr(embedding, "n_components_", None) is None:
        raise ValueError(
            f"embedding={embedding!r} is not fitted: fit it first. If it was, a search or a "
            "meta-estimator has cloned it: pass sklearn.frozen.FrozenEstimator(embedding), or the "
            "file that it was saved to."
        )
    return embedding
