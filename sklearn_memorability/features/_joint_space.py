"""The joint spaces that ``CaptionEmbedding`` takes."""

import os
from functools import cache
from typing import Any

import numpy as np
import torch

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.captions._visual_semantic import BUNDLED, unit
from sklearn_memorability.features._families import clip_captions, get_backbone

_CLIP = "clip:"


class ClipSpace:
    """The joint space of a CLIP model; its text side is loaded for the first caption."""

    def __init__(self, backbone: str, weights: str | None, device: torch.device) -> None:
        self.network_ = {"backbone": backbone}
        self.n_features_in_ = self.n_components_ = get_backbone(backbone).layers["embedding"]
        self._encode = cache(lambda: clip_captions(backbone.removeprefix(_CLIP), weights, device))

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Scale rows to unit length."""
        return unit(X)

    def transform_captions(self, captions: list[str]) -> np.ndarray:
        """Project captions; rows have unit length."""
        return self.transform(self._encode()(captions).numpy())


def is_name(embedding: Any) -> bool:
    """Tell whether an embedding can be opened by its name on any machine."""
    return isinstance(embedding, str) and (embedding in BUNDLED or embedding.startswith(_CLIP))


def open_embedding(
    embedding: Any, weights: str | None = None, device: torch.device | None = None
) -> Any:
    """Return the joint space that ``CaptionEmbedding(embedding)`` asks for.

    ``weights`` and ``device`` are those of the text side of a CLIP model.
    """
    if isinstance(embedding, str) and embedding.startswith(_CLIP):
        return ClipSpace(embedding, weights, device or torch.device("cpu"))
    if isinstance(embedding, str | os.PathLike):
        return VisualSemanticEmbedding.load(embedding)
    if getattr(embedding, "n_components_", None) is None:
        raise ValueError(
            f"embedding={embedding!r} is not fitted: fit it first. If it was, a search or a "
            "meta-estimator has cloned it: pass sklearn.frozen.FrozenEstimator(embedding), or the "
            "file that it was saved to."
        )
    return embedding
