"""The joint space of images and captions: learn it, load it, store it."""

from sklearn_memorability.captions._recall import caption_recall
from sklearn_memorability.captions._visual_semantic import VisualSemanticEmbedding

__all__ = ["VisualSemanticEmbedding", "caption_recall"]
