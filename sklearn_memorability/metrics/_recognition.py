"""Memorability scores from counts of responses."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from sklearn.utils import check_array

from sklearn_memorability._utils._found import refuse

CORRECTIONS = ("none", "difference", "balanced_accuracy", "d_prime")


def memorability_score(
    hits: ArrayLike,
    misses: ArrayLike,
    false_alarms: ArrayLike | None = None,
    correct_rejections: ArrayLike | None = None,
    *,
    correction: str = "none",
) -> np.ndarray:
    """Memorability score of each image from its counts of responses.

    With the hit rate HR = hits / (hits + misses) and the false-alarm rate
    FAR = false_alarms / (false_alarms + correct_rejections), the score is

    - ``"none"``: HR, in [0, 1];
    - ``"difference"``: HR - FAR, known as corrected recognition, in [-1, 1];
    - ``"balanced_accuracy"``: .5 + .5 (HR - FAR), in [0, 1]: the share of right answers
      if new and repeated showings were equally frequent;
    - ``"d_prime"``: z(HR) - z(FAR), the sensitivity of signal-detection theory, with
      rates (count + .5) / (showings + 1), so that rates of 0 and 1 stay finite.

    Parameters
    ----------
    hits, misses : array-like of shape (n_images,)
        How often a repeated image was recognised, and was not.
    false_alarms, correct_rejections : array-like of shape (n_images,), optional
        How often a new image was taken for a repeated one, and was not. Needed for
        all corrections but ``"none"``, which leaves them unused.
    correction : {"none", "difference", "balanced_accuracy", "d_prime"}, default="none"
        What is made of the false alarms.

    Returns
    -------
    numpy.ndarray of shape (n_images,)
        The scores.

    Raises
    ------
    ValueError
        If ``correction`` is unknown or lacks its false alarms, lengths differ, counts
        are negative or no finite numbers, or an image was never shown. A score of NaN
        would only move that error to the next estimator: leave such images out.

    See Also
    --------
    count_responses : These counts from a table of trials.
    lag_adjusted_score : Hit rates at one lag, where the lags differ.

    Notes
    -----
    The correction of rates in ``"d_prime"`` is the log-linear rule of [1]_. It is made
    for all images alike, not for those with extreme rates alone.

    References
    ----------
    .. [1] Hautus, "Corrections for extreme proportions and their biasing effects on
       estimated values of d'", Behavior Research Methods 27, 1995.

    Examples
    --------
    >>> from sklearn_memorability.metrics import memorability_score
    >>> hits, misses, false_alarms, correct_rejections = [9, 5], [1, 5], [2, 1], [8, 9]
    >>> memorability_score(hits, misses)
    array([0.9, 0.5])
    >>> memorability_score(
    ...     hits, misses, false_alarms, correct_rejections, correction="difference"
    ... )
    array([0.7, 0.4])
    """
    counts = check_counts(hits, misses, false_alarms, correct_rejections, correction)
    names = list(counts)
    for yes, no, showing in zip(names[::2], names[1::2], ("repeat", "new image"), strict=False):
        refuse(
            (f"row {i}" for i in np.flatnonzero(counts[yes] + counts[no] == 0)),
            f"{yes} and {no} are both 0: images that were never shown as a {showing} have no "
            "score; leave them out",
        )
    return score_counts(counts.values(), correction)


def score_counts(counts: Iterable[np.ndarray], correction: str) -> np.ndarray:
    """Compute :func:`memorability_score` of valid arrays, of any shape."""
    rates = []
    yes_and_no = iter(counts)
    for yes, no in zip(yes_and_no, yes_and_no, strict=True):
        n_shown = np.where(yes + no > 0, yes + no, np.nan)
        rates.append((yes + 0.5) / (n_shown + 1) if correction == "d_prime" else yes / n_shown)
    if correction == "none":
        return rates[0]
    hit_rate, alarm_rate = rates
    if correction == "d_prime":
        return ndtri(hit_rate) - ndtri(alarm_rate)
    difference = hit_rate - alarm_rate
    return difference if correction == "difference" else 0.5 + 0.5 * difference


def check_correction(correction: str) -> None:
    """Raise an error if there is no such correction."""
    if correction not in CORRECTIONS:
        raise ValueError(f"correction={correction!r} is unknown; choose from {CORRECTIONS}.")


def check_counts(
    hits: ArrayLike | None,
    misses: ArrayLike | None,
    false_alarms: ArrayLike | None,
    correct_rejections: ArrayLike | None,
    correction: str,
) -> dict[str, np.ndarray]:
    """Return the counts that a correction needs, by name, as valid arrays."""
    check_correction(correction)
    given: dict[str, ArrayLike | None] = {"hits": hits, "misses": misses}
    if correction != "none":
        given |= {"false_alarms": false_alarms, "correct_rejections": correct_rejections}
    missing = [name for name, count in given.items() if count is None]
    if missing:
        raise ValueError(f"correction={correction!r} needs {' and '.join(missing)}.")
    counts = {
        name: check_array(count, ensure_2d=False, dtype=np.float64, input_name=name)
        for name, count in given.items()
    }
    for name, count in counts.items():
        if count.ndim != 1 or len(count) != len(counts["hits"]):
            raise ValueError(
                f"{name} has the shape {count.shape}, hits {counts['hits'].shape}; each needs "
                "one number per image."
            )
        refuse(
            (f"{count[i]:g} in row {i}" for i in np.flatnonzero(count < 0)),
            f"{name} has negative counts",
        )
    return counts
