"""Where the pictures, names and labels of a grid stand, in inches and points."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

CELL, GAP = 1.6, 0.07
NAME_SIZE, LABEL_SIZE = 10.0, 9.0


class Grid:
    """Squares as large as fit, from the top left, with the text above and below them."""

    # matplotlib's own layouts would make room for a long name in the first column alone.

    def __init__(
        self, size: tuple[float, float], n_columns: int, names: Sequence[str], caption: str
    ) -> None:
        self.size = np.array(size)
        self.n_columns = n_columns
        self.names = [_wrapped(name, size[0], NAME_SIZE) for name in names]
        self.caption = _wrapped(caption, size[0], LABEL_SIZE)
        self.above = [_text_height(name, NAME_SIZE) for name in self.names]
        free = size[1] - sum(self.above) - _text_height(self.caption, LABEL_SIZE) - GAP
        self.cell = min((size[0] - GAP) / n_columns, free / len(names)) - GAP
        if self.cell <= 0:
            asked = f"{len(names)} rows of {n_columns} images"
            raise ValueError(
                f"A figure of {size[0]:g} x {size[1]:g} inches is too small for {asked}."
            )

    def add_axes(self, fig: Any) -> np.ndarray:
        """Add the squares and the text to a figure."""
        axes = np.empty((len(self.names), self.n_columns), dtype=object)
        top = self.size[1] - GAP
        for row, name, above in zip(axes, self.names, self.above, strict=True):
            top -= above + self.cell
            for j in range(self.n_columns):
                corner = np.array([GAP + j * (self.cell + GAP), top]) / self.size
                row[j] = fig.add_axes([*corner, *(self.cell / self.size)])
                row[j].set_axis_off()
            row[0].set_title(name, loc="left", fontsize=NAME_SIZE, pad=4, parse_math=False)
            top -= GAP
        fig.text(*(np.array([GAP, top]) / self.size), self.caption, va="top", fontsize=LABEL_SIZE)
        return axes


def _wrapped(text: str, width: float, size: float) -> str:
    # A letter is on average not quite 0.6 as wide as its font is high.
    return textwrap.fill(text, max(10, int(width * 72 / (0.6 * size))))


def _text_height(text: str, size: float) -> float:
    return (1.2 * size * (text.count("\n") + 1) + 6) / 72 if text else 0.0


def font_size(labels: list[list[list[str | None]]], cell: float) -> float:
    """Return the points at which two of the longest label fit side by side."""
    lengths = [len(text) for row in labels for texts in row for text in texts if text]
    # A digit is about 0.64 of the size wide; 2.5 is for the boxes' edges and the gap.
    return min(LABEL_SIZE, 72 * cell / (2 * 0.64 * max(lengths, default=1) + 2.5))


def draw(axes: Any, picture: Image.Image, *labels: str | None, size: float) -> tuple[Any, ...]:
    """Draw a picture whole in its square, with its labels in the upper corners."""
    axes.set_axis_on()
    axes.spines[:].set(color="0.8", linewidth=0.5)
    x, y = np.divide(picture.size, 2 * max(picture.size))
    extent = (0.5 - x, 0.5 + x, 0.5 - y, 0.5 + y)
    axes.imshow(np.asarray(picture), extent=extent, origin="upper")
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], facecolor="0.9")
    box = {"boxstyle": "square,pad=0.2", "facecolor": "black", "alpha": 0.75, "linewidth": 0}
    return tuple(
        text and axes.text(x, 0.96, text, ha=side, va="top", color="white", fontsize=size, bbox=box)
        for text, x, side in zip(labels, (0.03, 0.97), ("left", "right"), strict=True)
    )
