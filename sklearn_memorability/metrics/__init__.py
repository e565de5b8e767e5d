"""Scores from people's responses, how consistent they are, and rank correlation."""

from sklearn_memorability.metrics._consistency import split_half_consistency
from sklearn_memorability.metrics._rank import spearman_interval, spearman_score, spearman_scorer
from sklearn_memorability.metrics._recognition import memorability_score
from sklearn_memorability.metrics._trials import count_responses, lag_adjusted_score, response_table

__all__ = [
    "count_responses",
    "lag_adjusted_score",
    "memorability_score",
    "response_table",
    "spearman_interval",
    "spearman_score",
    "spearman_scorer",
    "split_half_consistency",
]
