"""The class probabilities of chosen images, on the axis of the scores."""

import textwrap
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from PIL import Image

from sklearn_memorability.images._collect import as_image_list
from sklearn_memorability.inspection._displays import (
    BLUE,
    GREEN,
    ORANGE,
    as_scores,
    axes_for,
    pyplot,
    small_image,
)
from sklearn_memorability.inspection._unwrap import class_head

# More classes than this have no room for a figure above each bar.
_MOST_LABELLED = 8
_MOST_TICKS = 9
_THUMBNAIL = 200
_NAME: dict[str, Any] = {"width": 26, "max_lines": 3, "placeholder": " …"}
# Within an image's row of height 1, from its lower edge: the marks of the scores, then
# the bars, then the figure above the highest one.
_MARKS, _FOOT, _BAR = 0.11, 0.2, 0.58


@dataclass(eq=False, repr=False)
class ClassProbabilityDisplay:
    """How probable each class of scores is for some images, a row for each.

    Use :meth:`from_estimator`, or the constructor with probabilities that are at hand.
    All parameters are stored as attributes.

    Parameters
    ----------
    proba : ndarray of shape (n_images, n_classes)
        Probabilities p(k), from the least to the most memorable class.
    edges : ndarray of shape (n_classes + 1,)
        Where the classes begin and end: the bottom of the scores' range, then each
        class's upper threshold.
    y_pred, y_true : ndarray of shape (n_images,), optional
        The predicted and the true scores, marked under the bars.
    images : sequence of images, optional
        The images, drawn left of their row.
    names : sequence of str, optional
        The images' names, written right of their row.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn in.
    figure_ : matplotlib Figure or SubFigure
        The figure of it.
    bars_ : list of matplotlib BarContainer
        Each image's bars.
    thumbnails_ : list of matplotlib Axes
        The images' places; empty without images.
    legend_ : matplotlib Legend or None
        The key to the marks.

    Notes
    -----
    All classes are drawn equally wide, as they are equally full of training images.
    So the axis of the scores is stretched where scores are dense, and the numbers on it
    are not evenly spaced: they are the thresholds between the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.inspection import ClassProbabilityDisplay
    >>> proba, edges = np.array([[0.1, 0.2, 0.7]]), np.array([0, 0.6, 0.8, 1])
    >>> display = ClassProbabilityDisplay(proba, edges, y_pred=np.array([0.92])).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['0', '0.6', '0.8', '1']
    """

    proba: np.ndarray
    edges: np.ndarray
    _: KW_ONLY
    y_pred: Any = None
    y_true: Any = None
    images: Sequence[Any] | None = None
    names: Sequence[str] | None = None

    def plot(self, ax: Any = None) -> "ClassProbabilityDisplay":
        """Draw the probabilities; nothing is shown on a screen.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw in. By default, a new figure of pyplot's.

        Returns
        -------
        ClassProbabilityDisplay
            Itself, with the attributes that end in an underscore.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If the parameters differ in their lengths.
        sklearn_memorability.images.ImageReadError
            If an image can't be read.
        """
        proba, edges = _checked(self.proba, self.edges)
        n_rows, n_classes = proba.shape
        scores = {
            name: as_scores(given, name, n_rows)
            for name, given in (("y_true", self.y_true), ("y_pred", self.y_pred))
        }
        names = _per_row(self.names, "names", n_rows)
        images = [
            small_image(image, i, _THUMBNAIL)
            for i, image in enumerate(_per_row(self.images, "images", n_rows) or ())
        ]
        self.ax_, self.figure_ = axes_for(
            "ClassProbabilityDisplay.plot", ax, (7.0, 1.3 + 0.95 * n_rows)
        )
        ax = self.ax_
        ax.set(xlim=(0, n_classes), ylim=(n_rows, 0), xlabel="score, by the limits of the classes")
        step = -(-len(edges) // _MOST_TICKS)
        ax.set_xticks(range(len(edges)))
        ax.set_xticklabels(f"{e:.3g}" if i % step == 0 else "" for i, e in enumerate(edges))
        ax.vlines(np.arange(1, n_classes), 0, n_rows, color="0.5", alpha=0.35, lw=0.8, zorder=0)
        ax.hlines(np.arange(1, n_rows), 0, n_classes, color="0.5", lw=0.8)
        heights = _BAR * proba / proba.max()
        self.bars_ = [
            ax.bar(np.arange(n_classes) + 0.5, -row, bottom=i + 1 - _FOOT, width=0.9, color=BLUE)
            for i, row in enumerate(heights)
        ]
        if n_classes <= _MOST_LABELLED:
            for bars, row in zip(self.bars_, proba, strict=True):
                ax.bar_label(bars, [f"{p:.2f}" for p in row], padding=1, fontsize=8)
        self.legend_ = _mark(ax, scores, edges)
        ax.yaxis.tick_right()
        ax.set_yticks(np.arange(n_rows) + 0.5, _labels(n_rows, names, scores), fontsize=9)
        for label in ax.get_yticklabels():
            label.set_parse_math(False)
        ax.tick_params(axis="y", length=0)
        self.thumbnails_ = [_draw_thumbnail(ax, i, n_rows, image) for i, image in enumerate(images)]
        return self

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: Any,
        y_true: Any = None,
        *,
        images: Any = None,
        names: Sequence[str] | None = None,
        **plot_options: Any,
    ) -> "ClassProbabilityDisplay":
        """Predict the class probabilities of some images and draw them.

        Parameters
        ----------
        model : estimator
            A fitted
            :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`,
            or a Pipeline, search or frozen estimator around it.
        X : array-like
            What ``model.predict`` takes, images or features, of the chosen images
            alone.
        y_true : array-like of shape (n_images,), optional
            Their true scores.
        images : list, tuple, array, Series or one-column DataFrame, optional
            The images to draw beside their rows.
        names : sequence of str, optional
            Their names.
        **plot_options
            Passed to :meth:`plot`: ``ax``.

        Returns
        -------
        ClassProbabilityDisplay
            What was drawn.

        Raises
        ------
        TypeError
            If there is no such regressor in the model.
        ImportError, ValueError, sklearn_memorability.images.ImageReadError
            As :meth:`plot`.

        Examples
        --------
        >>> from sklearn_memorability.datasets import load_things_concepts
        >>> from sklearn_memorability.inspection import ClassProbabilityDisplay
        >>> from sklearn_memorability.pipelines import mlp_regressor
        >>> X, y = load_things_concepts(return_X_y=True)
        >>> model = mlp_regressor(max_epochs=1, random_state=0).fit(X, y)
        >>> display = ClassProbabilityDisplay.from_estimator(model, X[:3], y[:3])
        >>> display.proba.shape
        (3, 4)
        """
        pyplot("ClassProbabilityDisplay.from_estimator")
        regressor, features = class_head(model, X, "predict_class_proba")
        proba = regressor.predict_class_proba(features)
        return cls(
            proba,
            np.concatenate([regressor.score_range_[:1], regressor.thresholds_]),
            y_pred=regressor._scores_of(proba),
            y_true=y_true,
            images=None if images is None else as_image_list(images),
            names=names,
        ).plot(**plot_options)


def _checked(proba: Any, edges: Any) -> tuple[np.ndarray, np.ndarray]:
    proba, edges = np.asarray(proba, dtype=float), np.asarray(edges, dtype=float)
    if proba.ndim != 2 or len(proba) == 0:
        raise ValueError(
            f"proba has the shape {proba.shape}; expected (n_images, n_classes), with an image."
        )
    if edges.shape != (proba.shape[1] + 1,):
        raise ValueError(
            f"{proba.shape[1]} classes have {proba.shape[1] + 1} limits, the range's bottom "
            f"included; got {edges.size}."
        )
    bad = np.flatnonzero(~np.isfinite(proba).all(axis=1) | (proba < 0).any(axis=1))
    if len(bad):
        raise ValueError(f"proba must be probabilities; row {bad[0]} is {proba[bad[0]]}.")
    return proba, edges


def _per_row(given: Any, name: str, n_rows: int) -> Any:
    if given is not None and len(given) != n_rows:
        raise ValueError(f"{name} has {len(given)} entries for {n_rows} rows of proba.")
    return given


def _draw_thumbnail(ax: Any, i: int, n_rows: int, image: Image.Image) -> Any:
    # Row 0 is the uppermost, while an axes' own height counts from below.
    lower = 1 - (i + 0.95) / n_rows
    inset = ax.inset_axes((-0.2, lower, 0.19, 0.9 / n_rows))
    inset.imshow(image, origin="upper")
    inset.set_anchor("E")
    inset.set_axis_off()
    return inset


def _mark(ax: Any, scores: dict[str, Any], edges: np.ndarray) -> Any:
    """Mark the scores under the bars; return the legend, if there are any."""
    looks = {
        "y_true": {"marker": "o", "s": 60, "facecolors": "none", "edgecolors": ORANGE, "lw": 1.6},
        "y_pred": {"marker": "^", "s": 45, "color": GREEN, "lw": 0},
    }
    given = {name: values for name, values in scores.items() if values is not None}
    for name, values in given.items():
        places = np.interp(values, edges, np.arange(len(edges)))
        rows = np.arange(len(values)) + 1 - _MARKS
        label = "true score" if name == "y_true" else "predicted score"
        ax.scatter(places, rows, label=label, clip_on=False, zorder=3, **looks[name])
    if not given:
        return None
    return ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.1
    )


def _labels(n_rows: int, names: Any, scores: dict[str, Any]) -> list[str]:
    labels = []
    for i in range(n_rows):
        lines = [] if names is None else textwrap.wrap(str(names[i]), **_NAME)
        for name, text in (("y_pred", "predicted"), ("y_true", "true")):
            if scores[name] is not None:
                lines.append(f"{text} {scores[name][i]:z.3f}")
        labels.append("\n".join(lines))
    return labels
