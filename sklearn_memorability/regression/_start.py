"""What a fit has before its network is trained: made from its rows, or kept from before."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_memorability._rows import StoredFeatures
from sklearn_memorability.regression._distribution import ClassDistributions
from sklearn_memorability.regression._linear_path import LinearPath, Ridge
from sklearn_memorability.regression._network import Columns
from sklearn_memorability.regression._score_classes import ScoreClasses

# What gives the classes and the network's weights their meaning.
_KEPT_SETTINGS = (
    "n_classes",
    "aggregation",
    "score_range",
    "target",
    "branch_sizes",
    "hidden_layer_sizes",
    "activation",
    "n_members",
    "share_weights",
)


@dataclass(frozen=True)
class Start:
    """The classes of the scores and what is fitted in closed form.

    Attributes
    ----------
    classes : ScoreClasses
        The classes, and which of them each row is in.
    class_values : numpy.ndarray of shape (n_classes,)
        The value of each class.
    distributions : ClassDistributions
        How scores are spread within each class.
    score_range : tuple of two floats
        The least and the largest score there can be.
    ridge : Ridge or None
        The ridge regression, if any of it is used.
    input_dropout : float
        Share of the inputs to leave out in training.
    """

    classes: ScoreClasses
    class_values: np.ndarray
    distributions: ClassDistributions
    score_range: tuple[float, float]
    ridge: Ridge | None
    input_dropout: float

    @classmethod
    def anew(
        cls,
        model: Any,
        X: np.ndarray | StoredFeatures,
        y: np.ndarray,
        sample_weight: np.ndarray,
        score_range: tuple[float, float],
    ) -> "Start":
        """Make everything from the rows.

        Parameters
        ----------
        model : BalancedQuantileClassifierRegressor
            Its parameters say what.
        X : numpy.ndarray or StoredFeatures
            The training rows.
        y, sample_weight : numpy.ndarray
            Their scores and weights.
        score_range : tuple of two floats
            The least and the largest score there can be.

        Returns
        -------
        Start
        """
        classes = ScoreClasses.of(y, model.n_classes, sample_weight, top=score_range[1])
        by_ridge = model.input_dropout == "ridge"
        ridge = Ridge.of(X, y, sample_weight) if model.linear_weight > 0 or by_ridge else None
        return cls(
            classes=classes,
            class_values=classes.values(y, sample_weight, model.aggregation, score_range[0]),
            distributions=ClassDistributions.of(
                classes, y, sample_weight, model.target == "soft", 1 - model.linear_weight
            ),
            score_range=score_range,
            ridge=ridge,
            input_dropout=(
                ridge.input_dropout(len(X))
                if by_ridge and ridge is not None
                else float(model.input_dropout)
            ),
        )

    @classmethod
    def from_last_fit(
        cls,
        model: Any,
        X: np.ndarray | StoredFeatures,
        y: np.ndarray,
        sample_weight: np.ndarray,
    ) -> "Start":
        """Keep the classes of the last fit, and fit what its ridge regression leaves over.

        Some dozens of rows say little about sixteen classes or a thousand coefficients;
        what many rows have said before is the better start.

        Parameters
        ----------
        model : BalancedQuantileClassifierRegressor
            The fitted regressor.
        X : numpy.ndarray or StoredFeatures
            The new training rows.
        y, sample_weight : numpy.ndarray
            Their scores and weights.

        Returns
        -------
        Start
        """
        expected = model.net_.predict_proba(X) @ model._distributions.mean
        mean, predicted = (np.average(v, weights=sample_weight) for v in (y, expected))
        if (mean - predicted) ** 2 > np.average((y - mean) ** 2, weights=sample_weight):
            warnings.warn(
                f"The new scores are {mean:.3g} on average, the predictions {predicted:.3g}; the "
                "scores differ less among each other. If they were measured in another way, call "
                "recalibrate(X, y) before fit, which moves the classes to their level.",
                UserWarning,
                stacklevel=4,
            )
        ridge = model._ridge
        if model.linear_weight > 0:
            ridge = Ridge.of(X, y, sample_weight, start=ridge)
        by_ridge = model.input_dropout == "ridge"
        return cls(
            classes=ScoreClasses.within(model.thresholds_, y),
            class_values=model.class_values_,
            distributions=replace(model._distributions, soft_share=1 - model.linear_weight),
            score_range=model.score_range_,
            ridge=ridge,
            input_dropout=model.input_dropout_ if by_ridge else float(model.input_dropout),
        )

    @property
    def linear_path(self) -> LinearPath | None:
        """The ridge regression as a part of the network."""
        return None if self.ridge is None else LinearPath(self.ridge, self.classes.thresholds[:-1])

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the fitted regressor that come from here."""
        return {
            "score_range_": self.score_range,
            "thresholds_": self.classes.thresholds,
            "class_counts_": self.classes.counts,
            "class_values_": self.class_values,
            "n_classes_": len(self.classes.thresholds),
            "input_dropout_": self.input_dropout,
            "_distributions": self.distributions,
            "_ridge": self.ridge,
        }


def kept_settings(model: Any, columns: Sequence[Columns]) -> dict[str, Any]:
    """Return what a later fit can't change if it is to go on from this one.

    Parameters
    ----------
    model : BalancedQuantileClassifierRegressor
        The regressor.
    columns : sequence of slice or tuple of int
        The columns of its branches.

    Returns
    -------
    dict
        Values that can be compared, by the name of the parameter.
    """
    values = {name: getattr(model, name) for name in _KEPT_SETTINGS}
    values = {n: tuple(v) if isinstance(v, list | tuple) else v for n, v in values.items()}
    return {**values, "branches": list(columns)}


def check_kept(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Check that a fit can go on from the one before.

    Parameters
    ----------
    before, now : dict
        The settings of both, from ``kept_settings``.

    Raises
    ------
    ValueError
        If one has changed.
    """
    for name, value in before.items():
        if now[name] != value:
            raise ValueError(
                f"warm_start=True goes on with the fitted classes and network, for which {name} "
                f"was {value!r}; now it is {now[name]!r}. Set it back, or set warm_start=False to "
                "begin anew."
            )
