"""What all loaders share: the form of a set, where its files lie, its counts and MATLAB files."""

import math
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from sklearn.utils import Bunch

from sklearn_memorability.metrics import memorability_score
from sklearn_memorability.metrics._consistency import reliability_of

PathLike = str | os.PathLike[str]
COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")
# d' has no bounds, which the estimators' classes need.
_RANGES = {"none": (0.0, 1.0), "difference": (-1.0, 1.0), "balanced_accuracy": (0.0, 1.0)}


def image_set(
    images: Sequence[Path],
    target: np.ndarray | None,
    *,
    DESCR: str,
    return_X_y: bool,
    as_frame: bool,
    target_name: str = "memorability",
    score_range: tuple[float, float] | None = (0.0, 1.0),
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    counts: dict[str, np.ndarray] | None = None,
    halves: list[np.ndarray] | None = None,
    cv: list[tuple[np.ndarray, np.ndarray]] | None = None,
    validation: list[np.ndarray] | None = None,
    consistency: float | None = None,
    rule: str = "",
) -> Any:
    """Return a set of images as all loaders do; ``docs/datasets.md`` explains the fields."""
    if return_X_y and target is None:
        raise ValueError("return_X_y=True needs a table of scores.")
    if weights is None and counts is not None:
        weights = counts["hits"] + counts["misses"]
    X: Any = list(images)
    y: Any = target
    frame = None
    if as_frame:
        import pandas as pd

        columns = {"image": X, target_name: target, "group": groups, "weight": weights}
        columns |= counts or {}
        frame = pd.DataFrame(
            {name: column for name, column in columns.items() if column is not None}
        )
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
        halves=halves,
        cv=cv,
        validation=validation,
        consistency=consistency,
        # The correlation with what scores measure is at most the root of their reliability.
        ceiling=None if consistency is None else math.sqrt(reliability_of(consistency)),
        rule=rule,
        frame=frame,
        DESCR=DESCR,
    )


def description(name: str) -> str:
    """Return the text of ``DESCR``: what a set is, how it was measured, terms, citation."""
    return (files(__package__) / "data" / f"{name}.rst").read_text(encoding="utf-8")


def folder_with(
    folder: PathLike, inside: Sequence[str], places: Sequence[str], way_out: str
) -> Path:
    """Return ``folder``, or the first of ``places`` in it, that has all of ``inside``."""
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"There is no folder {os.fspath(root)!r}. {way_out}")
    for place in (root, *(root / name for name in places)):
        if all((place / name).exists() for name in inside):
            return place
    raise FileNotFoundError(
        f"{os.fspath(root)!r} doesn't have {' and '.join(map(repr, inside))}, nor does a folder "
        f"in it. {way_out}"
    )


def choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Refuse an argument that is none of its choices."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {list(choices)}.")


def check_correction(correction: str) -> tuple[float, float]:
    """Return the range of scores that are corrected so for false alarms."""
    choice("correction", correction, list(_RANGES))
    return _RANGES[correction]


def scores_from_counts(counts: dict[str, np.ndarray], correction: str) -> np.ndarray:
    """Return the memorability scores of counts, with one of the corrections of loaders."""
    return memorability_score(*(counts[name] for name in COUNTS), correction=correction)


def read_matlab(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file, of version 4 to 7.2."""
    try:
        return scipy.io.loadmat(path, squeeze_me=True)
    except FileNotFoundError:
        raise
    # SciPy raises whatever a damaged file leads it to: zlib.error, OSError, TypeError, ...
    except Exception as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a MATLAB file: {error}") from error
