"""Transformers from images to rows of features."""

from sklearn_memorability.features._cache import CacheWarning, FeatureCache
from sklearn_memorability.features._caption_embedding import CaptionEmbedding
from sklearn_memorability.features._extractor import UnreadableImagesWarning
from sklearn_memorability.features._image_features import ImageFeatures, VGGFeatures
from sklearn_memorability.features._weights import WeightsUnavailableError
from sklearn_memorability.features._write import write_features

__all__ = [
    "CacheWarning",
    "CaptionEmbedding",
    "FeatureCache",
    "ImageFeatures",
    "UnreadableImagesWarning",
    "VGGFeatures",
    "WeightsUnavailableError",
    "write_features",
]
