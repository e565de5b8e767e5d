"""Transformers from pictures to rows of features."""

from sklearn_memorability._rows import StoredFeatures
from sklearn_memorability.features._cache import CachedFeatures, FeatureCache
from sklearn_memorability.features._cache_file import CacheWarning
from sklearn_memorability.features._caption_embedding import CaptionEmbedding
from sklearn_memorability.features._extractor import UnreadableImagesWarning
from sklearn_memorability.features._image_features import ImageFeatures, VGGFeatures
from sklearn_memorability.features._networks import release_networks
from sklearn_memorability.features._weights import WeightsUnavailableError
from sklearn_memorability.features._write import write_features

__all__ = [
    "CacheWarning",
    "CachedFeatures",
    "CaptionEmbedding",
    "FeatureCache",
    "ImageFeatures",
    "StoredFeatures",
    "UnreadableImagesWarning",
    "VGGFeatures",
    "WeightsUnavailableError",
    "release_networks",
    "write_features",
]
