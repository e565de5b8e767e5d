"""The pictures of a report: controls, a card each, and what they are sorted by."""

import json
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from sklearn_memorability.inspection._report_charts import class_bars, decimals_of, padded, scale
from sklearn_memorability.inspection._report_data import Report


def picture_section(report: Report, numbers: "Numbers") -> Iterator[str]:
    """Give the section with all pictures, the highest prediction first, part by part.

    Parameters
    ----------
    report : Report
        What is told.
    numbers : Numbers
        How scores are written.

    Yields
    ------
    str
        HTML.
    """
    yield _head(report, numbers)
    for place in _order(report):
        yield _card(report, numbers, place)
    yield '</ol></noscript><button type="button" id="more" hidden>Show more pictures</button>'
    yield "</section>"


def picture_facts(report: Report, numbers: "Numbers") -> str:
    """Give what the script sorts and filters by, as JSON for a script element.

    Parameters
    ----------
    report : Report
        What is told.
    numbers : Numbers
        How scores are written.

    Returns
    -------
    str
        Columns, in the order of the cards.
    """
    places = _order(report)
    found = report.predictions
    facts: dict[str, Any] = {
        "decimals": numbers.decimals,
        "row": [report.pictures[place].row for place in places],
        "name": [report.pictures[place].name for place in places],
        "path": [report.pictures[place].path for place in places],
        "predicted": _rounded(found.score[places]),
    }
    if report.true is not None:
        facts["true"] = _rounded(report.true[places])
    if found.interval is not None:
        facts["width"] = _rounded(np.diff(found.interval[places], axis=1)[:, 0])
    if found.proba is not None and found.thresholds is not None:
        facts["proba"] = [[percent(share) for share in row] for row in found.proba[places]]
        cuts = [numbers.score(value) for value in found.thresholds]
        facts["classes"] = ["all scores"]
        if cuts:
            between = [f"{low} to {high}" for low, high in pairwise(cuts)]
            facts["classes"] = [f"up to {cuts[0]}", *between, f"over {cuts[-1]}"]
    # Within a script element text ends at the first "</script", whatever the quotes.
    text = json.dumps(facts, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Numbers:
    """Scores as text, all with the same decimals, and the range that they lie in.

    Parameters
    ----------
    report : Report
        All of its scores.
    """

    def __init__(self, report: Report) -> None:
        given = [report.predictions.score]
        given += [a.ravel() for a in (report.predictions.interval, report.true) if a is not None]
        low, high = (f(np.concatenate(given)) for f in (np.min, np.max))
        # Predictions may lie close together; their order must be seen.
        self.decimals = decimals_of(high - low)
        close = decimals_of(float(np.ptp(report.predictions.score)), 20)
        self.decimals = min(max(self.decimals, close), self.decimals + 2)
        proba = report.predictions.proba
        # All pictures' bars have one scale, so that they can be compared.
        self.most_likely = 1.0 if proba is None else float(proba.max())
        self.domain = (low, high) if low < high else padded(low, high)

    def score(self, value: float) -> str:
        """Write a score."""
        return self._text(f"{value:z.{self.decimals}f}")

    def error(self, value: float) -> str:
        """Write a difference of scores, with its sign."""
        return self._text(f"{value:+z.{self.decimals}f}")

    @staticmethod
    def _text(number: str) -> str:
        return number.replace("-", "−")


def level(report: Report) -> str:
    """Write what share of new scores is expected in the intervals.

    Parameters
    ----------
    report : Report
        What is told.

    Returns
    -------
    str
        As in "90%".
    """
    low, high = report.predictions.levels
    return f"{100 * (high - low):.4g}%"


def percent(share: float) -> str:
    """Write a share in percent, without the sign.

    Parameters
    ----------
    share : float
        In [0, 1].

    Returns
    -------
    str
        With one decimal, or none if that is 0.
    """
    return f"{100 * share:.1f}".removesuffix(".0")


def _head(report: Report, numbers: "Numbers") -> str:
    found = report.predictions
    keys = [("predicted", "Predicted score")]
    ranges = [("predicted", "Predicted score")]
    if report.true is not None:
        keys += [
            ("true", "True score"),
            ("error", "Error (predicted − true)"),
            ("size", "Size of the error"),
        ]
        ranges.append(("true", "True score"))
    if found.interval is not None:
        keys.append(("width", "Width of the interval"))
    keys += [("name", "Name"), ("row", "Order given")]
    options = "".join(f'<option value="{value}">{text}</option>' for value, text in keys)
    limits = "".join(
        f'<fieldset class="wide"><legend>{text}</legend><label for="{key}-from">from</label>'
        f'<input id="{key}-from" type="number" step="any" inputmode="decimal">'
        f'<label for="{key}-to">to</label>'
        f'<input id="{key}-to" type="number" step="any" inputmode="decimal"></fieldset>'
        for key, text in ranges
    )
    return (
        '<section aria-labelledby="pictures"><h2 id="pictures" tabindex="-1">Pictures</h2>'
        '<form id="controls" role="search" aria-label="Pictures" autocomplete="off" hidden>'
        f'<div><label for="sort">Sort by</label><select id="sort">{options}</select></div>'
        '<div><button type="button" id="direction">Highest first</button></div>'
        '<div class="wide"><label for="words">Name or folder contains</label>'
        '<input id="words" type="search" autocomplete="off" spellcheck="false"></div>'
        f'{limits}<div><button type="button" id="clear">Clear filters</button></div></form>'
        f'<p id="status" role="status">Sorted by predicted score, highest first.</p>'
        f"{_legend(report, numbers)}"
        '<ol class="cards" id="list" role="list"></ol><noscript id="plain"><ol class="cards">\n'
    )


def _legend(report: Report, numbers: "Numbers") -> str:
    low, high = (numbers.score(end) for end in numbers.domain)
    key = ['<span class="key dot"></span>predicted']
    if report.predictions.interval is not None:
        key.append(f'<span class="key span"></span>{level(report)} interval')
    if report.true is not None:
        key.append('<span class="key gem"></span>true')
    if report.predictions.proba is not None:
        key.append(
            '<span class="key bar"></span>class probabilities, from the least to the most '
            "memorable class"
        )
    listed = "".join(f"<li>{entry}</li>" for entry in key)
    return f'<ul class="legend">{listed}<li>lines run from {low} to {high}</li></ul>'


def _card(report: Report, numbers: "Numbers", place: int) -> str:
    picture, found = report.pictures[place], report.predictions
    predicted = float(found.score[place])
    texts = [("Predicted", numbers.score(predicted))]
    interval = true = None
    if found.interval is not None:
        interval = low, high = found.interval[place].tolist()
        texts.append(
            (f"{level(report)} interval", f"{numbers.score(low)} to {numbers.score(high)}")
        )
    if report.true is not None:
        true = float(report.true[place])
        texts.append(("True", numbers.score(true)))
        texts.append(("Error", numbers.error(predicted - true)))
    bars = ""
    if found.proba is not None:
        bars = class_bars(
            [percent(share) for share in found.proba[place].tolist()], 100 * numbers.most_likely
        )
    # A card is a line of its own.
    name = escape(picture.name).replace("\n", "&#10;")
    listed = "".join(f"<div><dt>{what}</dt><dd>{text}</dd></div>" for what, text in texts)
    # The buttons need JavaScript, which switches them on.
    return (
        f'<li><button type="button" disabled><img src="{picture.uri}" alt="{name}" '
        f'width="{picture.width}" height="{picture.height}" decoding="async"></button>'
        f'<p class="name"><bdi>{name}</bdi></p><dl>{listed}</dl>'
        f"{scale(numbers.domain, predicted, interval, true)}{bars}</li>\n"
    )


def _order(report: Report) -> list[int]:
    return np.argsort(-report.predictions.score, kind="stable").tolist()


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.9g}") for value in values]
