"""matplotlib, imported when something is drawn, and what the displays share."""

import textwrap
from typing import Any

# After Okabe and Ito's palette, which colour-blind readers can tell apart; its blue is
# too dark to be seen on black.
BLUE, ORANGE, GREEN = "#1F83C4", "#D55E00", "#009E73"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00")


def pyplot(caller: str) -> Any:
    """Return matplotlib's pyplot.

    Parameters
    ----------
    caller : str
        Who needs it, for the error message.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If matplotlib is missing; names the extra.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib: pip install 'sklearn-memorability[plot]'"
        ) from error
    return plt


def axes_for(
    caller: str,
    ax: Any,
    figsize: tuple[float, float] | None,
    default: tuple[float, float],
) -> Any:
    """Return the axes to draw in, new ones where none are given.

    Parameters
    ----------
    caller : str
        Who draws, for the error message.
    ax : matplotlib Axes or None
        What the user gave.
    figsize : tuple of two floats or None
        The size of the new figure that the user asks for.
    default : tuple of two floats
        Its size otherwise.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If both ``ax`` and ``figsize`` are given.
    """
    plt = pyplot(caller)
    if ax is None:
        return plt.figure(figsize=figsize or default, layout="constrained").add_subplot()
    if figsize is not None:
        raise ValueError(f"figsize={figsize} is the size of a new figure; with ax, leave it out.")
    return ax


def wrapped(text: str, width: int) -> str:
    """Break a text into lines of at most so many letters, long words too.

    Parameters
    ----------
    text : str
        The text; its own line breaks stay.
    width : int
        Letters a line.

    Returns
    -------
    str
    """
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def letters(ax: Any, size: float) -> int:
    """Return how many letters of a size, in points, fit beside each other in axes.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    size : float
        The letters' size.

    Returns
    -------
    int
        At least ten.
    """
    # The width before the layout makes room for labels; a letter is on average not quite
    # 0.6 as wide as its font is high.
    inches = ax.get_window_extent().width / ax.figure.dpi
    return max(10, int(inches * 72 / (0.6 * size)))
