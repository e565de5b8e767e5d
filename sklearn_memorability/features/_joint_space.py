"""The joint spaces that ``CaptionEmbedding`` takes."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sklearn_memorability.captions import load_embedding
from sklearn_memorability.captions._visual_semantic import BUNDLED
from sklearn_memorability.features._families import clip_captions, get_backbone

_CLIP = "clip:"
# Floor of a norm: a row of zeros stays one.
_TINY = 1e-12


class ClipSpace:
    """The joint space of a CLIP model; its text side is loaded for the first caption."""

    def __init__(self, backbone: str) -> None:
        self.network_ = {"backbone": backbone}
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
            name = self.network_["backbone"].removeprefix(_CLIP)
            self._encode = clip_captions(name, *self._place)
        return self.transform(self._encode(captions).numpy())


def is_name(embedding: Any) -> bool:
    """Tell whether an embedding can be opened by its name on any machine."""
    return isinstance(embedding, str) and (embedding in BUNDLED or embedding.startswith(_CLIP))


def open_embedding(embedding: Any) -> Any:
    """Return the joint space that ``CaptionEmbedding(embedding)`` asks for."""
    if isinstance(embedding, str) and embedding.startswith(_CLIP):
        return ClipSpace(embedding)
    if isinstance(embedding, str | os.PathLike):
        return load_embedding(embedding)
    if getattr(embedding, "n_components_", None) is None:
        raise ValueError(
            f"embedding={embedding!r} is not fitted: fit it first. If it was, a search or a "
            "meta-estimator has cloned it: pass sklearn.frozen.FrozenEstimator(embedding), or the "
            "file that it was saved to."
        )
    return embedding
