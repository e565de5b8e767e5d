"""Regression of a bounded score by classifying it into balanced quantile classes."""

from sklearn_memorability.regression._balanced_quantile import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._score_classes import FewerClassesWarning, ScoreRangeWarning

__all__ = ["BalancedQuantileClassifierRegressor", "FewerClassesWarning", "ScoreRangeWarning"]
