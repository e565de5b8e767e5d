"""A report of a model's predictions: one HTML file, to be looked through and mailed."""

import base64
import hashlib
import io
import math
import os
import unicodedata
import warnings
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
import numpy as np
from sklearn.utils import Bunch, check_scalar
from tqdm.auto import tqdm

from sklearn_memorability._utils._files import write_whole
from sklearn_memorability.features import UnreadableImagesWarning
from sklearn_memorability.images import ImageReadError
from sklearn_memorability.images._collect import as_image_list
from sklearn_memorability.images._read import path_of, unwrapped
from sklearn_memorability.inspection._displays import (
    BLUE,
    ORANGE,
    as_scores,
    data_uri,
    pyplot,
    small_image,
)
from sklearn_memorability.inspection._score_display import ScoreDisplay
from sklearn_memorability.inspection._unwrap import fitted_steps, predict_images
from sklearn_memorability.metrics import spearman_interval
from sklearn_memorability.metrics._rank import rank_correlation

_N_BINS = 30
_VERSIONS = ("sklearn-memorability", "scikit-learn", "numpy", "torch")
_SVG = "{http://www.w3.org/2000/svg}"
ElementTree.register_namespace("", _SVG[1:-1])
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def write_report(
    model: Any,
    images: Any,
    y: Any = None,
    path: str | os.PathLike[str] = "report.html",
    *,
    title: str = "Predicted memorability",
    data: str | None = None,
    thumbnail_size: int = 200,
    quantiles: Sequence[float] = (0.05, 0.95),
    on_error: str = "raise",
    verbose: int = 0,
) -> Path:
    """Write a model's predictions, image by image, into one HTML file.

    The file has all images with their scores, to be sorted and filtered, a histogram of
    the predictions and, with true scores, how well the two agree. It needs no other file
    and no network, and runs in any browser; without JavaScript it is a plain list.

    Parameters
    ----------
    model : estimator
        A fitted one whose ``predict`` takes images. Where a regressor of
        :mod:`sklearn_memorability.regression` is inside, the report has intervals and
        class probabilities.
    images : list, tuple, array, Series or one-column DataFrame
        Images in any form that :func:`~sklearn_memorability.images.read_image` takes.
        Files are called by their names, others by their row, as in "image 12".
    y : array-like of shape (n_images,), optional
        Their true scores.
    path : str or path-like, default="report.html"
        The file to write, in a folder that exists. A file of this name is replaced, once
        the new one is finished.
    title : str, default="Predicted memorability"
        The report's heading.
    data : str, optional
        What the reader has to know of the images, such as where they come from and
        whether the model was fitted on them.
    thumbnail_size : int, default=200
        The longer side, in pixels, of the images in the report, from 16 to 2048; smaller
        ones stay as they are. At 200 a photograph takes about 9 KB of the file.
    quantiles : sequence of two floats in [0, 1], default=(0.05, 0.95)
        Between which levels the intervals lie.
    on_error : {"raise", "skip"}, default="raise"
        What happens where an image can't be read. ``"skip"`` leaves it out of all
        figures, lists it in the report with the reason, and warns.
    verbose : int, default=0
        Whether to show a progress bar while the images are made small.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    TypeError
        If ``images`` is a single one.
    ValueError
        If ``y`` has not one finite score for each image, the model predicts anything
        but a finite score for each, no image can be read, or a parameter is not valid.
    FileNotFoundError, IsADirectoryError
        If ``path`` lies in a folder that does not exist, or is a folder.
    sklearn_memorability.images.ImageReadError
        With ``on_error="raise"``, at the first image that can't be read.

    Warns
    -----
    sklearn_memorability.features.UnreadableImagesWarning
        With ``on_error="skip"``, if images could not be read; its ``errors`` are theirs.

    See Also
    --------
    ImageGridDisplay : The most and the least memorable images, as a figure.

    Notes
    -----
    The report names the files as they were given, with their folders, and the model's
    parameters: look through them before it leaves your hands. The interval of Spearman's
    correlation is that of :func:`~sklearn_memorability.metrics.spearman_interval`, drawn
    with seed 0. If the model was fitted on these images, agreement says how well it
    remembers, not how well it predicts.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn_memorability.inspection import write_report
    >>> images = load_sample_images().images
    >>> model = DummyRegressor().fit(images, [0.64, 0.72])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = write_report(model, images, path=Path(folder) / "report.html")
    ...     report.name, report.stat().st_size < 100_000
    ('report.html', True)
    """
    target = Path(path)
    # Found out now, as predictions may take hours.
    if target.is_dir():
        raise IsADirectoryError(f"path={os.fspath(path)!r} is a folder; name a file in it.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path={os.fspath(path)!r}: there is no folder {str(target.parent)!r}; make it first."
        )
    levels = np.asarray(quantiles, dtype=float)
    if levels.shape != (2,) or not 0 <= levels[0] < levels[1] <= 1:
        raise ValueError(
            f"quantiles={quantiles!r} must be two rising levels in [0, 1], such as (0.05, 0.95)."
        )
    check_scalar(thumbnail_size, "thumbnail_size", Integral, min_val=16, max_val=2048)
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error={on_error!r} must be 'raise' or 'skip'.")
    plt = pyplot("write_report")
    head = fitted_steps(model)[-1]
    listed = as_image_list(images)
    true = as_scores(y, "y", len(listed))
    cards, errors = _thumbnails(listed, thumbnail_size, on_error, verbose)
    rows = [card.row for card in cards]
    try:
        predicted = predict_images(model, [listed[row] for row in rows], levels.tolist())
    except (TypeError, ValueError) as error:
        error.add_note(
            "write_report gives the model images. One that takes features needs a transformer "
            "in front, as in mlp_regressor(ImageFeatures())."
        )
        raise
    score = as_scores(predicted.score, f"The prediction of {type(model).__name__}", len(rows))
    true = None if true is None else true[rows]
    _add_scores(cards, score, true, predicted)
    # Predictions may lie close together; their order must be seen.
    decimals = min(9, max(0, math.ceil(2 - math.log10(float(np.ptp(score)) or 0.1))))
    environment = _environment(cards, decimals)
    level = f"{100 * (levels[1] - levels[0]):.4g}%"
    # Whatever the user's own style is.
    with plt.style.context(["default", {"svg.fonttype": "none"}]):
        charts = _charts(score, true)
    context = {
        "title": title,
        "data": data,
        "cards": sorted(cards, key=lambda card: -card.predicted),
        "level": level,
        "classes": _class_limits(head, decimals) if predicted.class_proba is not None else None,
        "has_true": true is not None,
        "has_interval": predicted.quantiles is not None,
        "n_outside": sum(bool(card.interval) and not card.inside for card in cards),
        "facts": _facts(score, true, predicted.quantiles, level, decimals),
        "charts": charts,
        "unreadable": errors,
        "model": repr(model),
        "written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "versions": {name: version(name) for name in _VERSIONS},
    }
    write_whole(target, environment.get_template("page.html").render(context))
    if errors:
        warnings.warn(UnreadableImagesWarning([error for _, error in errors]), stacklevel=2)
    return target


def _thumbnails(
    images: list[Any], size: int, on_error: str, verbose: int
) -> tuple[list[Bunch], list[tuple[str, ImageReadError]]]:
    """Make images small, each as a ``data:`` address; list the others, with their errors."""
    cards, errors = [], []
    for row, image in enumerate(tqdm(images, "Thumbnails", unit="image", disable=not verbose)):
        name, path = _name(image, row)
        try:
            small = small_image(image, row, size)
        except ImageReadError as error:
            if on_error == "raise":
                raise
            errors.append((name, error))
            continue
        size_of = dict(zip(("width", "height"), small.size, strict=True))
        cards.append(Bunch(row=row, name=name, path=path, uri=data_uri(small), **size_of))
    if not cards:
        raise ValueError(f"None of the {len(images)} images can be read; the first: {errors[0][1]}")
    return cards, errors


def _name(image: Any, row: int) -> tuple[str, str]:
    """Return what an image is called, and its path, empty if it has none."""
    path = path_of(unwrapped(image))
    if not path:
        return f"image {row}", ""
    path = os.fsdecode(path)
    return os.path.basename(path) or path, path


def _printable(value: Any) -> Any:
    """Replace control characters and halves of characters, which no HTML file can hold."""
    if not isinstance(value, str):
        return value
    bad = [ord(c) for c in set(value) - set("\n\t") if unicodedata.category(c) in ("Cc", "Cs")]
    return value.translate(dict.fromkeys(bad, "\ufffd")) if bad else value


def _add_scores(cards: list[Bunch], score: np.ndarray, true: Any, predicted: Bunch) -> None:
    for i, card in enumerate(cards):
        card.predicted = float(score[i])
        card.true = None if true is None else float(true[i])
        card.interval = card.classes = None
        if predicted.quantiles is not None:
            card.interval = low, high = predicted.quantiles[i].tolist()
            card.inside = low <= card.predicted <= high
            card.classes = [f"{100 * p:.1f}".removesuffix(".0") for p in predicted.class_proba[i]]


def _environment(cards: list[Bunch], decimals: int) -> jinja2.Environment:
    """Return jinja2's settings, with what writes and places scores."""
    folder = files("sklearn_memorability.inspection").joinpath("report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    all_scores = [c.predicted for c in cards] + [c.true for c in cards if c.true is not None]
    all_scores += [end for card in cards for end in card.interval or ()]
    low, high = min(all_scores), max(all_scores)
    if low == high:
        low, high = low - 0.5, high + 0.5
    most = max((float(p) for card in cards for p in card.classes or ()), default=100.0)
    style, script = (folder.joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    environment.globals |= {
        "decimals": decimals,
        "range": (low, high),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
    }
    environment.filters |= {
        "score": lambda value: f"{value:z.{decimals}f}",
        "signed": lambda value: f"{value:+z.{decimals}f}",
        "place": lambda value: f"{6 + 188 * (value - low) / (high - low):.1f}",
        "bar_height": lambda percent: f"{20 * float(percent) / most:.1f}",
    }
    return environment


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def _class_limits(head: Any, decimals: int) -> list[str]:
    """Return which scores each class holds, in words."""
    limits = [f"{limit:z.{decimals}f}" for limit in head.thresholds_[:-1]]
    if not limits:
        return ["all scores"]
    between = [f"{low} to {high}" for low, high in pairwise(limits)]
    return [f"up to {limits[0]}", *between, f"over {limits[-1]}"]


def _facts(
    score: np.ndarray, true: Any, intervals: Any, level: str, decimals: int
) -> list[tuple[str, str]]:
    """Return the figures of the overview, each with its name."""
    low, high = (f"{end:z.{decimals}f}" for end in (score.min(), score.max()))
    facts = [("Images", f"{len(score):,}"), ("Predicted scores", f"{low} to {high}")]
    if true is None:
        return facts
    correlation = "not defined: it needs two different true scores"
    if len(np.unique(true)) > 1:
        ends = "{:z.2f} to {:z.2f}".format(*spearman_interval(true, score, random_state=0))
        correlation = f"{rank_correlation(true, score):z.2f} (95% interval {ends})"
    errors = score - true
    facts += [
        ("Spearman correlation", correlation),
        ("Mean error", f"{errors.mean():+z.{decimals}f}"),
        ("Mean absolute error", f"{np.abs(errors).mean():z.{decimals}f}"),
    ]
    if intervals is not None:
        inside = np.mean((intervals[:, 0] <= true) & (true <= intervals[:, 1]))
        facts.append((f"True scores in the {level} interval", f"{100 * inside:.1f}%"))
    return facts


def _charts(score: np.ndarray, true: Any) -> list[str]:
    """Draw the histogram and, with true scores, these against the predicted ones."""
    low, high = float(score.min()), float(score.max())
    label = f"Histogram of {len(score)} predicted scores, from {low:z.3f} to {high:z.3f}."
    figure, ax = _figure()
    both = score if true is None else np.concatenate([score, true])
    bins = np.histogram_bin_edges(both, bins=_N_BINS)
    ax.hist(score, bins, color=BLUE, label="predicted")
    if true is not None:
        ax.hist(true, bins, color=ORANGE, histtype="step", linewidth=1.5, label="true")
        ax.legend(frameon=False)
    ax.set(xlabel="score", ylabel="images")
    charts = [_svg(figure, label)]
    if true is not None:
        figure, ax = _figure()
        ScoreDisplay(true, score).plot(ax)
        ax.set_title("", loc="left")
        charts.append(_svg(figure, f"True against predicted scores of {len(score)} images."))
    return charts


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.6), layout="constrained")
    figure.patch.set_visible(False)
    ax = figure.add_subplot()
    ax.patch.set_visible(False)
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def _svg(figure: Any, label: str) -> str:
    """Return a figure as an ``svg`` element without style attributes, which the page forbids."""
    content = io.StringIO()
    figure.savefig(content, format="svg")
    tree = ElementTree.fromstring(content.getvalue())  # noqa: S314 - it is matplotlib's
    for element in tree.iter():
        for declaration in element.attrib.pop("style", "").split(";"):
            name, _, value = (part.strip() for part in declaration.partition(":"))
            # The page's own font and colour of text suit light and dark.
            if name and name != "font":
                element.set(name, "currentColor" if value == "#000000" else value)
    for name in ("width", "height"):
        del tree.attrib[name]
    tree.attrib |= {"class": "chart", "role": "img", "aria-label": label, "fill": "currentColor"}
    for parent in list(tree.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    return ElementTree.tostring(tree, encoding="unicode")
