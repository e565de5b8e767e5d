"""Grids of pictures with their scores, as in the paper's Figures 3 and 4."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from PIL import Image
from sklearn.preprocessing import minmax_scale
from sklearn.utils import check_random_state, check_scalar

from sklearn_memorability.images import as_image_list, read_image
from sklearn_memorability.inspection._image_choice import (
    ROW_NAMES,
    as_scores,
    checked_by,
    examples,
    extremes,
    largest_errors,
)
from sklearn_memorability.inspection._image_layout import CELL, Grid, draw, font_size
from sklearn_memorability.inspection._pyplot import pyplot

# Pixels of a drawn picture's longer side: enough for print, light in memory.
_SIDE = 400


class ImageGridDisplay:
    """Pictures in rows, with the true score top left and the predicted one top right.

    Use :meth:`from_predictions` or :meth:`from_estimator` for the most and the least
    memorable pictures, and :meth:`from_sets` for examples of several data sets. All
    parameters are stored as attributes.

    Parameters
    ----------
    images : sequence of sequences of images
        A sequence for each row, of images in any form that
        :func:`~sklearn_memorability.images.read_image` takes.
    y_true : sequence, optional
        For each row, its pictures' true scores, or None.
    y_pred : sequence, optional
        For each row, its pictures' predicted scores, or None.
    row_names : sequence of str, optional
        The rows' names, drawn above them.
    indices : sequence of sequences of int, optional
        Each picture's place among those it was chosen from, for error messages.
        By default, its place in its row.
    caption : str, optional
        The line under the grid. By default, it says which corner holds which score.

    Attributes
    ----------
    axes_ : ndarray of shape (n_rows, n_columns) of matplotlib Axes
        The pictures' places. Those that stay empty are switched off.
    figure_ : matplotlib Figure or SubFigure
        What the grid is drawn in.
    texts_ : list of lists of (text, text)
        For each row and picture, the matplotlib Text of the true and of the predicted
        score; None where there is none.

    Notes
    -----
    The grids are those of the paper's Fig. 3 (pictures of LaMem with both scores) and
    Fig. 4 (examples of each data set). Pictures are shown whole, in the middle of a
    square, and only those that are drawn are read.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.inspection import ImageGridDisplay
    >>> pictures = load_sample_images().images
    >>> display = ImageGridDisplay([pictures], y_true=[[0.64, 0.71]], row_names=["Samples"])
    >>> display = display.plot()
    >>> [true.get_text() for true, predicted in display.texts_[0]]
    ['0.64', '0.71']
    """

    def __init__(
        self,
        images: Sequence[Sequence[Any]],
        *,
        y_true: Sequence[Any] | None = None,
        y_pred: Sequence[Any] | None = None,
        row_names: Sequence[str] | None = None,
        indices: Sequence[Sequence[int]] | None = None,
        caption: str | None = None,
    ) -> None:
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.row_names = row_names
        self.indices = indices
        self.caption = caption

    def plot(
        self,
        *,
        values_format: str = "z.2f",
        figsize: tuple[float, float] | None = None,
        fig: Any = None,
    ) -> "ImageGridDisplay":
        """Draw the grid; nothing is shown on a screen.

        Parameters
        ----------
        values_format : str, default="z.2f"
            How scores are written: two decimals, and 0.00 rather than -0.00.
        figsize : tuple of two floats, optional
            Width and height of the new figure, in inches. By default, they grow with
            the grid.
        fig : matplotlib Figure or SubFigure, optional
            What to draw in, empty. By default, a new figure of pyplot's.

        Returns
        -------
        ImageGridDisplay
            Itself, with ``figure_``, ``axes_`` and ``texts_``.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If there is nothing to draw, the figure is too small, the parameters differ in
            their lengths, or both ``figsize`` and ``fig`` are given.
        sklearn_memorability.images.ImageReadError
            If a picture can't be read. The message names its row and its file.
        """
        plt = pyplot("ImageGridDisplay.plot")
        if fig is not None and figsize is not None:
            raise ValueError(
                f"figsize={figsize} is the size of a new figure; with fig, leave it out."
            )
        n_rows, n_columns = len(self.images), max(map(len, self.images), default=0)
        if n_columns == 0:
            raise ValueError("images holds no image to draw.")
        caption = _caption(self.y_true, self.y_pred) if self.caption is None else self.caption
        labels = [
            [_labels(scores, len(row), values_format) for scores in both]
            for row, *both in zip(
                self.images, self._each_row("y_true"), self._each_row("y_pred"), strict=True
            )
        ]
        size = figsize or (max(2, n_columns) * CELL, n_rows * (CELL + 0.3) + 0.3)
        if fig is not None:
            size = (fig.bbox.width / fig.dpi, fig.bbox.height / fig.dpi)
        grid = Grid(size, n_columns, self._each_row("row_names", ""), caption)
        # Pictures are read before there is a figure, which an error would leave behind.
        pictures = [
            [_small(image, j if places is None else places[j]) for j, image in enumerate(row)]
            for row, places in zip(self.images, self._each_row("indices"), strict=True)
        ]
        self.figure_ = plt.figure(figsize=size, layout="none") if fig is None else fig
        self.axes_ = grid.add_axes(self.figure_)
        points = font_size(labels, grid.cell)
        self.texts_ = [
            [draw(*drawn, size=points) for drawn in zip(axes, row, *texts, strict=False)]
            for axes, row, texts in zip(self.axes_, pictures, labels, strict=True)
        ]
        return self

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        images: Any,
        y_true: Any = None,
        *,
        n_images: int = 6,
        by: str | None = None,
        normalize: bool = False,
        **plot_options: Any,
    ) -> "ImageGridDisplay":
        """Draw the most and the least memorable pictures with a model's predictions.

        Parameters
        ----------
        model : estimator
            A fitted one whose ``predict`` takes pictures. For a model of features,
            predict them yourself and use :meth:`from_predictions`.
        images : list, tuple, array, Series or one-column DataFrame
            The pictures, all of which are predicted, in one call.
        y_true : array-like of shape (n_images,), optional
            Their true scores, drawn top left.
        n_images : int, default=6
            The most pictures in a row.
        by : {"true", "predicted", "error"}, optional
            What chooses the pictures, as in :meth:`from_predictions`.
        normalize : bool, default=False
            Whether the predicted scores drawn are scaled to 0..1.
        **plot_options
            Passed to :meth:`plot`: ``values_format``, ``figsize``, ``fig``.

        Returns
        -------
        ImageGridDisplay
            What was drawn.

        Raises
        ------
        ImportError, TypeError, ValueError
            As :meth:`from_predictions`, before anything is predicted.

        Examples
        --------
        >>> from sklearn.datasets import load_sample_images
        >>> from sklearn.dummy import DummyRegressor
        >>> from sklearn_memorability.inspection import ImageGridDisplay
        >>> pictures = load_sample_images().images
        >>> model = DummyRegressor().fit(pictures, [0.64, 0.72])
        >>> display = ImageGridDisplay.from_estimator(model, pictures, [0.64, 0.72])
        >>> [label.get_text() for label in display.texts_[0][0]]
        ['0.72', '0.68']
        """
        pyplot("ImageGridDisplay.from_estimator")
        listed = as_image_list(images)
        check_scalar(n_images, "n_images", Integral, min_val=1)
        y_true = as_scores(y_true, "y_true", len(listed))
        by = checked_by(by, y_true is not None, True, normalize)
        y_pred = model.predict(images)
        return cls.from_predictions(
            listed, y_true, y_pred, n_images=n_images, by=by, normalize=normalize, **plot_options
        )

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
        """Draw the most and the least memorable pictures, a row each.

        Parameters
        ----------
        images : list, tuple, array, Series or one-column DataFrame
            Pictures in any form that
            :func:`~sklearn_memorability.images.read_image` takes.
        y_true : array-like of shape (n_images,), optional
            Their true scores, drawn top left.
        y_pred : array-like of shape (n_images,), optional
            Their predicted scores, drawn top right. One of the two must be given.
        n_images : int, default=6
            The most pictures in a row. No picture is in both rows: of fewer than twice
            as many, the first row gets half, rounded up.
        by : {"true", "predicted", "error"}, optional
            What chooses the pictures: the true scores, the predicted ones, or their
            difference. Of the latter, the rows are the largest overestimates and the
            largest underestimates. By default, the true scores where they are given.
            Equal scores keep the order of ``images``.
        normalize : bool, default=False
            Whether the predicted scores drawn are scaled, so that the lowest of all those
            given becomes 0 and the highest 1, as in the paper's Fig. 3. Where all are
            alike they become 0.
        **plot_options
            Passed to :meth:`plot`: ``values_format``, ``figsize``, ``fig``.

        Returns
        -------
        ImageGridDisplay
            What was drawn. Its ``indices`` are the places in ``images``.

        Raises
        ------
        ValueError
            If there are no scores, or not as many as images, or one is not finite;
            if ``n_images`` is less than 1; or if ``by`` is unknown, asks for scores that
            are not given or, with scaled predictions, for errors.
        ImportError, sklearn_memorability.images.ImageReadError
            As :meth:`plot`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_memorability.inspection import ImageGridDisplay
        >>> pictures = np.zeros((4, 8, 8, 3), dtype=np.uint8)
        >>> y_true, y_pred = [0.5, 0.9, 0.7, 0.8], [0.6, 0.8, 0.7, 0.7]
        >>> display = ImageGridDisplay.from_predictions(
        ...     pictures, y_true, y_pred, n_images=2, normalize=True
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
        by = checked_by(by, y_true is not None, y_pred is not None, normalize)
        if by == "error":
            rows = largest_errors(y_pred - y_true, n_images)
        else:
            rows = extremes(y_true if by == "true" else y_pred, n_images)
        if normalize:
            y_pred = minmax_scale(y_pred)
        drawn = {name: row for name, row in zip(ROW_NAMES[by], rows, strict=True) if row}
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

    @classmethod
    def from_sets(
        cls,
        sets: Mapping[str, Any],
        *,
        n_images: int = 5,
        random_state: Any = None,
        **plot_options: Any,
    ) -> "ImageGridDisplay":
        """Draw examples of several data sets, a row each.

        Parameters
        ----------
        sets : mapping of str to pictures or Bunch
            From a set's name to its pictures, or to what a loader of
            :mod:`sklearn_memorability.datasets` returns: a Bunch with ``images`` and
            ``target``, the true scores or None.
        n_images : int, default=5
            The most pictures in a row.
        random_state : int, RandomState or None, default=None
            Draws the examples of sets without scores, in the set's order. Examples of
            the others stand at evenly spaced quantiles of the scores, from the most to
            the least memorable picture; a single one at the median.
        **plot_options
            Passed to :meth:`plot`: ``values_format``, ``figsize``, ``fig``.

        Returns
        -------
        ImageGridDisplay
            What was drawn. Its ``indices`` are the places in each set.

        Raises
        ------
        TypeError
            If ``sets`` is no mapping to pictures.
        ValueError
            If there is no set, or a set has no pictures or not one finite score for each.
        ImportError, sklearn_memorability.images.ImageReadError
            As :meth:`plot`.

        Examples
        --------
        >>> from sklearn.datasets import load_sample_images
        >>> from sklearn_memorability.inspection import ImageGridDisplay
        >>> samples = load_sample_images()
        >>> sets = {"Both samples": samples, "The first": samples.images[:1]}
        >>> ImageGridDisplay.from_sets(sets, random_state=0).axes_.shape
        (2, 2)
        """
        check_scalar(n_images, "n_images", Integral, min_val=1)
        if not isinstance(sets, Mapping) or hasattr(sets, "images"):
            raise TypeError(
                f"sets must be a mapping from names to sets, got a {type(sets).__name__}. "
                'For one set, give {"its name": the set}.'
            )
        if not sets:
            raise ValueError("sets holds no set.")
        chance = check_random_state(random_state)
        images, y_true, indices = [], [], []
        for name, given in sets.items():
            listed = as_image_list(getattr(given, "images", given))
            target = getattr(given, "target", None)
            scores = as_scores(target, f"The target of the set {name!r}", len(listed))
            row = examples(len(listed), scores, n_images, chance)
            images.append([listed[i] for i in row])
            y_true.append(None if scores is None else scores[row])
            indices.append(row)
        return cls(
            images, y_true=y_true, row_names=[str(name) for name in sets], indices=indices
        ).plot(**plot_options)

    def _each_row(self, name: str, default: Any = None) -> list[Any]:
        given = getattr(self, name)
        if given is None:
            return [default] * len(self.images)
        if len(given) != len(self.images):
            raise ValueError(f"{name} has {len(given)} rows, images has {len(self.images)}.")
        for i, (entry, row) in enumerate(zip(given, self.images, strict=True)):
            if not (entry is None or isinstance(entry, str) or len(entry) == len(row)):
                raise ValueError(
                    f"{name} has {len(entry)} values for {len(row)} images in row {i}."
                )
        return list(given)


def _small(image: Any, index: int) -> Image.Image:
    # A copy, since what was read may be the very picture that the user gave.
    picture = read_image(image, row=index).copy()
    picture.thumbnail((_SIDE, _SIDE))
    return picture


def _labels(scores: Any, n_images: int, values_format: str) -> list[str | None]:
    if scores is None:
        return [None] * n_images
    return [format(float(score), values_format) for score in scores]


def _caption(y_true: Any, y_pred: Any) -> str:
    corners = (("Top left: true score", y_true), ("Top right: predicted score", y_pred))
    return ". ".join(
        text for text, rows in corners if any(scores is not None for scores in rows or ())
    )
