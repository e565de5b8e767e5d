"""Which columns of X go into which branch of the network."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from sklearn_memorability.regression._network import Columns


def resolve_branches(
    branches: Any, n_features: int, feature_names: np.ndarray | None
) -> list[Columns]:
    """Return the columns of each branch, from what ``branches`` of the regressor may be."""
    if branches is None:
        return [slice(0, n_features)]
    if isinstance(branches, str):
        branches = _by_prefix(feature_names)
    if isinstance(branches, Mapping):
        if not branches:
            raise ValueError("branches has no branch.")
        return [
            _columns(str(name), columns, n_features, feature_names)
            for name, columns in branches.items()
        ]
    widths = _with_the_rest(list(branches), n_features)
    if not is_sizes(widths):
        raise ValueError(
            f"branches={branches!r} must be widths, whole numbers above zero; "
            "one may be -1, the columns that are left."
        )
    if sum(widths) != n_features:
        raise ValueError(
            f"branches={branches!r} are the widths of {sum(widths)} columns, but X has "
            f"n_features = {n_features}."
        )
    edges = accumulate((int(width) for width in widths), initial=0)
    return [slice(*sides) for sides in pairwise(edges)]


def is_sizes(values: Iterable[Any]) -> bool:
    """Tell whether all values are whole numbers above zero."""
    return all(isinstance(value, int | np.integer) and value > 0 for value in values)


def _with_the_rest(widths: list[Any], n_features: int) -> list[Any]:
    """Return the widths with the columns that are left in place of -1."""
    rest = [i for i, w in enumerate(widths) if isinstance(w, int | np.integer) and w == -1]
    others = [w for i, w in enumerate(widths) if i not in rest]
    if not rest or not is_sizes(others):
        return widths
    if len(rest) > 1:
        raise ValueError(
            f"branches={tuple(widths)!r} has -1, the columns that are left, {len(rest)} times; "
            "give the widths of all branches but one."
        )
    left = n_features - sum(others)
    if left < 1:
        raise ValueError(
            f"branches={tuple(widths)!r} leaves no column for -1: the others take {sum(others)}, "
            f"and X has n_features = {n_features}."
        )
    return [left if i in rest else w for i, w in enumerate(widths)]


def _by_prefix(feature_names: np.ndarray | None) -> dict[str, list[int]]:
    branches: dict[str, list[int]] = {}
    for i, name in enumerate([] if feature_names is None else feature_names):
        prefix, separator, _ = name.partition("__")
        if separator:
            branches.setdefault(prefix, []).append(i)
    if feature_names is None or sum(map(len, branches.values())) < len(feature_names):
        raise ValueError(
            "branches='auto' needs feature names of the form 'prefix__name', as FeatureUnion "
            "and ColumnTransformer give them with set_output(transform='pandas'); pass widths "
            "or a mapping otherwise."
        )
    return branches


def _columns(
    branch: str, columns: Any, n_features: int, feature_names: np.ndarray | None
) -> Columns:
    if isinstance(columns, slice):
        indices: Sequence[int] = range(n_features)[columns]
    else:
        indices = [_index(branch, c, feature_names) for c in np.atleast_1d(columns).tolist()]
    if len(indices) == 0:
        raise ValueError(
            f"Branch {branch!r} is empty: {columns!r} selects no column of X, which has "
            f"n_features = {n_features}."
        )
    beyond = [i for i in indices if not -n_features <= i < n_features]
    if beyond:
        raise ValueError(
            f"Branch {branch!r} asks for column {beyond[0]}, but X has n_features = {n_features}."
        )
    indices = [i % n_features for i in indices]
    if indices == list(range(indices[0], indices[0] + len(indices))):
        # A slice is read without copying the columns.
        return slice(indices[0], indices[-1] + 1)
    return tuple(indices)


def _index(branch: str, column: Any, feature_names: np.ndarray | None) -> int:
    if isinstance(column, int | np.integer) and not isinstance(column, bool):
        return int(column)
    if not isinstance(column, str):
        raise ValueError(
            f"Branch {branch!r} names a column by {column!r}; use a slice, indices or names."
        )
    if feature_names is None:
        raise ValueError(
            f"Branch {branch!r} names column {column!r}, but X has no feature names; pass a "
            "data frame, or use indices."
        )
    places = np.flatnonzero(feature_names == column)
    if len(places) == 0:
        raise ValueError(f"Branch {branch!r} names column {column!r}, which X does not have.")
    return int(places[0])
