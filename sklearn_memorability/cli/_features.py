"""Features of pictures, a row each, from a transformer that is worked in parts."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.progress import Progress

from sklearn_memorability.cli._parts import in_parts
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.features import CaptionEmbedding, ImageFeatures


class Rows(NamedTuple):
    """What came of pictures.

    Attributes
    ----------
    values : numpy.ndarray of shape (n_pictures, n_columns)
        A row each; NaN for those that failed.
    errors : dict of str to str
        What is wrong with those that failed.
    names : list of str
        The pictures.
    interrupted : bool
        Whether Ctrl-C ended it early; then there are only those that were done.
    """

    values: np.ndarray
    errors: dict[str, str]
    names: list[str]
    interrupted: bool

    @property
    def good(self) -> np.ndarray:
        """Which pictures did not fail."""
        return np.array([name not in self.errors for name in self.names], dtype=bool)


def make_extractor(backbone: str | None, embedding: str | None, **settings: Any) -> Any:
    """Return the transformer that options ask for.

    Parameters
    ----------
    backbone : str or None
        The network; None is the one that works offline, or the embedding's own.
    embedding : str or None
        A joint space whose features stand behind the network's.
    **settings
        Of both.

    Returns
    -------
    ImageFeatures, CaptionEmbedding or FeatureUnion
    """
    if embedding is None:
        chosen: dict[str, Any] = {} if backbone is None else {"backbone": backbone}
        return ImageFeatures(**chosen, **settings)
    if backbone is None:
        return CaptionEmbedding(embedding, with_cnn=True, **settings)
    from sklearn.pipeline import FeatureUnion

    cnn = ImageFeatures(backbone, **settings)
    return FeatureUnion([("cnn", cnn), ("ic", CaptionEmbedding(embedding, **settings))])


def compute_rows(
    pictures: Sequence[Found], function: Callable[[list[str]], Any], bar: Progress, what: str
) -> Rows:
    """Apply a function from pictures to rows, and keep what is done when interrupted."""
    names: list[str] = []
    errors: dict[str, str] = {}
    found: list[np.ndarray] = []
    places: list[int] = []
    interrupted = False
    try:
        for part in in_parts(pictures, function, bar, what):
            places += [
                i for i, name in enumerate(part.names, len(names)) if name not in part.errors
            ]
            names += part.names
            errors.update(part.errors)
            if part.result is not None:
                found.append(np.asarray(part.result))
    except KeyboardInterrupt:
        interrupted = True
    if not found:
        return Rows(np.empty((len(names), 0)), errors, names, interrupted)
    good = np.concatenate(found)
    values = np.full((len(names), *good.shape[1:]), np.nan, dtype=good.dtype)
    values[places] = good
    return Rows(values, errors, names, interrupted)
