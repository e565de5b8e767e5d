"""Regression of a bounded score by classifying it into balanced quantile classes."""

from sklearn_memorability.regression._balanced_quantile import BalancedQuantileClassifierRegressor

__all__ = ["BalancedQuantileClassifierRegressor"]
