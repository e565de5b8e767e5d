"""Transformers from images to rows of features."""

from sklearn_memorability.features._cache import FeatureCache
from sklearn_memorability.features._caption_embedding import CaptionEmbedding
from sklearn_memorability.features._extractor import UnreadableImagesWarning
from sklearn_memorability.features._image_features import ImageFeatures, VGGFeatures
from sklearn_memorability.features._write import write_features

__all__ = [
    "CaptionEmbedding",
    "FeatureCache",
    "ImageFeatures",
    "UnreadableImagesWarning",
    "VGGFeatures",
    "write_features",
]
