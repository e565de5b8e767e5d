"""What the displays share: colours, axes, checks of scores, and the width of texts."""

import base64
import io
import textwrap
from typing import Any

import numpy as np
from PIL import Image
from sklearn.utils import check_array, column_or_1d

from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability._utils._found import refuse
from sklearn_memorability.images import read_image

# After Okabe and Ito's palette, which colour-blind readers can tell apart; its blue is
# too dark to be seen on black.
BLUE, ORANGE, GREEN = "#1F83C4", "#D55E00", "#009E73"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00")


def pyplot(caller: str) -> Any:
    """Return matplotlib's pyplot; where it is missing, the error names who needs it."""
    return import_extra("matplotlib.pyplot", caller, "plot")


def axes_for(caller: str, ax: Any, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return the axes to draw in, those of a new figure by default, and their figure."""
    plt = pyplot(caller)
    if ax is None:
        ax = plt.figure(figsize=size, layout="constrained").add_subplot()
    return ax, ax.figure


def as_scores(values: Any, name: str, n_images: int) -> Any:
    """Return scores as an array, one finite number an image, or None."""
    if values is None:
        return None
    scores = column_or_1d(
        check_array(values, dtype=float, ensure_2d=False, ensure_all_finite=False, input_name=name)
    )
    if len(scores) != n_images:
        raise ValueError(f"{name} has {len(scores)} scores for {n_images} images.")
    bad = np.flatnonzero(~np.isfinite(scores))
    refuse(
        (f"{scores[i]} in row {i}" for i in bad),
        f"{name} has values that are not finite",
        way_out="Leave those images out.",
    )
    return scores


def wrapped(text: str, width: int) -> str:
    """Break each line of a text into lines of at most so many letters."""
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def letters(inches: float, size: float) -> int:
    """Return how many letters of a size, in points, fit beside each other; at least ten."""
    # A letter is on average not quite 0.6 as wide as its font is high.
    return max(10, int(inches * 72 / (0.6 * size)))


def axes_letters(ax: Any, size: float) -> int:
    """Return how many letters fit above axes, before the layout makes room for labels."""
    return letters(ax.get_window_extent().width / ax.figure.dpi, size)


def small_image(image: Any, row: int | None, side: int) -> Image.Image:
    """Read an image and make its longer side at most so many pixels."""
    # A copy, since what was read may be the very image that the user gave.
    small = read_image(image, row=row).copy()
    small.thumbnail((side, side))
    return small


def data_uri(small: Image.Image) -> str:
    """Return a ``data:`` address of an image, without its metadata."""
    content = io.BytesIO()
    small.info.clear()  # its profile and metadata may hold a place or a name
    small.save(content, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")
