"""Grids of images with their scores, as in the paper's Figures 3 and 4."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import count
from numbers import Integral
from typing import Any

import numpy as np
from PIL import Image
from sklearn.preprocessing import minmax_scale
from sklearn.utils import check_scalar

from sklearn_memorability.images._collect import as_image_list
from sklearn_memorability.inspection._displays import (
    as_scores,
    letters,
    pyplot,
    small_image,
    wrapped,
)

_ROW_NAMES = {
    "true": ("Most memorable", "Least memorable"),
    "predicted": ("Predicted most memorable", "Predicted least memorable"),
}
# Pixels of a drawn image's longer side: enough for print, light in memory.
_SIDE = 400
# In inches: the side of an image's square in a new figure, and what is between two.
_CELL, _GAP = 1.6, 0.07
# In points.
_NAME_SIZE, _LABEL_SIZE = 10.0, 9.0


@dataclass(eq=False, repr=False)
class ImageGridDisplay:
    """Images in rows, with the true score top left and the predicted one top right.

    Use :meth:`from_predictions` or :meth:`from_estimator` for the most and the least
    memorable images. All parameters are stored as attributes.

    Parameters
    ----------
    images : sequence of sequences of images
        A sequence for each row, of images in any form that
        :func:`~sklearn_memorability.images.read_image` takes.
    y_true : sequence, optional
        For each row, its images' true scores, or None.
    y_pred : sequence, optional
        For each row, its images' predicted scores, or None.
    row_names : sequence of str, optional
        The rows' names, drawn above them.
    indices : sequence of sequences of int, optional
        Each image's place among those it was chosen from, for error messages.
        By default, its place in its row.
    caption : str, optional
        The line under the grid. By default, it says which corner holds which score.

    Attributes
    ----------
    axes_ : ndarray of shape (n_rows, n_columns) of matplotlib Axes
        The images' places. Those that stay empty are switched off.
    figure_ : matplotlib Figure or SubFigure
        What the grid is drawn in.
    texts_ : list of lists of (text, text)
        For each row and image, the matplotlib Text of the true and of the predicted
        score; None where there is none.

    Notes
    -----
    The grids are those of the paper's Fig. 3 (images of LaMem with both scores) and
    Fig. 4 (examples of each data set). Images are shown whole, in the middle of a
    square, and only those that are drawn are read.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.inspection import ImageGridDisplay
    >>> images = load_sample_images().images
    >>> display = ImageGridDisplay([images], y_true=[[0.64, 0.71]], row_names=["Samples"])
    >>> display = display.plot()
    >>> [true.get_text() for true, predicted in display.texts_[0]]
    ['0.64', '0.71']
    """

    images: Sequence[Sequence[Any]]
    _: KW_ONLY
    y_true: Sequence[Any] | None = None
    y_pred: Sequence[Any] | None = None
    row_names: Sequence[str] | None = None
    indices: Sequence[Sequence[int]] | None = None
    caption: str | None = None

    def plot(self, *, fig: Any = None) -> "ImageGridDisplay":
        """Draw the grid; nothing is shown on a screen.

        Parameters
        ----------
        fig : matplotlib Figure or SubFigure, optional
            What to draw in, empty. By default, a new figure of pyplot's, which grows with
            the grid.

        Returns
        -------
        ImageGridDisplay
            Itself, with ``figure_``, ``axes_`` and ``texts_``.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If there is nothing to draw, the figure is too small, or the parameters differ
            in their lengths.
        sklearn_memorability.images.ImageReadError
            If an image can't be read. The message names its row and its file.
        """
        plt = pyplot("ImageGridDisplay.plot")
        n_rows, n_columns = len(self.images), max(map(len, self.images), default=0)
        if n_columns == 0:
            raise ValueError("images holds no image to draw.")
        caption = _caption(self.y_true, self.y_pred) if self.caption is None else self.caption
        labels = [
            [_labels(scores, len(row)) for scores in both]
            for row, *both in zip(
                self.images, self._each_row("y_true"), self._each_row("y_pred"), strict=True
            )
        ]
        names = self._each_row("row_names", "")
        # Images are read before there is a figure, which an error would leave behind.
        images = [
            [small_image(image, i, _SIDE) for i, image in zip(places or count(), row, strict=False)]
            for row, places in zip(self.images, self._each_row("indices"), strict=True)
        ]
        if fig is None:
            size = (max(2, n_columns) * _CELL, n_rows * (_CELL + 0.3) + 0.3)
            fig = plt.figure(figsize=size, layout="none")
        self.figure_ = fig
        self.axes_, side = _add_axes(fig, n_columns, names, caption)
        # So that two scores fit side by side.
        points = min(_LABEL_SIZE, 9 * side)
        self.texts_ = [
            [_draw(*drawn, size=points) for drawn in zip(axes, row, *texts, strict=False)]
            for axes, row, texts in zip(self.axes_, images, labels, strict=True)
        ]
        return self

    @classmethod
    def from_estimator(
        cls, model: Any, images: Any, y_true: Any = None, **options: Any
    ) -> "ImageGridDisplay":
        """Draw the most and the least memorable images with a model's predictions.

        Parameters
        ----------
        model : estimator
            A fitted one whose ``predict`` takes images. For a model of features,
            predict them yourself and use :meth:`from_predictions`.
        images : list, tuple, array, Series or one-column DataFrame
            The images, all of which are predicted, in one call.
        y_true : array-like of shape (n_images,), optional
            Their true scores, drawn top left.
        **options
            ``n_images``, ``by``, ``normalize`` and ``fig``, as in :meth:`from_predictions`.

        Returns
        -------
        ImageGridDisplay
            What was drawn.

        Raises
        ------
        ImportError, TypeError, ValueError
            As :meth:`from_predictions`.

        Examples
        --------
        >>> from sklearn.datasets import load_sample_images
        >>> from sklearn.dummy import DummyRegressor
        >>> from sklearn_memorability.inspection import ImageGridDisplay
        >>> images = load_sample_images().images
        >>> model = DummyRegressor().fit(images, [0.64, 0.72])
        >>> display = ImageGridDisplay.from_estimator(model, images, [0.64, 0.72])
        >>> [label.get_text() for label in display.texts_[0][0]]
        ['0.72', '0.68']
        """
        pyplot("ImageGridDisplay.from_estimator")
        y_true = as_scores(y_true, "y_true", len(as_image_list(images)))
        return cls.from_predictions(images, y_true, model.predict(images), **options)

    @classmethod
    def from_predictions(
        cls,
        images: Any,
        y_true: Any = None,
        y_pred: Any = None,
        *,
        n_images: int = 6,
        by: str | None = None,
        normalize: bool = False,
        **plot_options: Any,
    ) -> "ImageGridDisplay":
        """Draw the most and the least memorable images, a row each.

        Parameters
        ----------
        images : list, tuple, array, Series or one-column DataFrame
            Images in any form that
            :func:`~sklearn_memorability.images.read_image` takes.
        y_true : array-like of shape (n_images,), optional
            Their true scores, drawn top left.
        y_pred : array-like of shape (n_images,), optional
            Their predicted scores, drawn top right. One of the two must be given.
        n_images : int, default=6
            The most images in a row. No image is in both rows: of fewer than twice
            as many, the first row gets half, rounded up.
        by : {"true", "predicted"}, optional
            Which scores choose the images. By default, the true ones where they are
            given. Equal scores keep the order of ``images``.
        normalize : bool, default=False
            Whether the predicted scores drawn are scaled, so that the lowest of all those
            given becomes 0 and the highest 1, as in the paper's Fig. 3. Where all are
            alike they become 0.
        **plot_options
            Passed to :meth:`plot`: ``fig``.

        Returns
        -------
        ImageGridDisplay
            What was drawn. Its ``indices`` are the places in ``images``.

        Raises
        ------
        ValueError
            If there are no scores, or not as many as images, or one is not finite;
            if ``n_images`` is less than 1; or if ``by`` is unknown or asks for scores that
            are not given.
        ImportError, sklearn_memorability.images.ImageReadError
            As :meth:`plot`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_memorability.inspection import ImageGridDisplay
        >>> images = np.zeros((4, 8, 8, 3), dtype=np.uint8)
        >>> y_true, y_pred = [0.5, 0.9, 0.7, 0.8], [0.6, 0.8, 0.7, 0.7]
        >>> display = ImageGridDisplay.from_predictions(
        ...     images, y_true, y_pred, n_images=2, normalize=True
        ... )
        >>> display.indices
        [[1, 3], [0, 2]]
        >>> [[predicted.get_text() for _, predicted in row] for row in display.texts_]
        [['1.00', '0.50'], ['0.00', '0.50']]
        """
        listed = as_image_list(images)
        check_scalar(n_images, "n_images", Integral, min_val=1)
        y_true = as_scores(y_true, "y_true", len(listed))
        y_pred = as_scores(y_pred, "y_pred", len(listed))
        by = _checked_by(by, y_true is not None, y_pred is not None, normalize)
        rows = _extremes(y_true if by == "true" else y_pred, n_images)
        if normalize:
            y_pred = minmax_scale(y_pred)
        drawn = {name: row for name, row in zip(_ROW_NAMES[by], rows, strict=True) if row}
        indices = list(drawn.values())
        y_true = y_true if y_true is None else [y_true[row] for row in indices]
        y_pred = y_pred if y_pred is None else [y_pred[row] for row in indices]
        return cls(
            [[listed[i] for i in row] for row in indices],
            y_true=y_true,
            y_pred=y_pred,
            row_names=list(drawn),
            indices=indices,
            caption=_caption(y_true, y_pred) + (", scaled to 0–1" if normalize else ""),
        ).plot(**plot_options)

    def _each_row(self, name: str, default: Any = None) -> list[Any]:
        given = getattr(self, name)
        if given is None:
            return [default] * len(self.images)
        if len(given) != len(self.images):
            raise ValueError(f"{name} has {len(given)} rows, images has {len(self.images)}.")
        return list(given)


def _checked_by(by: str | None, has_true: bool, has_pred: bool, normalize: bool) -> str:
    """Return what chooses the images, if the scores for it are there."""
    if by is None:
        by = "true" if has_true or not has_pred else "predicted"
    if by not in _ROW_NAMES:
        raise ValueError(f"by must be one of {list(_ROW_NAMES)}, got {by!r}.")
    if by == "true" and not has_true:
        raise ValueError(f"by={by!r} needs y_true; give it, or y_pred and by='predicted'.")
    if not has_pred and (by == "predicted" or normalize):
        raise ValueError(f"by={by!r} with normalize={normalize} needs y_pred.")
    return by


def _extremes(scores: np.ndarray, n_images: int) -> list[list[int]]:
    """Return the places of the highest and of the lowest scores, none in both."""
    n_most = min(n_images, -(-len(scores) // 2))
    most = np.argsort(-scores, kind="stable")[:n_most].tolist()
    upwards = np.argsort(scores, kind="stable").tolist()
    return [most, [i for i in upwards if i not in most][:n_images]]


def _labels(scores: Any, n_images: int) -> list[str | None]:
    # Without the sign of minus zero.
    return [None] * n_images if scores is None else [f"{score:z.2f}" for score in scores]


def _caption(y_true: Any, y_pred: Any) -> str:
    corners = (("Top left: true score", y_true), ("Top right: predicted score", y_pred))
    return ". ".join(
        text for text, rows in corners if any(scores is not None for scores in rows or ())
    )


def _add_axes(
    fig: Any, n_columns: int, names: Sequence[str], caption: str
) -> tuple[np.ndarray, float]:
    """Add squares as large as fit, and the text above and below; return their side in inches."""
    # matplotlib's own layouts would make room for a long name in the first column alone.
    size = np.array([fig.bbox.width, fig.bbox.height]) / fig.dpi
    names = [wrapped(name, letters(size[0], _NAME_SIZE)) for name in names]
    caption = wrapped(caption, letters(size[0], _LABEL_SIZE))
    above = [_text_height(name, _NAME_SIZE) for name in names]
    free = size[1] - sum(above) - _text_height(caption, _LABEL_SIZE) - _GAP
    side = min((size[0] - _GAP) / n_columns, free / len(names)) - _GAP
    if side <= 0:
        raise ValueError(
            f"A figure of {size[0]:g} x {size[1]:g} inches is too small for {len(names)} rows of "
            f"{n_columns} images."
        )
    axes = np.empty((len(names), n_columns), dtype=object)
    top = size[1] - _GAP
    for row, name, height in zip(axes, names, above, strict=True):
        top -= height + side
        for j in range(n_columns):
            corner = np.array([_GAP + j * (side + _GAP), top]) / size
            row[j] = fig.add_axes([*corner, *(side / size)])
            row[j].set_axis_off()
        row[0].set_title(name, loc="left", fontsize=_NAME_SIZE, pad=4, parse_math=False)
        top -= _GAP
    fig.text(*(np.array([_GAP, top]) / size), caption, va="top", fontsize=_LABEL_SIZE)
    return axes, side


def _text_height(text: str, size: float) -> float:
    return (1.2 * size * (text.count("\n") + 1) + 6) / 72 if text else 0.0


def _draw(axes: Any, image: Image.Image, *labels: str | None, size: float) -> tuple[Any, ...]:
    """Draw an image whole in its square, with its labels in the upper corners."""
    axes.set_axis_on()
    axes.spines[:].set(color="0.8", linewidth=0.5)
    x, y = np.divide(image.size, 2 * max(image.size))
    extent = (0.5 - x, 0.5 + x, 0.5 - y, 0.5 + y)
    axes.imshow(np.asarray(image), extent=extent, origin="upper")
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], facecolor="0.9")
    box = {"boxstyle": "square,pad=0.2", "facecolor": "black", "alpha": 0.75, "linewidth": 0}
    return tuple(
        text and axes.text(x, 0.96, text, ha=side, va="top", color="white", fontsize=size, bbox=box)
        for text, x, side in zip(labels, (0.03, 0.97), ("left", "right"), strict=True)
    )
