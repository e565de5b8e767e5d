"""From how often each picture was recognised to its score."""

from collections.abc import Sequence

import numpy as np

from sklearn_memorability.datasets._tables import refuse
from sklearn_memorability.metrics import memorability_score

# d' has no bounds, which the estimators' classes need, so loaders don't offer it.
_RANGES = {"none": (0.0, 1.0), "difference": (-1.0, 1.0), "balanced_accuracy": (0.0, 1.0)}


def scores_from_counts(
    counts: dict[str, np.ndarray], correction: str, names: Sequence[str]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Return each picture's score and the range that it lies in.

    Parameters
    ----------
    counts : dict of str to numpy.ndarray of shape (n_images,)
        ``hits`` and ``misses``, and ``false_alarms`` and ``correct_rejections`` where the
        set has them.
    correction : {"none", "difference", "balanced_accuracy"}
        What is done about false alarms:
        see :func:`~sklearn_memorability.metrics.memorability_score`.
    names : sequence of str
        The pictures' names, for messages.

    Returns
    -------
    target : numpy.ndarray of shape (n_images,)
        The scores.
    score_range : tuple of two floats
        The least and the largest there can be.

    Raises
    ------
    ValueError
        If ``correction`` is unknown or wants counts that are not there, a count is
        negative or no number, or a picture was never shown.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.datasets._counts import scores_from_counts
    >>> counts = {"hits": np.array([60, 30]), "misses": np.array([20, 50])}
    >>> scores_from_counts(counts, "none", ["a.jpg", "b.jpg"])
    (array([0.75 , 0.375]), (0.0, 1.0))
    """
    score_range = check_correction(correction)
    needed = ["hits", "misses"]
    if correction != "none":
        needed += ["false_alarms", "correct_rejections"]
    lacking = [name for name in needed if name not in counts]
    if lacking:
        raise ValueError(
            f"correction={correction!r} needs {' and '.join(lacking)}, which this set doesn't "
            "have; use correction='none'."
        )
    for count in needed:
        values = np.asarray(counts[count], dtype=np.float64)
        refuse(
            (
                f"{value:g} for {name!r}"
                for name, value in zip(names, values, strict=True)
                if not (np.isfinite(value) and value >= 0)
            ),
            f"There are {count} that are no counts",
        )
    for shown in ("hits", "misses"), ("false_alarms", "correct_rejections"):
        if shown[0] in needed:
            total = np.asarray(counts[shown[0]]) + np.asarray(counts[shown[1]])
            refuse(
                (repr(name) for name, n in zip(names, total, strict=True) if n == 0),
                f"There are pictures without any {' or '.join(shown)}, so without a score",
            )
    target = memorability_score(
        *(np.asarray(counts[name], dtype=np.float64) for name in needed), correction=correction
    )
    return target, score_range


def check_correction(correction: str) -> tuple[float, float]:
    """Return the range of the scores so corrected.

    Parameters
    ----------
    correction : {"none", "difference", "balanced_accuracy"}
        What is done about false alarms.

    Returns
    -------
    tuple of two floats
        The least and the largest score there can be.

    Raises
    ------
    ValueError
        If ``correction`` is unknown.
    """
    if correction not in _RANGES:
        raise ValueError(f"correction={correction!r} is unknown; choose one of {list(_RANGES)}.")
    return _RANGES[correction]
