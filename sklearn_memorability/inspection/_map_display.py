"""A map of what a model looks at, over its image."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from PIL import ImageOps

from sklearn_memorability.images import read_image
from sklearn_memorability.inspection._displays import axes_for, axes_letters, wrapped

# From purple, lowers, to orange, raises: colour-blind readers can tell them apart.
_CMAP = "PuOr_r"
# How much of the image the strongest colour hides.
_ALPHA = 0.9
# Width and height of a figure's place for the image, in inches.
_LARGEST = (5.0, 4.5)
_TITLE_SIZE = 10.0


@dataclass(eq=False, repr=False)
class MapDisplay:
    """A map laid over the image it is of: what raises the predicted score, what lowers it.

    Use :meth:`from_map`. All parameters are stored as attributes.

    Parameters
    ----------
    image : path, bytes, open file, PIL image, array or tensor
        The image.
    values : ndarray of shape (height, width)
        A value for each pixel of the image: above zero for what raises the score,
        below zero for what lowers it.
    score : float, optional
        The predicted score, written above the image.
    label : str, optional
        What the values are, written beside the colour bar.
    name : str, optional
        The image's name, written above it.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn in.
    figure_ : matplotlib Figure or SubFigure
        The figure of it.
    image_ : matplotlib AxesImage
        The image, in grey.
    map_ : matplotlib AxesImage
        The map on it; the smaller a value, the more of the image shows through.
    colorbar_ : matplotlib Colorbar or None
        The key to the colours.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.inspection import MapDisplay
    >>> values = np.zeros((4, 6))
    >>> values[1, 2] = 0.1
    >>> display = MapDisplay(np.zeros((4, 6), dtype=np.uint8), values).plot()
    >>> display.map_.norm.vmin, display.map_.norm.vmax
    (-0.1, 0.1)
    """

    image: Any
    values: np.ndarray
    _: KW_ONLY
    score: float | None = None
    label: str | None = None
    name: str | None = None

    def plot(
        self,
        ax: Any = None,
        *,
        vmax: float | None = None,
        colorbar: bool = True,
    ) -> "MapDisplay":
        """Draw the map over the image; nothing is shown on a screen.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw in. By default, a new figure of pyplot's.
        vmax : float, optional
            The value with the strongest colour; the scale is the same on both sides of
            zero. By default, the largest there is. Maps that are to be compared need the
            same.
        colorbar : bool, default=True
            Whether to draw the key to the colours.

        Returns
        -------
        MapDisplay
            Itself, with the attributes that end in an underscore.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If the map has not the image's shape or is not finite, or ``vmax`` is not
            above zero.
        sklearn_memorability.images.ImageReadError
            If the image can't be read.
        """
        image = read_image(self.image)
        values = _checked(self.values, image.size)
        if vmax is not None and not vmax > 0:
            raise ValueError(f"vmax={vmax} must be above zero.")
        # A flat map has no largest value; any scale shows it as it is.
        limit = vmax or float(np.abs(values).max()) or 1.0
        self.ax_, self.figure_ = axes_for("MapDisplay.plot", ax, _figsize(image.size, colorbar))
        ax = self.ax_
        self.image_ = ax.imshow(
            np.asarray(ImageOps.grayscale(image)), cmap="gray", vmin=0, vmax=255, origin="upper"
        )
        self.map_ = ax.imshow(
            values,
            cmap=_CMAP,
            vmin=-limit,
            vmax=limit,
            alpha=_ALPHA * np.clip(np.abs(values) / limit, 0, 1),
            origin="upper",
        )
        ax.set(xticks=[], yticks=[])
        self.colorbar_ = None
        if colorbar:
            from matplotlib.cm import ScalarMappable

            # Of its own, as the map's has a transparency for each pixel.
            key = ScalarMappable(self.map_.norm, self.map_.cmap)
            self.colorbar_ = self.figure_.colorbar(key, ax=ax, shrink=0.9, pad=0.02)
            self.colorbar_.set_label(self.label or "lowers the score  |  raises the score")
        lines = [] if self.name is None else [self.name]
        if self.score is not None:
            lines.append(f"predicted score {self.score:z.3f}")
        # In the middle, as a tall image is narrower than its own place.
        title = wrapped("\n".join(lines), int(0.8 * axes_letters(ax, _TITLE_SIZE)))
        ax.set_title(title, fontsize=_TITLE_SIZE, loc="center", parse_math=False)
        return self

    @classmethod
    def from_map(cls, result: Any, *, name: str | None = None, **plot_options: Any) -> "MapDisplay":
        """Draw what :func:`occlusion_map` or :func:`gradient_map` has returned.

        Parameters
        ----------
        result : Bunch
            What the function returned.
        name : str, optional
            The image's name, written above it.
        **plot_options
            Passed to :meth:`plot`: ``ax``, ``vmax``, ``colorbar``.

        Returns
        -------
        MapDisplay
            What was drawn.

        Raises
        ------
        ImportError, ValueError
            As :meth:`plot`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_memorability.inspection import MapDisplay, occlusion_map
        >>> class Brightness:
        ...     def predict(self, X):
        ...         return X.mean(axis=(1, 2, 3)) / 255
        >>> image = np.zeros((12, 12, 3), dtype=np.uint8)
        >>> image[:6] = 255
        >>> display = MapDisplay.from_map(occlusion_map(Brightness(), image), name="stripes")
        >>> display.ax_.get_title().splitlines()
        ['stripes', 'predicted score 0.500']
        """
        facts = {"score": result.score, "label": result.label, "name": name}
        return cls(result.image, result.map, **facts).plot(**plot_options)


def _checked(values: Any, size: tuple[int, int]) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.shape != size[::-1]:
        raise ValueError(
            f"values has the shape {values.shape}; the image has {size[1]} rows and {size[0]} "
            "columns of pixels."
        )
    if not np.isfinite(values).all():
        raise ValueError("values must be finite; the map has NaN or infinity in it.")
    return values


def _figsize(size: tuple[int, int], colorbar: bool) -> tuple[float, float]:
    scale = min(_LARGEST[0] / size[0], _LARGEST[1] / size[1])
    # The least width has room for the title, the least height for the bar's label.
    width, height = max(2.6, scale * size[0]), max(2.6, scale * size[1])
    return width + 1.1 * colorbar + 0.2, height + 0.5
