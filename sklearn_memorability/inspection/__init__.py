"""Looking into fitted models: what they predict, how they learnt, what they look at."""

from sklearn_memorability.inspection._class_probability_display import ClassProbabilityDisplay
from sklearn_memorability.inspection._gradient import gradient_map
from sklearn_memorability.inspection._image_grid import ImageGridDisplay
from sklearn_memorability.inspection._map_display import MapDisplay
from sklearn_memorability.inspection._occlusion import occlusion_map
from sklearn_memorability.inspection._report import write_report
from sklearn_memorability.inspection._score_display import ScoreDisplay
from sklearn_memorability.inspection._table_display import TableDisplay
from sklearn_memorability.inspection._training_curve import TrainingCurveDisplay
from sklearn_memorability.inspection._unwrap import class_proba, quantiles

__all__ = [
    "ClassProbabilityDisplay",
    "ImageGridDisplay",
    "MapDisplay",
    "ScoreDisplay",
    "TableDisplay",
    "TrainingCurveDisplay",
    "class_proba",
    "gradient_map",
    "occlusion_map",
    "quantiles",
    "write_report",
]
