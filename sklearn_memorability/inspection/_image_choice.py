"""Which pictures a grid shows: the extremes, the largest errors, examples."""

from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

ROW_NAMES = {
    "true": ("Most memorable", "Least memorable"),
    "predicted": ("Predicted most memorable", "Predicted least memorable"),
    "error": ("Most overestimated", "Most underestimated"),
}


def as_scores(values: Any, name: str, n_images: int) -> Any:
    """Return scores as an array, one finite number an image, or None."""
    if values is None:
        return None
    scores = column_or_1d(
        check_array(values, dtype=float, ensure_2d=False, ensure_all_finite=False, input_name=name)
    )
    if len(scores) != n_images:
        raise ValueError(f"{name} has {len(scores)} scores for {n_images} images.")
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        listed = ", ".join(f"{scores[i]} in row {i}" for i in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise ValueError(f"{name} must be finite; found {listed}{more}. Leave those images out.")
    return scores


def checked_by(by: str | None, has_true: bool, has_pred: bool, normalize: bool) -> str:
    """Return what chooses the pictures, if the scores for it are there."""
    if by is None:
        by = "true" if has_true or not has_pred else "predicted"
    if by not in ROW_NAMES:
        raise ValueError(f"by must be one of {list(ROW_NAMES)}, got {by!r}.")
    if not has_true and by != "predicted":
        raise ValueError(f"by={by!r} needs y_true; give it, or y_pred and by='predicted'.")
    if not has_pred and (by != "true" or normalize):
        raise ValueError(f"by={by!r} with normalize={normalize} needs y_pred.")
    if by == "error" and normalize:
        raise ValueError(
            "by='error' compares predicted with true scores, and scaled predictions are on "
            "another scale; leave out normalize=True."
        )
    return by


def extremes(scores: np.ndarray, n_images: int) -> list[list[int]]:
    """Return the places of the highest and of the lowest scores, none in both."""
    n_most = min(n_images, -(-len(scores) // 2))
    most = np.argsort(-scores, kind="stable")[:n_most].tolist()
    upwards = np.argsort(scores, kind="stable").tolist()
    return [most, [i for i in upwards if i not in most][:n_images]]


def largest_errors(errors: np.ndarray, n_images: int) -> list[list[int]]:
    """Return the places of the largest errors above and below zero."""
    if not errors.any():
        raise ValueError("y_pred equals y_true everywhere, so by='error' has nothing to draw.")
    over = [i for i in np.argsort(-errors, kind="stable").tolist() if errors[i] > 0]
    under = [i for i in np.argsort(errors, kind="stable").tolist() if errors[i] < 0]
    return [over[:n_images], under[:n_images]]


def examples(n: int, scores: Any, n_images: int, chance: Any) -> list[int]:
    """Return places spread over the scores or, without any, drawn at random."""
    n_drawn = min(n, n_images)
    if scores is None:
        return sorted(chance.choice(n, n_drawn, replace=False).tolist())
    ranks = np.linspace(0, n - 1, n_drawn) if n_drawn > 1 else np.array([(n - 1) // 2])
    return np.argsort(-scores, kind="stable")[np.rint(ranks).astype(int)].tolist()
