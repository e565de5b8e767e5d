"""A fitted model, made ready to score pictures."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.persistence import load

INTERVAL = ("q05", "q95")


class Scorer:
    """A fitted model, cut behind the steps that make features of pictures.

    Their features are computed once for all that is predicted from them.

    Parameters
    ----------
    model : estimator
        Fitted; takes pictures.
    name : str
        What it was asked for by, for messages.

    Raises
    ------
    ValueError
        If nothing in it reads pictures.
    """

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.extractors = [
            found for found in estimators_in(model) if isinstance(found, ImageExtractor)
        ]
        if not self.extractors:
            raise ValueError(
                f"--model {name}: this {type(model).__name__} takes features, not pictures. Save "
                "it as a Pipeline whose first step is ImageFeatures."
            )
        while hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        self._features, self._final = None, model
        if isinstance(model, Pipeline) and len(model) > 1:
            self._features, self._final = model[:-1], model[-1]

    @property
    def score_range(self) -> tuple[float, float] | None:
        """The range of scores that it was fitted to, where it knows."""
        return getattr(self._final, "score_range_", None)

    @property
    def columns(self) -> list[str]:
        """Names of what :meth:`predict` gives, up to the class probabilities."""
        return ["score", *(INTERVAL if hasattr(self._final, "predict_quantiles") else ())]

    @property
    def class_columns(self) -> list[str]:
        """Names of the class probabilities, which come last."""
        if not hasattr(self._final, "predict_class_proba"):
            return []
        return [f"p{k}" for k in range(1, len(self._final.class_values_) + 1)]

    def predict(self, pictures: list[str]) -> np.ndarray:
        """Predict all that the model tells of pictures.

        Parameters
        ----------
        pictures : list of str
            Their paths.

        Returns
        -------
        numpy.ndarray of shape (n_pictures, n_columns)

        Raises
        ------
        ImageReadError
            At the first picture that can't be read.
        """
        X = pictures if self._features is None else self._features.transform(pictures)
        found = [np.reshape(self._final.predict(X), (-1, 1))]
        if hasattr(self._final, "predict_quantiles"):
            found.append(self._final.predict_quantiles(X, (0.05, 0.95)))
        if hasattr(self._final, "predict_class_proba"):
            found.append(self._final.predict_class_proba(X))
        return np.hstack(found)


def open_model(
    name: str, *, batch_size: int | None = None, device: str | None = None, cache: str | None = None
) -> Scorer:
    """Load a model and set how it reads pictures.

    Parameters
    ----------
    name : str
        A file, or ``"embedded"``.
    batch_size, device, cache
        As in :class:`~sklearn_memorability.features.ImageFeatures`; None leaves the
        model's own.

    Returns
    -------
    Scorer

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, or takes features.
    """
    try:
        model = load(name, device=device)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"--model {name}: {error} 'sklearn-memorability fit' makes such files."
        ) from error
    scorer = Scorer(model, name)
    for extractor in scorer.extractors:
        # A bad picture must be told from the others, and no bar but ours shows.
        extractor.set_params(on_error="raise", verbose=0)
        if batch_size is not None:
            extractor.set_params(batch_size=batch_size)
        if cache is not None:
            extractor.set_params(cache=cache)
    return scorer


def estimators_in(model: Any) -> Iterator[BaseEstimator]:
    """Yield an estimator and those that it holds, fitted ones too, each once."""
    waiting, seen = [model], set()
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, BaseEstimator):
            yield found
            waiting += vars(found).values()
        elif isinstance(found, list | tuple):
            waiting += found
