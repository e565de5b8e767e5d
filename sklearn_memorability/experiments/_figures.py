"""Figures 3 and 4: images with their scores, and examples of each set."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sklearn_memorability.experiments._data import as_image_set
from sklearn_memorability.experiments._results import ResultTable
from sklearn_memorability.inspection import ImageGridDisplay


def figure3(
    data: Any,
    table: ResultTable,
    *,
    row: str | None = None,
    fold: int = 1,
    n_images: int = 6,
    normalize: bool = True,
) -> ImageGridDisplay:
    """Show most and least memorable test images with true and predicted scores.

    Figure 3 of Squalli-Houssaini et al. (2018).

    Parameters
    ----------
    data : Bunch or tuple
        What :func:`table1` was given.
    table : ResultTable
        What it returned.
    row : str, optional
        Whose predictions to show, by the row's key. None is the paper's best model,
        ``"cnn+ic-mlp4"``, or the last row that was computed.
    fold : int, default=1
        Of which fold, from 1.
    n_images : int, default=6
        How many images a line.
    normalize : bool, default=True
        Whether predictions are scaled to 0..1 by the least and the largest of the fold,
        as in the paper's figure.

    Returns
    -------
    ImageGridDisplay
        Call its ``plot``.

    Raises
    ------
    ValueError
        If the table has no predictions of this row or fold.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.experiments import figure3, table1
    >>> data = (load_sample_images().images * 2, [0.7, 0.6, 0.8, 0.5])
    >>> cnn = [[0.1], [0.2], [0.3], [0.4]]
    >>> table = table1(data, cnn=cnn, cv=2, rows=["cnn-svr"], n_resamples=0)
    >>> figure3(data, table, n_images=1).axes_.shape
    (2, 1)
    """
    if row is None:
        best = "cnn+ic-mlp4"
        row = best if best in table.predictions else next(reversed(table.predictions), best)
    if row not in table.predictions:
        raise ValueError(f"row is {row!r}; the table has predictions of {[*table.predictions]}.")
    by_fold = table.predictions[row]
    if not 1 <= fold <= len(by_fold):
        raise ValueError(f"fold is {fold}; the table has folds 1 to {len(by_fold)}.")
    images = as_image_set(data)
    test, predicted = by_fold[fold - 1]
    return ImageGridDisplay.from_predictions(
        [images["images"][i] for i in test],
        images["target"][test],
        predicted,
        n_images=n_images,
        normalize=normalize,
    )


def figure4(sets: Mapping[str, Any], *, n_images: int = 5) -> ImageGridDisplay:
    """Show examples of several sets of images, a line each.

    Figure 4 of Squalli-Houssaini et al. (2018). The examples stand at evenly spaced
    quantiles of the scores, from the most to the least memorable image.

    Parameters
    ----------
    sets : mapping of str to Bunch, tuple or str
        As in :func:`table2` and :func:`table3`; those that are missing are left out.
    n_images : int, default=5
        The most images a line.

    Returns
    -------
    ImageGridDisplay
        Call its ``plot``.

    Raises
    ------
    TypeError, ValueError
        If no set is given, or a set can't be used.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.experiments import figure4
    >>> figure4({"Isola": (load_sample_images().images, [0.7, 0.6])}).row_names
    ['Isola']
    """
    given = {
        name: as_image_set(data, f"the set {name!r}")
        for name, data in sets.items()
        if not isinstance(data, str)
    }
    if not given:
        raise ValueError("sets holds no set of images.")
    indices = [_examples(data["target"], n_images) for data in given.values()]
    drawn = list(zip(given.values(), indices, strict=True))
    return ImageGridDisplay(
        [[data["images"][i] for i in row] for data, row in drawn],
        y_true=[data["target"][row] for data, row in drawn],
        row_names=list(given),
        indices=indices,
    )


def _examples(scores: np.ndarray, n_images: int) -> list[int]:
    """Return places spread over the scores, from the highest; of one, the median's."""
    ranks = np.linspace(0, len(scores) - 1, min(len(scores), n_images))
    if n_images == 1:
        ranks = np.array([(len(scores) - 1) // 2])
    return np.argsort(-scores, kind="stable")[np.rint(ranks).astype(int)].tolist()
