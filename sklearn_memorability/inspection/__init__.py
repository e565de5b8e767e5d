"""Looking into fitted models: what a Pipeline or a search does not pass on."""

from sklearn_memorability.inspection._unwrap import class_proba, quantiles

__all__ = ["class_proba", "quantiles"]
