"""Folds that each have the whole set's distribution of scores."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import check_array, check_scalar, column_or_1d


class StratifiedScoreKFold(StratifiedKFold):
    """K folds with the same distribution of scores.

    For scores that are numbers, where
    :class:`~sklearn.model_selection.StratifiedKFold` wants classes.

    Parameters
    ----------
    n_splits : int, default=5
        How many folds; at least 2.
    shuffle : bool, default=False
        Whether chance decides which of the images with nearly the same score goes to
        which fold. Otherwise their order does.
    random_state : int, RandomState instance or None, default=None
        Decides it; only with ``shuffle=True``.

    See Also
    --------
    StratifiedGroupScoreKFold : Where images belong together.

    Notes
    -----
    The images are sorted by score and cut into blocks of ``n_splits`` neighbours (the
    last one takes the rest); each block gives every fold one image. The blocks are the
    classes of :class:`~sklearn.model_selection.StratifiedKFold`. Equal scores may be in
    several blocks, so they spread over the folds as evenly as the others. The sizes of folds
    differ by one image at most.

    Such blocks are finer than the usual ten quantiles, and the folds are closer to the
    whole for it: on the 1,854 scores of
    :func:`~sklearn_memorability.datasets.load_things_concepts`, the Kolmogorov-Smirnov
    distance of the farthest of five folds is .004; it is .023 with ten quantiles as classes,
    and .055 with :class:`~sklearn.model_selection.KFold` (``benchmarks/comparison.py``).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.model_selection import StratifiedScoreKFold
    >>> y = np.array([0.9, 0.5, 0.6, 0.8, 0.5, 0.9])
    >>> folds = StratifiedScoreKFold(n_splits=2)
    >>> for train, test in folds.split(np.zeros((6, 1)), y):
    ...     print(test, y[test])
    [0 1 2] [0.9 0.5 0.6]
    [3 4 5] [0.8 0.5 0.9]
    """

    def split(
        self, X: Any, y: ArrayLike, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The images or their features; only their number counts.
        y : array-like of shape (n_samples,)
            The scores.
        groups : object, optional
            Ignored, with a warning.

        Returns
        -------
        iterator of (train, test)
            Arrays of the rows to train on and of those to test on, a pair a fold.

        Raises
        ------
        ValueError
            If the scores are not finite numbers, one for each image, or there are
            fewer images than folds.
        """
        scores = check_scores(y)
        blocks = np.empty(len(scores), dtype=np.intp)
        last = max(len(scores) // self.n_splits - 1, 0)
        blocks[np.argsort(scores, kind="stable")] = np.minimum(
            np.arange(len(scores)) // self.n_splits, last
        )
        return super().split(X, blocks, groups)


class StratifiedGroupScoreKFold(StratifiedGroupKFold):
    """K folds with about the same distribution of scores that split no group.

    For scores that are numbers, where
    :class:`~sklearn.model_selection.StratifiedGroupKFold` wants classes.

    Parameters
    ----------
    n_splits : int, default=5
        How many folds; at least 2.
    n_bins : int, default=10
        How many quantiles of the scores are told apart. Equal scores are in the same one,
        and one with fewer than ``n_splits`` images is joined with the next, so there may
        be fewer.
    shuffle : bool, default=False
        Whether chance decides between groups that are alike: groups with equally uneven
        numbers of images in the quantiles. Where few are, as with few large groups, other
        seeds may give the same folds.
    random_state : int, RandomState instance or None, default=None
        Decides it; only with ``shuffle=True``.

    See Also
    --------
    StratifiedScoreKFold : Where no images belong together.

    Notes
    -----
    The quantiles are the classes of :class:`~sklearn.model_selection.StratifiedGroupKFold`,
    which asks for ``groups``: ``cross_val_score(..., groups=groups)``.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_photographs
    >>> from sklearn_memorability.model_selection import StratifiedGroupScoreKFold
    >>> photographs = load_things_photographs()
    >>> X, y, groups = photographs.data, photographs.target, photographs.groups
    >>> for train, test in StratifiedGroupScoreKFold(n_splits=3).split(X, y, groups):
    ...     shared = set(groups[train]) & set(groups[test])
    ...     print(len(test), f"{y[test].mean():.3f}", len(shared))
    315 0.829 0
    316 0.828 0
    315 0.826 0
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        n_bins: int = 10,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(n_splits=n_splits, shuffle=shuffle, random_state=random_state)
        check_scalar(n_bins, "n_bins", Integral, min_val=1)
        self.n_bins = n_bins

    def split(
        self, X: Any, y: ArrayLike, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The images or their features; only their number counts.
        y : array-like of shape (n_samples,)
            The scores.
        groups : array-like of shape (n_samples,)
            Which images belong together.

        Returns
        -------
        iterator of (train, test)
            Arrays of the rows to train on and of those to test on, a pair a fold.

        Raises
        ------
        ValueError
            If the scores are not finite numbers, one for each image, ``groups`` is
            missing, or there are fewer groups than folds.
        """
        if groups is None:
            raise ValueError(
                "StratifiedGroupScoreKFold needs groups=, one label per image; without groups, "
                "use StratifiedScoreKFold."
            )
        n_groups = len(np.unique(np.asarray(groups)))
        if n_groups < self.n_splits:
            # scikit-learn before 1.9 gives folds without images.
            raise ValueError(
                f"n_splits={self.n_splits} greater than the number of groups: {n_groups}."
            )
        return super().split(X, _quantiles(check_scores(y), self.n_bins, self.n_splits), groups)


def check_scores(y: ArrayLike) -> np.ndarray:
    """Return scores as an array of numbers."""
    return check_array(column_or_1d(y), ensure_2d=False, dtype=np.float64, input_name="y")


def _quantiles(scores: np.ndarray, n_bins: int, least: int) -> np.ndarray:
    """Return each score's quantile, counted from 0, of ``least`` scores or more each."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    up_to = np.cumsum(counts)
    # In whole numbers: a share that is a quantile's upper end belongs to it.
    wanted = -(-up_to * n_bins // len(scores)) - 1
    joined = np.empty(len(counts), dtype=np.intp)
    start = quantile = 0
    for i, end in enumerate(up_to):
        joined[i] = quantile
        full = i + 1 < len(wanted) and wanted[i + 1] > wanted[i]
        if full and end - start >= least and len(scores) - end >= least:
            start, quantile = end, quantile + 1
    return joined[places]
