"""What an experiment is given, checked and put in one form."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, check_cv
from sklearn.utils import Bunch, check_consistent_length

from sklearn_memorability.images import as_image_list


class Study(NamedTuple):
    """A set of pictures with its folds."""

    title: str
    images: list[Any]
    target: np.ndarray
    groups: np.ndarray | None
    score_range: tuple[float, float]
    folds: list[tuple[np.ndarray, np.ndarray]]
    bunch: Bunch


def as_pictures(data: Any, name: str = "data") -> Bunch:
    """Return a set of pictures, or a pair of pictures and scores, as a Bunch.

    Parameters
    ----------
    data : Bunch or tuple
        With ``images`` and ``target``, or the two.
    name : str, default="data"
        What to call it in errors.

    Returns
    -------
    sklearn.utils.Bunch
        With ``images``, a list, and ``target``, an array of float.

    Raises
    ------
    TypeError, ValueError
        If it is neither, scores are missing or no finite numbers, or lengths differ.
    """
    if isinstance(data, tuple) and len(data) == 2:
        data = {"images": data[0], "target": data[1]}
    elif not (hasattr(data, "get") and "images" in data and "target" in data):
        raise TypeError(
            f"{name} is a {type(data).__name__}; expected a set of pictures with images and "
            "target, as the loaders of sklearn_memorability.datasets return, or a tuple "
            "(images, scores)."
        )
    if data["target"] is None:
        raise ValueError(f"{name} has no scores; load it with its table of scores.")
    images = as_image_list(data["images"])
    target = np.asarray(data["target"], dtype=np.float64)
    check_consistent_length(images, target)
    if target.ndim != 1 or not np.isfinite(target).all():
        raise ValueError(f"The scores of {name} must be one finite number a picture.")
    return Bunch(**{**data, "images": images, "target": target})


def as_study(data: Any, cv: Any, random_state: int) -> Study:
    """Return a set of pictures and the folds to judge models by.

    Parameters
    ----------
    data : Bunch or tuple
        As in :func:`as_pictures`.
    cv : int, splitter, iterable of (train, test) or None
        None takes the set's own folds where it has any, else five, by groups where there
        are groups.
    random_state : int
        Seeds the five folds.

    Returns
    -------
    Study

    Raises
    ------
    TypeError, ValueError
        As :func:`as_pictures`; if a fold has fewer than two test pictures, or one in
        both parts.
    """
    bunch = as_pictures(data)
    groups = bunch.get("groups")
    groups = None if groups is None else np.asarray(groups)
    if cv is None:
        cv = bunch.get("cv")
    if cv is None:
        kind = KFold if groups is None else GroupKFold
        cv = kind(5, shuffle=True, random_state=random_state)
    splits: Iterable[tuple[Any, Any]] = check_cv(cv).split(bunch["images"], bunch["target"], groups)
    folds = [(np.asarray(train), np.asarray(test)) for train, test in splits]
    for i, (train, test) in enumerate(folds, 1):
        if len(test) < 2 or len(train) < 2:
            raise ValueError(f"Fold {i} has {len(train)} training and {len(test)} test pictures.")
        if np.intersect1d(train, test).size:
            raise ValueError(f"Fold {i} has pictures in both its training and its test part.")
    description = (bunch.get("DESCR") or "").strip()
    return Study(
        title=description.splitlines()[0] if description else "pictures of your own",
        images=bunch["images"],
        target=bunch["target"],
        groups=groups,
        score_range=bunch.get("score_range") or (0.0, 1.0),
        folds=folds,
        bunch=bunch,
    )
