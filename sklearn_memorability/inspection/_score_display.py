"""True scores against predicted ones."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from sklearn_memorability.inspection._displays import (
    BLUE,
    as_scores,
    axes_for,
    axes_letters,
    pyplot,
    wrapped,
)
from sklearn_memorability.metrics import spearman_interval
from sklearn_memorability.metrics._rank import rank_correlation

# Above this many, points hide each other and their density is drawn instead.
_MOST_POINTS = 1000
_TITLE_SIZE = 9.0


@dataclass(eq=False, repr=False)
class ScoreDisplay:
    """True scores against predicted ones, with how well they agree.

    Use :meth:`from_estimator` or :meth:`from_predictions`. All parameters are stored as
    attributes.

    Parameters
    ----------
    y_true : array-like of shape (n_images,)
        The true scores.
    y_pred : array-like of shape (n_images,)
        The predicted scores.
    interval : tuple of two floats, optional
        The 95% bootstrap interval of Spearman's correlation.
    consistency : float, optional
        How well two halves of the people agree: Spearman's correlation of their scores.
    ceiling : float, optional
        The correlation that no predictor can be expected to pass.
    name : str, optional
        What was predicted, by what; written above the figures.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn in.
    figure_ : matplotlib Figure or SubFigure
        The figure of it.
    points_ : matplotlib PathCollection or PolyCollection
        The points, or the hexagons that stand for many of them.
    colorbar_ : matplotlib Colorbar or None
        The key to the hexagons' colours.
    spearman_ : float
        Spearman's correlation; NaN where the true scores are all alike.
    mse_ : float
        Mean squared error.
    bias_ : float
        Mean of predicted less true scores.

    See Also
    --------
    sklearn.metrics.PredictionErrorDisplay : Errors of any regressor.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.inspection import ScoreDisplay
    >>> display = ScoreDisplay(np.array([0.6, 0.7, 0.9]), np.array([0.7, 0.8, 0.9])).plot()
    >>> round(display.spearman_, 2), round(display.bias_, 3)
    (1.0, 0.067)
    """

    y_true: Any
    y_pred: Any
    _: KW_ONLY
    interval: tuple[float, float] | None = None
    consistency: float | None = None
    ceiling: float | None = None
    name: str | None = None

    def plot(self, ax: Any = None) -> "ScoreDisplay":
        """Draw the scores; nothing is shown on a screen.

        Of more than 1,000 images, hexagons tell by their colour how many are in them.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw in. By default, a new figure of pyplot's.

        Returns
        -------
        ScoreDisplay
            Itself, with the attributes that end in an underscore.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If the scores don't fit each other or are not finite.
        """
        true, predicted = _both(self.y_true, self.y_pred)
        self.spearman_ = rank_correlation(true, predicted)
        self.mse_ = float(np.mean((predicted - true) ** 2))
        self.bias_ = float(np.mean(predicted - true))
        self.ax_, self.figure_ = axes_for("ScoreDisplay.plot", ax, (5.6, 5.4))
        ax = self.ax_
        low, high = _limits(true, predicted)
        self.colorbar_ = None
        if len(true) > _MOST_POINTS:
            self.points_ = ax.hexbin(
                predicted,
                true,
                gridsize=40,
                extent=(low, high, low, high),
                bins="log",
                mincnt=1,
                cmap="viridis",
                linewidths=0.2,
            )
            self.colorbar_ = self.figure_.colorbar(
                self.points_, ax=ax, label="number of images", shrink=0.8
            )
        else:
            # Few points are drawn large and solid, many small and faint.
            size = float(np.clip(2000 / len(true), 8, 40))
            self.points_ = ax.scatter(
                predicted, true, s=size, color=BLUE, alpha=0.9 if len(true) < 50 else 0.6, lw=0
            )
        line = {"linestyle": "--", "linewidth": 1, "color": "0.5", "zorder": 1.5}
        ax.axline((low, low), slope=1, label="predicted = true", **line)
        limits = {"xlim": (low, high), "ylim": (low, high)}
        ax.set(**limits, xlabel="predicted score", ylabel="true score")
        ax.legend(loc="lower right", fontsize=_TITLE_SIZE, frameon=False)
        self._write_title(ax)
        return self

    @classmethod
    def from_estimator(cls, model: Any, X: Any, y_true: Any, **options: Any) -> "ScoreDisplay":
        """Predict scores and draw them against the true ones.

        Parameters
        ----------
        model : estimator
            A fitted one; images or features are what its ``predict`` takes.
        X : array-like
            What to predict, of images that the model was not fitted to.
        y_true : array-like of shape (n_images,)
            The true scores.
        **options
            As in :meth:`from_predictions`.

        Returns
        -------
        ScoreDisplay
            What was drawn.

        Raises
        ------
        ImportError, TypeError, ValueError
            As :meth:`from_predictions`.

        Examples
        --------
        >>> from sklearn_memorability.datasets import load_things_photographs
        >>> from sklearn_memorability.inspection import ScoreDisplay
        >>> from sklearn_memorability.pipelines import svr_regressor
        >>> data = load_things_photographs()
        >>> model = svr_regressor().fit(data.data[:700], data.target[:700])
        >>> display = ScoreDisplay.from_estimator(
        ...     model, data.data[700:], data.target[700:], ceiling=data.ceiling, random_state=0
        ... )
        >>> len(display.y_pred)
        246
        """
        pyplot("ScoreDisplay.from_estimator")
        return cls.from_predictions(y_true, model.predict(X), **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        groups: Any = None,
        consistency: float | None = None,
        ceiling: float | None = None,
        name: str | None = None,
        n_resamples: int = 1000,
        random_state: Any = None,
        **plot_options: Any,
    ) -> "ScoreDisplay":
        """Draw true scores against predicted ones.

        Parameters
        ----------
        y_true : array-like of shape (n_images,)
            The true scores.
        y_pred : array-like of shape (n_images,)
            The predicted scores.
        groups : array-like of shape (n_images,), optional
            Which images belong together; see
            :func:`~sklearn_memorability.metrics.spearman_interval`.
        consistency : float, optional
            How well two halves of the people agree, as the data sets' ``consistency``.
        ceiling : float, optional
            The correlation that no predictor can be expected to pass, as the data sets'
            ``ceiling``.
        name : str, optional
            What was predicted, by what; written above the figures.
        n_resamples : int, default=1000
            Bootstrap resamples for the 95% interval; 0 leaves it out.
        random_state : int, RandomState instance or None, default=None
            Random seed of the resamples.
        **plot_options
            Passed to :meth:`plot`: ``ax``.

        Returns
        -------
        ScoreDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If the scores don't fit each other or are not finite, or a setting of the
            interval is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_memorability.inspection import ScoreDisplay
        >>> rng = np.random.default_rng(0)
        >>> y_true = rng.uniform(size=100)
        >>> y_pred = y_true + rng.normal(scale=0.2, size=100)
        >>> display = ScoreDisplay.from_predictions(y_true, y_pred, random_state=0)
        >>> low, high = display.interval
        >>> bool(low < display.spearman_ < high)
        True
        """
        pyplot("ScoreDisplay.from_predictions")
        true, predicted = _both(y_true, y_pred)
        interval = None
        # One image, or scores that are all alike, have no correlation to redraw.
        if n_resamples and len(np.unique(true)) > 1:
            draws = {"groups": groups, "n_resamples": n_resamples, "random_state": random_state}
            interval = spearman_interval(true, predicted, **draws)
        facts: dict[str, Any] = {"consistency": consistency, "ceiling": ceiling, "name": name}
        return cls(true, predicted, interval=interval, **facts).plot(**plot_options)

    def _write_title(self, ax: Any) -> None:
        if np.isnan(self.spearman_):
            parts = ["Spearman not defined"]
        else:
            parts = [f"Spearman {self.spearman_:z.3f}"]
            if self.interval is not None:
                parts[0] += " (95% interval {:z.3f} to {:z.3f})".format(*self.interval)
        if self.consistency is not None:
            parts.append(f"human consistency {self.consistency:.2f}")
        if self.ceiling is not None:
            parts.append(f"human ceiling {self.ceiling:.2f}")
        parts += [f"MSE {self.mse_:.4f}", f"bias {self.bias_:+.3f}", f"n = {len(self.y_true):,}"]
        # No part is broken between lines: its own spaces are not where a line may end.
        text = ", ".join(part.replace(" ", "\xa0") for part in parts)
        text = f"{self.name}\n{text}" if self.name else text
        title = wrapped(text, axes_letters(ax, _TITLE_SIZE)).replace("\xa0", " ")
        ax.set_title(title, loc="left", fontsize=_TITLE_SIZE, parse_math=False)


def _both(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    check_consistent_length(y_true, y_pred)
    n_images = len(y_true)
    if n_images == 0:
        raise ValueError("y_true is empty; there is nothing to draw.")
    return as_scores(y_true, "y_true", n_images), as_scores(y_pred, "y_pred", n_images)


def _limits(true: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    # A single point that is predicted exactly has no extent of its own.
    margin = 0.05 * (high - low) or 0.05
    return float(low - margin), float(high + margin)
