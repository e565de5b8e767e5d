"""What a model looks at, by covering parts of an image."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_scalar, column_or_1d, gen_batches

from sklearn_memorability.images import read_image

# Windows along the shorter side, by default.
_WINDOWS = 6
# Covered copies of a large image that are held at a time, in bytes.
_MEMORY = 1 << 28
_MOST_AT_A_TIME = 32


def occlusion_map(
    model: Any,
    image: Any,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: str | int | tuple[int, int, int] = "mean",
) -> Bunch:
    """Tell how much the predicted score drops when a part of the image is covered.

    A window slides over the image and covers what lies under it with a plain colour
    [1]_; each covered copy is predicted. It works with every model from images to
    scores. Compare :func:`gradient_map`.

    Parameters
    ----------
    model : estimator
        A fitted one whose ``predict`` takes images, as an array of shape
        (n_images, height, width, 3) of 8 bits.
    image : path, bytes, open file, PIL image, array or tensor
        One image; see :func:`~sklearn_memorability.images.read_image`.
    window : int, optional
        Side of the square that is covered, in pixels. By default, a sixth of the shorter
        side of the image.
    stride : int, optional
        Steps of the window, downwards and to the right, in pixels; not above ``window``,
        since everything is to be covered once. By default, half of it.
    fill : "mean", int or tuple of three int, default="mean"
        What it is covered with: the image's mean colour, a grey, or a red, green and
        blue, from 0 to 255.

    Returns
    -------
    sklearn.utils.Bunch
        With the attributes

        map : numpy.ndarray of shape (height, width)
            For each pixel, the mean drop over the windows that covered it. Above zero:
            what is there raises the predicted score. Below zero: it lowers it.
        grid : numpy.ndarray of shape (n_rows, n_columns)
            The drop for each window.
        score : float
            The predicted score of the image as it is.
        image : PIL.Image.Image
            The image.
        label : str
            What the map's values are.

    Raises
    ------
    ValueError
        If ``window`` is larger than the image, ``stride`` than the window, ``fill`` is
        no colour, or the model does not predict one finite score an image.
    sklearn_memorability.images.ImageReadError
        If the image can't be read.

    See Also
    --------
    gradient_map : Finer and quicker, for networks.
    MapDisplay : Draws a map over its image.

    Notes
    -----
    What is covered is not simply gone: the window has edges, and an image with a plain
    patch is unlike those that the model was fitted to. Look at several sizes of
    ``window`` and kinds of ``fill`` before believing a map. What networks crop away
    has no effect. With ``cache=``, a transformer keeps the features of all covered
    copies.

    References
    ----------
    .. [1] M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional
       networks", ECCV 2014, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.inspection import occlusion_map
    >>> class Brightness:
    ...     def predict(self, X):
    ...         return X.mean(axis=(1, 2, 3)) / 255
    >>> image = np.zeros((6, 6, 3), dtype=np.uint8)
    >>> image[:2, :2] = 255
    >>> result = occlusion_map(Brightness(), image, window=2, stride=2, fill=0)
    >>> result.grid.round(2)
    array([[0.11, 0.  , 0.  ],
           [0.  , 0.  , 0.  ],
           [0.  , 0.  , 0.  ]])
    """
    image = read_image(image)
    pixels = np.asarray(image)
    size = pixels.shape[:2]
    window = max(1, min(size) // _WINDOWS) if window is None else window
    check_scalar(window, "window", Integral, min_val=1, max_val=min(size))
    stride = max(1, window // 2) if stride is None else stride
    check_scalar(stride, "stride", Integral, min_val=1, max_val=window)
    batch_size = max(1, min(_MOST_AT_A_TIME, _MEMORY // pixels.nbytes))
    colour = fill_colour(pixels, fill)

    (score,) = _predict(model, pixels[np.newaxis])
    tops, lefts = (_starts(length, window, stride) for length in size)
    places = [
        (slice(top, top + window), slice(left, left + window)) for top in tops for left in lefts
    ]
    drops = np.empty(len(places))
    for batch in gen_batches(len(places), batch_size):
        covered = np.repeat(pixels[np.newaxis], len(places[batch]), axis=0)
        for copy, place in zip(covered, places[batch], strict=True):
            copy[place] = colour
        drops[batch] = score - _predict(model, covered)
    total, times = np.zeros(size), np.zeros(size)
    for place, drop in zip(places, drops, strict=True):
        total[place] += drop
        times[place] += 1
    return Bunch(
        map=total / times,
        grid=drops.reshape(len(tops), len(lefts)),
        score=float(score),
        image=image,
        label="drop of the score when covered",
    )


def fill_colour(pixels: np.ndarray, fill: Any) -> np.ndarray:
    """Return red, green and blue of what stands for nothing to see."""
    if isinstance(fill, str) and fill == "mean":
        return np.rint(pixels.mean(axis=(0, 1))).astype(np.uint8)
    values = [fill] * 3 if isinstance(fill, Integral) else fill
    is_colour = isinstance(values, tuple | list | np.ndarray) and len(values) == 3
    if not (is_colour and all(isinstance(v, Integral) and 0 <= int(v) <= 255 for v in values)):
        raise ValueError(
            f"fill={fill!r} must be 'mean', a grey from 0 to 255, or a tuple of three such: red, "
            "green, blue."
        )
    return np.array(values, dtype=np.uint8)


def _starts(length: int, span: int, step: int) -> list[int]:
    # The last window ends where the image does, so it may overlap more than others.
    last = length - span
    return [*range(0, last, step), last]


def _predict(model: Any, images: np.ndarray) -> np.ndarray:
    scores = column_or_1d(np.asarray(model.predict(images), dtype=float))
    if len(scores) != len(images) or not np.isfinite(scores).all():
        raise ValueError(
            f"The model must predict one finite score an image; of {len(images)} image(s) it "
            f"predicts {scores}."
        )
    return scores
