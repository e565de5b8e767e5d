"""Choosing models: a search guided by what it has seen, folds by score, comparisons."""

from sklearn_memorability.model_selection._bayes_search import BayesSearchCV
from sklearn_memorability.model_selection._compare import compare
from sklearn_memorability.model_selection._folds import (
    StratifiedGroupScoreKFold,
    StratifiedScoreKFold,
)

__all__ = [
    "BayesSearchCV",
    "StratifiedGroupScoreKFold",
    "StratifiedScoreKFold",
    "compare",
]
