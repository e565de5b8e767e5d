"""What is measured of predictions."""

from typing import Any

import numpy as np

from sklearn_memorability.metrics import spearman_interval, split_half_consistency
from sklearn_memorability.metrics._rank import rank_correlation


def measure(
    folds: list[tuple[np.ndarray, np.ndarray]],
    *,
    n_resamples: int,
    confidence_level: float,
    random_state: int,
    ceiling: float | None,
) -> dict[str, Any]:
    """Measure how predictions of one or more folds agree with the truth.

    Parameters
    ----------
    folds : list of (true, predicted) arrays
        The scores of each fold's test pictures.
    n_resamples : int
        Bootstrap resamples for the interval; 0 leaves it out.
    confidence_level : float
        Its level.
    random_state : int
        Its seed.
    ceiling : float or None
        The correlation that no predictor can be expected to pass.

    Returns
    -------
    dict
        ``spearman``, the mean over folds; ``standard_error`` of it (None for one fold);
        ``interval_low`` and ``interval_high``; ``of_ceiling``, the share of the ceiling;
        ``mse`` and ``bias``, predicted less true, over all test pictures; ``fold_1`` and so
        on.
    """
    found = [rank_correlation(true, predicted) for true, predicted in folds]
    true, predicted = (np.concatenate(side) for side in zip(*folds, strict=True))
    mean = float(np.mean(found))
    measured: dict[str, Any] = {
        "spearman": mean,
        "standard_error": (
            float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else None
        ),
        "interval_low": None,
        "interval_high": None,
        "of_ceiling": mean / ceiling if ceiling else None,
        "mse": float(np.mean((predicted - true) ** 2)),
        "bias": float(np.mean(predicted - true)),
    }
    # A fold whose true scores are all alike has no correlation to redraw.
    if n_resamples and np.isfinite(found).all():
        measured["interval_low"], measured["interval_high"] = spearman_interval(
            true,
            predicted,
            folds=np.repeat(np.arange(len(folds)), [len(side) for side, _ in folds]),
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            random_state=random_state,
        )
    return measured | {f"fold_{i}": value for i, value in enumerate(found, 1)}


def human_ceiling(data: Any, random_state: int) -> tuple[float | None, str]:
    """Return how well people's agreement lets anything predict, and where it is from.

    Parameters
    ----------
    data : Bunch
        A set of pictures.
    random_state : int
        Seeds the random halves.

    Returns
    -------
    ceiling : float or None
        The correlation that no predictor can be expected to pass.
    source : str
        A sentence for the table's notes; empty where nothing is known.
    """
    counts = data.get("counts")
    if counts is not None:
        # The scores of a set may be corrected for false alarms; these are of hits alone
        # where the set has no others.
        found = split_half_consistency(
            hits=counts["hits"], misses=counts["misses"], random_state=random_state
        )
        return found.ceiling, (
            f"Human consistency is {found.consistency:.3f} ± {found.std:.3f} (computed from the "
            f"set's hits and misses, 25 random halves); no predictor can be expected to pass "
            f"{found.ceiling:.3f}."
        )
    consistency, ceiling = data.get("consistency"), data.get("ceiling")
    if consistency is None or ceiling is None:
        return ceiling, ""
    return ceiling, (
        f"Human consistency is {consistency:.2f} (a published constant, not computed here); no "
        f"predictor can be expected to pass {ceiling:.3f}."
    )
