"""Our figures beside the paper's, a row of a table each, or a matrix of models and sets."""

import math
from typing import Any

import numpy as np

from sklearn_memorability.inspection._displays import BLUE, ORANGE, axes_for, axes_letters, wrapped

_NAME_WIDTH = 34
_SET_WIDTH = 18
# Points between the axes and the title, for the key between them.
_LEGEND_HEIGHT = 24


class TableDisplay:
    r"""A dot plot of a table of results: here with its interval, beside the paper's.

    Rows that all have a ``"model"`` and a ``"set"``, as
    :func:`~sklearn_memorability.experiments.table2` of several models returns them, make a
    heat map. Where a model has seen the images (``"status"`` is ``"fitted"``), it has no colour.

    Use :meth:`from_table`. All parameters are stored as attributes.

    Parameters
    ----------
    rows : list of dict
        For each row its name, as ``"set"``, or ``"features"`` and ``"model"``, or
        ``"key"``, and the correlations: ``"paper"`` and ``"spearman"``, with
        ``"interval_low"`` and ``"interval_high"``, or else ``"standard_error"``. What
        is None or not there is not drawn. ``"status"`` says why a row has no figure.
    title : str, optional
        What the table is of.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn in.
    figure_ : matplotlib Figure or SubFigure
        The figure of it.
    names_ : list of str
        What is written beside each row, from above.
    legend_ : matplotlib Legend or None
        The key to the marks; a heat map has none.

    Examples
    --------
    >>> from sklearn_memorability.inspection import TableDisplay
    >>> rows = [{"features": "CNN", "model": "SVR", "paper": 0.64, "spearman": 0.62,
    ...          "interval_low": 0.60, "interval_high": 0.64},
    ...         {"features": "IC", "model": "SVR", "paper": 0.65}]
    >>> TableDisplay(rows, title="Table 1").plot().names_
    ['CNN, SVR', 'IC, SVR\nnot computed']
    """

    def __init__(self, rows: list[dict[str, Any]], *, title: str | None = None) -> None:
        self.rows = rows
        self.title = title

    def plot(self, ax: Any = None) -> "TableDisplay":
        """Draw the rows; nothing is shown on a screen.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw in. By default, a new figure of pyplot's.

        Returns
        -------
        TableDisplay
            Itself, with the attributes that end in an underscore.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If there is no row, or a row has no name.
        """
        if not self.rows:
            raise ValueError("rows is empty; there is nothing to draw.")
        if all(_is_text(row.get("set")) and _is_text(row.get("model")) for row in self.rows):
            return self._plot_matrix(ax)
        self.names_ = [_name(row, i) for i, row in enumerate(self.rows)]
        # A row is as high as its name has lines, and half a line more.
        heights = np.array([name.count("\n") + 1.5 for name in self.names_])
        self._places = np.cumsum(heights) - heights / 2
        self.ax_, self.figure_ = axes_for(
            "TableDisplay.plot", ax, (7.0, 1.5 + 0.19 * heights.sum())
        )
        ax = self.ax_
        ax.set(ylim=(heights.sum() + 0.3, -0.3), xlabel="Spearman's rank correlation")
        ax.set_yticks(self._places, self.names_, fontsize=9, parse_math=False)
        ax.tick_params(axis="y", length=0)
        ax.yaxis.grid(visible=True, color="0.5", alpha=0.3, lw=0.8)
        ax.set_axisbelow(True)
        self._draw_figures()
        if ax.get_xlim()[0] < 0 < ax.get_xlim()[1]:
            ax.axvline(0, color="0.5", lw=0.8, zorder=0)
        if self.title is not None:
            # Long names take room from the axes, which is not known before they are drawn.
            title = wrapped(self.title, int(0.75 * axes_letters(ax, 11)))
            ax.set_title(title, fontsize=11, loc="left", parse_math=False, pad=_LEGEND_HEIGHT)
        self.legend_ = ax.legend(
            loc="lower right",
            bbox_to_anchor=(1, 1),
            borderaxespad=0.1,
            ncols=3,
            frameon=False,
            fontsize=9,
        )
        return self

    @classmethod
    def from_table(
        cls, table: Any, *, title: str | None = None, **plot_options: Any
    ) -> "TableDisplay":
        r"""Draw a table of results.

        Parameters
        ----------
        table : ResultTable, list of dict or DataFrame
            What :func:`~sklearn_memorability.experiments.table1` and its sisters
            return, or rows with the same columns.
        title : str, optional
            What the table is of. By default, the table's own title, if it has one.
        **plot_options
            Passed to :meth:`plot`: ``ax``.

        Returns
        -------
        TableDisplay
            What was drawn.

        Raises
        ------
        TypeError
            If ``table`` is none of these.
        ImportError, ValueError
            As :meth:`plot`.

        Examples
        --------
        >>> from sklearn_memorability.experiments import table3
        >>> from sklearn_memorability.inspection import TableDisplay
        >>> display = TableDisplay.from_table(table3(None, {"Flickr": "no key for its API"}))
        >>> display.names_[:2]
        ['MediaEval\nnot given', 'Flickr\nmissing: no key for its API']
        """
        rows = getattr(table, "rows", table)
        if hasattr(rows, "to_dict"):
            rows = rows.to_dict(orient="records")
        if not (isinstance(rows, list | tuple) and all(isinstance(row, dict) for row in rows)):
            raise TypeError(
                f"table must be a ResultTable, a list of dicts or a DataFrame, got a "
                f"{type(table).__name__}."
            )
        title = title or getattr(table, "title", None)
        return cls(list(rows), title=title).plot(**plot_options)

    def _plot_matrix(self, ax: Any) -> "TableDisplay":
        models, sets = (list(dict.fromkeys(r[key] for r in self.rows)) for key in ("model", "set"))
        size = (2.8 + 1.4 * max(2, len(sets)), 1.2 + 0.75 * len(models))
        self.ax_, self.figure_ = axes_for("TableDisplay.plot", ax, size)
        self.names_, self.legend_ = [wrapped(name, _NAME_WIDTH) for name in models], None
        values = np.full((len(models), len(sets)), np.nan)
        text = {"fontsize": 9, "parse_math": False}
        for row in self.rows:
            i, j = models.index(row["model"]), sets.index(row["set"])
            seen = row.get("status") == "fitted"
            values[i, j] = None if seen else _number(row, "spearman")
            look = {"color": "0.5" if seen else "black", "ha": "center", "va": "center", **text}
            self.ax_.text(j, i, "\n".join(cell_lines(row)), **look)
        self.ax_.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        self.ax_.set_xticks(range(len(sets)), [wrapped(name, _SET_WIDTH) for name in sets], **text)
        self.ax_.set_yticks(range(len(models)), self.names_, **text)
        self.ax_.set_xlabel("Spearman's rank correlation")
        title = wrapped(self.title or "", int(0.75 * axes_letters(self.ax_, 11)))
        self.ax_.set_title(title, fontsize=11, loc="left", parse_math=False)
        return self

    def _draw_figures(self) -> None:
        rows = list(zip(self._places, self.rows, strict=True))
        papers = [(_number(row, "paper"), y) for y, row in rows]
        papers = [(value, y) for value, y in papers if value is not None]
        # Where both lie on each other, the paper's open square is seen around the dot.
        if papers:
            look = {"ms": 10, "mfc": "none", "mec": ORANGE, "mew": 1.6, "label": "paper"}
            self.ax_.plot(*zip(*papers, strict=True), "s", **look)
        kinds: dict[str, list[tuple[float, float, float, float]]] = {}
        for y, row in rows:
            value, low, high, error = (
                _number(row, name)
                for name in ("spearman", "interval_low", "interval_high", "standard_error")
            )
            if value is None:
                continue
            if low is not None and high is not None:
                # The mean over folds may lie outside of a narrow bootstrap interval.
                ends = max(value - low, 0.0), max(high - value, 0.0)
                kinds.setdefault("here, with interval", []).append((value, y, *ends))
            else:
                kind = "here" if error is None else "here, ± standard error"
                kinds.setdefault(kind, []).append((value, y, error or 0.0, error or 0.0))
        for (label, points), marker in zip(kinds.items(), "oDv", strict=False):
            x, places, *errors = zip(*points, strict=True)
            look = {"ms": 5, "color": BLUE, "capsize": 3, "lw": 1.5, "label": label}
            self.ax_.errorbar(x, places, xerr=errors, fmt=marker, **look)


def cell_lines(row: dict[str, Any]) -> list[str]:
    """Return the lines in a cell of a matrix: correlation, interval, share of the ceiling, mark."""
    names = ("spearman", "interval_low", "interval_high", "of_ceiling")
    value, low, high, share = (_number(row, name) for name in names)
    lines = ["" if value is None else f"{value:.2f}"]
    if row.get("status") == "fitted":
        return [*lines, "fitted"]
    lines += [] if low is None or high is None else [f"{low:.2f} to {high:.2f}"]
    lines += [] if share is None else [f"{share:.0%}"]
    return [*lines, "cv"] if row.get("status") == "cv" else lines


def _number(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    # A DataFrame has NaN where there is no value.
    return None if value is None or math.isnan(value) else float(value)


def _name(row: dict[str, Any], i: int) -> str:
    parts = [row[key] for key in ("features", "model") if _is_text(row.get(key))]
    if _is_text(row.get("set")):
        parts = [row["set"]]
    if not parts and _is_text(row.get("key")):
        parts = [row["key"]]
    if not parts:
        raise ValueError(
            f"Row {i} has no name: expected 'set', 'features' and 'model', or 'key'; it has "
            f"{list(row)}."
        )
    lines = [wrapped(", ".join(dict.fromkeys(parts)), _NAME_WIDTH)]
    if _number(row, "spearman") is None:
        status: Any = row.get("status")
        lines.append(wrapped(status if _is_text(status) else "not computed", _NAME_WIDTH))
    return "\n".join(lines)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
