"""Search trees of nearest neighbours: left out of files, grown again from their points."""

from typing import Any

from sklearn.neighbors import BallTree, KDTree

_KINDS = {"kd_tree": KDTree, "ball_tree": BallTree}


def has_search_tree(estimator: Any) -> bool:
    """Tell whether an estimator searches neighbours in a tree."""
    return isinstance(getattr(estimator, "_tree", None), KDTree | BallTree)


def without_search_tree(estimator: Any) -> dict[str, Any]:
    """Return an estimator's attributes without its tree."""
    return {**vars(estimator), "_tree": None}


def grow_search_tree(estimator: Any) -> None:
    """Grow the tree again, from the same points in the same way.

    The nodes of a tree in a file could point anywhere; points can't.
    """
    kind = getattr(estimator, "_fit_method", None)
    if kind not in _KINDS or getattr(estimator, "_tree", None) is not None:
        return
    estimator._tree = _KINDS[kind](
        estimator._fit_X,
        leaf_size=estimator.leaf_size,
        metric=estimator.effective_metric_,
        **estimator.effective_metric_params_,
    )
