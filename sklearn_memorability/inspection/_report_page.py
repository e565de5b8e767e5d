"""The page of a report: one HTML file, with its own script and style sheet."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime
from html import escape
from importlib.resources import files

import numpy as np

from sklearn_memorability.inspection._report_charts import histogram, scatter
from sklearn_memorability.inspection._report_data import ModelFacts, Report, printable
from sklearn_memorability.inspection._report_pictures import (
    Numbers,
    level,
    percent,
    picture_facts,
    picture_section,
)
from sklearn_memorability.metrics import spearman_interval
from sklearn_memorability.metrics._rank import rank_correlation


def page(report: Report, *, n_bins: int) -> Iterator[str]:
    """Give a report's HTML, part by part.

    Parameters
    ----------
    report : Report
        What it tells.
    n_bins : int
        Bars of the histogram.

    Yields
    ------
    str
        Together they are the file.
    """
    numbers = Numbers(report)
    yield _head(report)
    yield _overview(report, numbers, n_bins)
    yield _about(report)
    yield _unreadable(report)
    yield from picture_section(report, numbers)
    yield "</main>"
    yield _foot(picture_facts(report, numbers))


def _head(report: Report) -> str:
    heading = escape(printable(report.title))
    sections = ["Overview", "Data", "Model", "Unreadable", "Pictures"]
    if report.data is None:
        sections.remove("Data")
    if not report.unreadable:
        sections.remove("Unreadable")
    links = "".join(f'<a href="#{name.lower()}">{name}</a>' for name in sections)
    # Nothing may be loaded, and only what is written here may run: even markup that got
    # into the page would stay dead.
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash('page.css')}'; "
        f"script-src '{_hash('page.js')}'; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{heading}</title><link rel="icon" href="data:,">'
        f"<style>{_asset('page.css')}</style></head>\n"
        '<body><a class="skip" href="#pictures">Skip to the pictures</a>'
        f"<header><h1><bdi>{heading}</bdi></h1>"
        f'<nav aria-label="Sections">{links}</nav></header><main>'
    )


def _overview(report: Report, numbers: Numbers, n_bins: int) -> str:
    score, true, interval = report.predictions.score, report.true, report.predictions.interval
    facts = [("Pictures", f"{len(score):,}")]
    if report.unreadable:
        facts.append(("Unreadable", f"{len(report.unreadable):,}"))
    facts.append(
        ("Predicted scores", f"{numbers.score(score.min())} to {numbers.score(score.max())}")
    )
    hint = "" if true is None else "; the outline is that of the true scores"
    figures = [
        f"<figure><figcaption>Predicted scores{hint}</figcaption>"
        f"{histogram(score, true, n_bins, numbers.decimals)}</figure>"
    ]
    notes = []
    if true is not None:
        correlation = _correlation(true, score)
        errors = score - true
        facts += [
            ("Spearman correlation", correlation),
            ("Mean error", numbers.error(errors.mean())),
            ("Mean absolute error", numbers.score(np.abs(errors).mean())),
        ]
        if interval is not None:
            inside = np.mean((interval[:, 0] <= true) & (true <= interval[:, 1]))
            facts.append(
                (f"True scores in the {level(report)} interval", percent(float(inside)) + "%")
            )
        label = f"True against predicted scores. Spearman correlation: {correlation}."
        figures.append(
            "<figure><figcaption>True against predicted scores, each over its own range; on the "
            f"line they are equal</figcaption>{scatter(score, true, label)}</figure>"
        )
        notes.append(
            "These figures say how well the model predicts only if it was not fitted on these "
            "pictures. An error is the predicted score minus the true one."
        )
    if interval is not None:
        outside = int(np.sum((score < interval[:, 0]) | (score > interval[:, 1])))
        if outside:
            notes.append(
                f"Predicted scores outside their own interval: {outside:,}. The model counts a "
                "class as one value, its upper threshold unless it was told otherwise, and "
                "takes the interval from the scores within the class."
            )
    tiles = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    told = "".join(f'<p class="note">{note}</p>' for note in notes)
    return (
        '<section aria-labelledby="overview"><h2 id="overview">Overview</h2>'
        f'<dl class="tiles">{tiles}</dl>{told}<div class="figures">{"".join(figures)}</div>'
        "</section>"
    )


def _correlation(true: np.ndarray, score: np.ndarray) -> str:
    correlation = rank_correlation(true, score)
    if np.isnan(correlation):
        return "not defined: it needs two different true scores"
    low, high = spearman_interval(true, score, random_state=0)
    text = f"{correlation:z.2f} (95% interval {low:z.2f} to {high:z.2f})"
    return text.replace("-", "−")


def _unreadable(report: Report) -> str:
    if not report.unreadable:
        return ""
    listed = "".join(
        f"<li><bdi>{escape(name)}</bdi>: <bdi>{escape(reason)}</bdi></li>"
        for name, reason in report.unreadable
    )
    return (
        '<section aria-labelledby="unreadable"><h2 id="unreadable">Unreadable pictures</h2>'
        f"<p>They are in none of the figures.</p><ul>{listed}</ul></section>"
    )


def _about(report: Report) -> str:
    model: ModelFacts = report.model
    versions = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>"
        for name, text in model.versions.items()
    )
    params = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td><code>{escape(value)}</code></td></tr>'
        for name, value in model.params.items()
    )
    told = ""
    if report.data is not None:
        text = escape(printable(report.data))
        told = (
            '<section aria-labelledby="data"><h2 id="data">Data</h2>'
            f'<p class="told" dir="auto">{text}</p></section>'
        )
    now = datetime.now().astimezone()
    written = f'<time datetime="{now.isoformat(timespec="seconds")}">{now:%Y-%m-%d %H:%M %Z}</time>'
    return (
        f'{told}<section aria-labelledby="model"><h2 id="model">Model</h2>'
        f"<pre>{escape(model.description)}</pre>"
        f"<details><summary>All parameters</summary><table><thead><tr>"
        '<th scope="col">Parameter</th><th scope="col">Value</th></tr></thead>'
        f"<tbody>{params}</tbody></table></details>"
        f'<dl class="versions"><div><dt>Written</dt><dd>{written}</dd></div>{versions}</dl>'
        "</section>"
    )


def _foot(facts: str) -> str:
    return (
        '<dialog id="viewer" aria-labelledby="viewer-name"><div class="bar">'
        '<button type="button" id="previous">Previous</button>'
        '<button type="button" id="next">Next</button>'
        '<button type="button" id="close" autofocus>Close</button></div>'
        '<h2 id="viewer-name" aria-live="polite"><bdi></bdi></h2>'
        '<img id="viewer-picture" alt=""><p id="viewer-path"><bdi></bdi></p>'
        '<dl id="viewer-scores"></dl><table id="viewer-classes"><caption>Class probabilities'
        '</caption><thead><tr><th scope="col">Scores</th><th scope="col">Percent</th></tr>'
        "</thead><tbody></tbody></table></dialog>"
        f'<script type="application/json" id="facts">{facts}</script>'
        f"<script>{_asset('page.js')}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    folder = files("sklearn_memorability.inspection").joinpath("report")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _hash(name: str) -> str:
    digest = hashlib.sha256(_asset(name).encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")
