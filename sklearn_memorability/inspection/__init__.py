"""Looking into fitted models: what a Pipeline or a search does not pass on."""

from sklearn_memorability.inspection._image_grid import ImageGridDisplay
from sklearn_memorability.inspection._unwrap import class_proba, quantiles

__all__ = ["ImageGridDisplay", "class_proba", "quantiles"]
