"""Transformers from pictures to rows of features."""

from sklearn_memorability.features._image_features import ImageFeatures, VGGFeatures
from sklearn_memorability.features._weights import WeightsUnavailableError

__all__ = ["ImageFeatures", "VGGFeatures", "WeightsUnavailableError"]
