"""The charts of a report, as inline SVG that the page's style sheet colours."""

import math
from collections.abc import Iterable
from html import escape
from itertools import pairwise

import numpy as np

# Of both charts, in the units of their drawing; the page scales them.
_WIDTH, _HEIGHT = 480, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 46


def histogram(predicted: np.ndarray, true: np.ndarray | None, n_bins: int, decimals: int) -> str:
    """Draw how many pictures have which score.

    Parameters
    ----------
    predicted : numpy.ndarray
        The predicted scores, drawn as bars.
    true : numpy.ndarray or None
        The true scores, drawn as an outline.
    n_bins : int
        How many bars there are over the range of all scores.
    decimals : int
        Decimals of a score in text.

    Returns
    -------
    str
        An ``svg`` element, and a table of the counts, folded up.
    """
    edges = np.histogram_bin_edges(_joined(predicted, true), bins=n_bins)
    bars, _ = np.histogram(predicted, edges)
    outline = None if true is None else np.histogram(true, edges)[0]
    most = int(max(bars.max(), 0 if outline is None else outline.max()))
    chart = _Chart((edges[0], edges[-1]), (0, most))
    drawn = "".join(
        f"M{chart.x(low):.1f} {chart.y(0):.1f}V{chart.y(count):.1f}"
        f"H{chart.x(high) - 0.8:.1f}V{chart.y(0):.1f}Z"
        for low, high, count in zip(edges[:-1], edges[1:], bars, strict=True)
        if count
    )
    marks = [f'<path class="bars" d="{drawn}"/>']
    if outline is not None:
        steps = "".join(
            f"V{chart.y(count):.1f}H{chart.x(high):.1f}"
            for high, count in zip(edges[1:], outline, strict=True)
        )
        start = f"M{chart.x(edges[0]):.1f} {chart.y(0):.1f}"
        marks.append(f'<path class="outline" d="{start}{steps}V{chart.y(0):.1f}"/>')
    what = "predicted" if outline is None else "predicted and true"
    label = (
        f"Histogram of {len(predicted)} {what} scores. Predicted scores lie between "
        f"{predicted.min():z.{decimals}f} and {predicted.max():z.{decimals}f}, half of them below "
        f"{np.median(predicted):z.{decimals}f}. The table below has the counts."
    )
    axes = chart.axes("score", "pictures", whole_y=True)
    heads = ["Score", "Predicted"] + ([] if outline is None else ["True"])
    columns = [bars] if outline is None else [bars, outline]
    # Bars may be narrower than the decimals of a score.
    digits = max(decimals, decimals_of(edges[-1] - edges[0], n_bins))
    rows = [
        [f"{low:z.{digits}f} to {high:z.{digits}f}", *(str(column[i]) for column in columns)]
        for i, (low, high) in enumerate(pairwise(edges))
    ]
    table = f"<details><summary>Counts</summary>{_table(heads, rows)}</details>"
    return _svg(label, [axes, *marks]) + table


def scatter(predicted: np.ndarray, true: np.ndarray, label: str) -> str:
    """Draw true against predicted scores, with the line where the two are equal.

    Parameters
    ----------
    predicted, true : numpy.ndarray
        The scores.
    label : str
        What the chart says, for those who don't see it.

    Returns
    -------
    str
        An ``svg`` element.
    """
    # Each has its own range: predictions often vary less than the truth, and their order
    # would not be seen.
    domains = padded(predicted.min(), predicted.max()), padded(true.min(), true.max())
    chart = _Chart(*domains)
    # One path of strokes without length: thousands of circles would slow the page.
    dots = "".join(
        f"M{chart.x(p):.1f} {chart.y(t):.1f}h0" for p, t in zip(predicted, true, strict=True)
    )
    size = "few" if len(predicted) <= 500 else "some" if len(predicted) <= 2000 else "many"
    (least_x, most_x), (least_y, most_y) = domains
    low, high = max(least_x, least_y), min(most_x, most_y)
    line = ""
    if low < high:  # else no score is in both ranges
        line = f"M{chart.x(low):.1f} {chart.y(low):.1f}L{chart.x(high):.1f} {chart.y(high):.1f}"
    axes = chart.axes("predicted score", "true score")
    return _svg(
        label,
        [axes, f'<path class="equal" d="{line}"/>', f'<path class="dots {size}" d="{dots}"/>'],
    )


def scale(
    domain: tuple[float, float],
    predicted: float,
    interval: Iterable[float] | None,
    true: float | None,
) -> str:
    """Draw one picture's scores on a line; they are in its text too.

    Parameters
    ----------
    domain : tuple of two floats
        The scores at the ends of the line.
    predicted : float
        Drawn as a dot.
    interval : two floats or None
        Drawn as a bar.
    true : float or None
        Drawn as a diamond.

    Returns
    -------
    str
        An ``svg`` element that screen readers skip.
    """
    low, high = domain

    def place(score: float) -> str:
        return f"{6 + 188 * (score - low) / (high - low):.1f}"

    marks = ['<path class="rail" d="M6 8H194"/>']
    if interval is not None:
        start, end = interval
        marks.append(f'<path class="span" d="M{place(start)} 8H{place(end)}"/>')
    marks.append(f'<circle class="dot" cx="{place(predicted)}" cy="8" r="4.5"/>')
    if true is not None:
        marks.append(f'<path class="gem" d="M{place(true)} 2l6 6l-6 6l-6-6Z"/>')
    return f'<svg class="scale" viewBox="0 0 200 16" aria-hidden="true">{"".join(marks)}</svg>'


def class_bars(percents: list[str], most: float) -> str:
    """Draw class probabilities as bars, with the figures as text alternative.

    Parameters
    ----------
    percents : list of str
        Of each class, from the least to the most memorable.
    most : float
        The percentage of a bar of full height.

    Returns
    -------
    str
        An ``svg`` element.
    """
    bars = "".join(
        f"M{k + 0.08:.2f} 20V{20 - 20 * float(percent) / most:.1f}H{k + 0.92:.2f}V20Z"
        for k, percent in enumerate(percents)
    )
    said = ", ".join(percents)
    return (
        f'<svg class="classes" viewBox="0 0 {len(percents)} 20" preserveAspectRatio="none" '
        f'role="img" aria-label="Class probabilities in percent: {said}"><path d="{bars}"/></svg>'
    )


def padded(low: float, high: float) -> tuple[float, float]:
    """Widen a range a little, and one that is a single score to one of length 1.

    Parameters
    ----------
    low, high : float
        The range.

    Returns
    -------
    tuple of two floats
    """
    margin = 0.03 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def decimals_of(span: float, n_steps: int = 200) -> int:
    """Return how many decimals tell a given number of steps of a range apart.

    Parameters
    ----------
    span : float
        The length of the range.
    n_steps : int
        The steps.

    Returns
    -------
    int
        From 0 to 9; 3 for an empty range.
    """
    if span <= 0:
        return 3
    return min(9, max(0, math.ceil(math.log10(n_steps) - math.log10(span))))


class _Chart:
    """Places of scores in a chart, and its axes."""

    def __init__(self, domain_x: tuple[float, float], domain_y: tuple[float, float]) -> None:
        self._domain_x, self._domain_y = domain_x, domain_y

    def x(self, value: float) -> float:
        low, high = self._domain_x
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self._domain_y
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    def axes(self, name_x: str, name_y: str, whole_y: bool = False) -> str:
        bottom, middle = _HEIGHT - _BOTTOM, (_TOP + _HEIGHT - _BOTTOM) / 2
        parts = []
        for value, text in _ticks(*self._domain_x):
            place = self.x(value)
            parts.append(f'<path class="grid" d="M{place:.1f} {_TOP}V{bottom}"/>')
            parts.append(
                f'<text x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>'
            )
        for value, text in _ticks(*self._domain_y, smallest=1 if whole_y else 0):
            place = self.y(value)
            parts.append(f'<path class="grid" d="M{_LEFT} {place:.1f}H{_WIDTH - _RIGHT}"/>')
            parts.append(
                f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{text}</text>'
            )
        centre = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(
            f'<text x="{centre:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{name_x}</text>'
            f'<text transform="translate(13 {middle:.0f}) rotate(-90)" text-anchor="middle">'
            f"{name_y}</text>"
        )
        return f'<g class="axes" aria-hidden="true">{"".join(parts)}</g>'


def _ticks(low: float, high: float, smallest: float = 0) -> list[tuple[float, str]]:
    """Return four to nine round values within a range, and their texts."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = max(smallest, next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.8))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(i * step, f"{i * step:z.{decimals}f}") for i in range(first, last + 1)]


def _svg(label: str, parts: list[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{text}</td>" for text in rest)}</tr>'
        for first, *rest in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _joined(predicted: np.ndarray, true: np.ndarray | None) -> np.ndarray:
    return predicted if true is None else np.concatenate([predicted, true])
