"""Image memorability as scikit-learn estimators: images in, one score each out.

The public names below are imported when they are first used, so that
``import sklearn_memorability`` loads neither torch nor any optional package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOM_OF = {
    "BalancedQuantileClassifierRegressor": "regression",
    "CaptionEmbedding": "features",
    "ImageFeatures": "features",
    "VGGFeatures": "features",
    "VisualSemanticEmbedding": "captions",
    "spearman_score": "metrics",
    "spearman_scorer": "metrics",
}

__all__ = [
    "BalancedQuantileClassifierRegressor",
    "CaptionEmbedding",
    "ImageFeatures",
    "VGGFeatures",
    "VisualSemanticEmbedding",
    "captions",
    "datasets",
    "experiments",
    "features",
    "finetuning",
    "images",
    "inspection",
    "metrics",
    "model_selection",
    "persistence",
    "pipelines",
    "regression",
    "spearman_score",
    "spearman_scorer",
]

if TYPE_CHECKING:
    from sklearn_memorability import (
        captions,
        datasets,
        experiments,
        features,
        finetuning,
        images,
        inspection,
        metrics,
        model_selection,
        persistence,
        pipelines,
        regression,
    )
    from sklearn_memorability.captions import VisualSemanticEmbedding
    from sklearn_memorability.features import CaptionEmbedding, ImageFeatures, VGGFeatures
    from sklearn_memorability.metrics import spearman_score, spearman_scorer
    from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    elif name in __all__:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
