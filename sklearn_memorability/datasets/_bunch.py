"""The one form in which every set of pictures is returned."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch


def picture_set(
    *,
    images: Sequence[Path],
    target: np.ndarray | None,
    DESCR: str,
    target_name: str = "memorability",
    score_range: tuple[float, float] | None = (0.0, 1.0),
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    counts: dict[str, np.ndarray] | None = None,
    cv: list[tuple[np.ndarray, np.ndarray]] | None = None,
    validation: list[np.ndarray] | None = None,
    consistency: float | None = None,
    rule: str = "",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Return a set of pictures as all loaders do.

    Parameters
    ----------
    images : sequence of pathlib.Path
        The pictures.
    target : numpy.ndarray of shape (n_images,) or None
        Their scores, if known.
    DESCR : str
        What it is, how it was measured, licence, citation.
    target_name : str, default="memorability"
        What the scores are.
    score_range : tuple of two floats or None, default=(0.0, 1.0)
        The least and the largest score there can be; None where there is no bound.
    groups : numpy.ndarray of shape (n_images,), optional
        Which pictures belong together.
    weights : numpy.ndarray of shape (n_images,), optional
        How many responses each score rests on.
    counts : dict of str to numpy.ndarray of shape (n_images,), optional
        ``hits`` and ``misses``, and ``false_alarms`` and ``correct_rejections`` where
        known. With them, ``weights`` is hits + misses unless given.
    cv : list of (train, test) of numpy.ndarray, optional
        The set's own folds.
    validation : list of numpy.ndarray, optional
        Rows that belong to neither side of the fold of the same place.
    consistency : float, optional
        Published split-half rank correlation between people.
    rule : str, default=""
        What was decided where the set as it can be had differs from the paper's.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        The parameters up to ``rule`` under their names (``target_names`` for
        ``target_name``), with ``ceiling``, the Spearman correlation that no predictor can
        be expected to pass, given ``consistency``, and ``frame``.

    Raises
    ------
    ImportError
        If ``as_frame`` is asked for without pandas.
    """
    if return_X_y and target is None:
        raise ValueError("return_X_y=True needs a table of scores.")
    if weights is None and counts is not None:
        weights = counts["hits"] + counts["misses"]
    frame = None
    X: Any = list(images)
    y: Any = target
    if as_frame:
        frame = _frame(X, target, target_name, groups, weights, counts)
        X = frame["image"]
        y = None if target is None else frame[target_name]
    if return_X_y:
        return X, y
    return Bunch(
        images=X,
        target=y,
        target_names=[target_name],
        score_range=score_range,
        groups=groups,
        weights=weights,
        counts=counts,
        cv=cv,
        validation=validation,
        consistency=consistency,
        # Spearman-Brown gives the reliability of the whole set's scores; the
        # correlation with what they measure is at most its square root.
        ceiling=None if consistency is None else math.sqrt(2 * consistency / (1 + consistency)),
        rule=rule,
        frame=frame,
        DESCR=DESCR,
    )


def _frame(
    images: list[Path],
    target: np.ndarray | None,
    target_name: str,
    groups: np.ndarray | None,
    weights: np.ndarray | None,
    counts: dict[str, np.ndarray] | None,
) -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("as_frame=True needs pandas: pip install pandas") from error
    columns: dict[str, Any] = {"image": images}
    if target is not None:
        columns[target_name] = target
    if groups is not None:
        columns["group"] = groups
    if weights is not None:
        columns["weight"] = weights
    return pd.DataFrame({**columns, **(counts or {})})
