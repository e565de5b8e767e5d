"""Where a search is: the candidates that are finished and what they came to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_memorability.model_selection._space import Candidate, SearchSpace
from sklearn_memorability.model_selection._trials import Outcome, Trials


class Splits:
    """The splits of one fit, the same for all its candidates.

    A splitter that shuffles without a seed would give each candidate others.

    Parameters
    ----------
    pairs : iterable of pairs of arrays
    """

    def __init__(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        self.pairs = list(pairs)

    def split(self, X: Any, y: Any = None, **params: Any) -> Iterator[tuple[Any, Any]]:
        """Return the splits, whatever is given."""
        return iter(self.pairs)


@dataclass
class Progress:
    """What one fit knows while it runs.

    Attributes
    ----------
    space : SearchSpace
    seed : int
    splits : Splits
    trials : Trials
        What is kept in a file.
    results : dict
        Becomes ``cv_results_``; empty until the search ends.
    finished : list of (Candidate, Outcome)
        In the order in which they were chosen.
    latest : list of Outcome
        Of the candidates that were fitted last.
    n_fitted : int
        How many candidates scikit-learn has fitted with some success.
    failure : ValueError or None
        What it raised when all fits failed.
    """

    space: SearchSpace
    seed: int
    splits: Splits
    trials: Trials
    results: dict[str, Any] = field(default_factory=dict)
    finished: list[tuple[Candidate, Outcome]] = field(default_factory=list)
    latest: list[Outcome] = field(default_factory=list)
    n_fitted: int = 0
    failure: ValueError | None = None

    def took(self, out: list[dict[str, Any]], n_candidates: int) -> None:
        """Take over what scikit-learn has of all candidates that it fitted so far."""
        n_splits = len(self.splits.pairs)
        new = out[self.n_fitted * n_splits : n_candidates * n_splits]
        self.latest = [new[i : i + n_splits] for i in range(0, len(new), n_splits)]
        self.n_fitted = n_candidates

    def cheapest_success(self) -> Candidate | None:
        """Return the finished candidate that is fitted the fastest, None if all failed."""
        seconds = {
            i: sum(fold["fit_time"] for fold in outcome)
            for i, (_, outcome) in enumerate(self.finished)
            if any(fold["fit_error"] is None for fold in outcome)
        }
        return self.finished[min(seconds, key=seconds.__getitem__)][0] if seconds else None


def failed(splits: Splits, scores: Any, train_scores: bool, error: str, seconds: float) -> Outcome:
    """Return what scikit-learn has of a candidate of which no fold could be fitted."""
    return [
        {
            "fit_error": error,
            "fit_time": seconds / len(splits.pairs),
            "score_time": 0.0,
            "n_test_samples": len(test),
            "test_scores": scores,
            **({"train_scores": scores} if train_scores else {}),
        }
        for _, test in splits.pairs
    ]


def mean_score(outcome: Outcome, metric: str | None) -> float:
    """Return a candidate's mean score over the folds.

    Raises
    ------
    KeyError
        If there are several metrics and this isn't one of them.
    """
    scores = [fold["test_scores"] for fold in outcome]
    return float(np.mean([one[metric] if isinstance(one, dict) else one for one in scores]))
