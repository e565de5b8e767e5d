"""The joint space of pictures and captions: learn it, load it, store it."""

from sklearn_memorability.captions._bundled import BUNDLED, load_embedding
from sklearn_memorability.captions._recall import caption_recall
from sklearn_memorability.captions._visual_semantic import VisualSemanticEmbedding

__all__ = ["BUNDLED", "VisualSemanticEmbedding", "caption_recall", "load_embedding"]
