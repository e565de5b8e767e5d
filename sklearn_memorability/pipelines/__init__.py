"""Ready-made Pipelines, the paper's and one we recommend, and spaces to search them in."""

from sklearn_memorability.pipelines._baselines import knn_regressor, svr_regressor, tree_regressor
from sklearn_memorability.pipelines._regressors import (
    mlp_regressor,
    recommended_regressor,
    two_branch_regressor,
)
from sklearn_memorability.pipelines._search_space import search_space

__all__ = [
    "knn_regressor",
    "mlp_regressor",
    "recommended_regressor",
    "search_space",
    "svr_regressor",
    "tree_regressor",
    "two_branch_regressor",
]
