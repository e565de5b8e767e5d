"""A report of a model's predictions: one HTML file, to be looked through and mailed."""

import os
import uuid
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from sklearn_memorability.images import as_image_list
from sklearn_memorability.inspection._image_choice import as_scores
from sklearn_memorability.inspection._report_data import (
    Report,
    model_facts,
    predict_once,
    thumbnails,
)
from sklearn_memorability.inspection._report_page import page

_ON_ERROR = ("raise", "skip")


def write_report(
    model: Any,
    images: Any,
    y: Any = None,
    path: str | os.PathLike[str] = "report.html",
    *,
    title: str | None = None,
    data: str | None = None,
    n_bins: int = 30,
    thumbnail_size: int = 200,
    quantiles: Sequence[float] = (0.05, 0.95),
    on_error: str = "raise",
    verbose: int = 0,
) -> Path:
    """Write a model's predictions, picture by picture, into one HTML file.

    The file has a contact sheet that can be sorted, filtered and looked through, a
    histogram of the predictions and, with true scores, how well the two agree. It needs
    no other file and no network, and runs in any browser; without JavaScript it is a
    plain list.

    Parameters
    ----------
    model : estimator
        A fitted one whose ``predict`` takes pictures. Where a regressor of
        :mod:`sklearn_memorability.regression` is inside, the report has intervals and
        class probabilities.
    images : list, tuple, array, Series or one-column DataFrame
        Pictures in any form that :func:`~sklearn_memorability.images.read_image` takes.
        Files are called by their names, others by their row, as in "picture 12".
    y : array-like of shape (n_images,), optional
        Their true scores.
    path : str or path-like, default="report.html"
        The file to write, in a folder that exists. A file of this name is replaced, once
        the new one is finished.
    title : str, optional
        The report's heading.
    data : str, optional
        What the reader has to know of the pictures, such as where they come from and
        whether the model was fitted on them.
    n_bins : int, default=30
        Bars of the histogram.
    thumbnail_size : int, default=200
        The longer side, in pixels, of the pictures in the report; smaller ones stay as
        they are. At 200 a photograph takes about 9 KB of the file.
    quantiles : sequence of two floats in [0, 1], default=(0.05, 0.95)
        Between which levels the intervals lie.
    on_error : {"raise", "skip"}, default="raise"
        What happens where a picture can't be read. ``"skip"`` leaves it out of all
        figures, and lists it in the report with the reason.
    verbose : int, default=0
        Whether to show a progress bar while the pictures are made small.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If ``model`` does not predict, or ``images`` is a single one.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If ``y`` has not one finite score for each picture, the model predicts anything
        but a finite score for each, no picture can be read, or a parameter is not valid.
    FileNotFoundError
        If the folder does not exist.
    IsADirectoryError
        If ``path`` is a folder.
    sklearn_memorability.images.ImageReadError
        With ``on_error="raise"``, at the first picture that can't be read.

    See Also
    --------
    ImageGridDisplay : The most and the least memorable pictures, as a figure.

    Notes
    -----
    The report names the files as they were given, with their folders, and the model's
    parameters: look through them before it leaves your hands. The interval of Spearman's
    correlation is that of :func:`~sklearn_memorability.metrics.spearman_interval`, drawn
    with seed 0. If the model was fitted on these pictures, agreement says how well it
    remembers, not how well it predicts.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn_memorability.inspection import write_report
    >>> pictures = load_sample_images().images
    >>> model = DummyRegressor().fit(pictures, [0.64, 0.72])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = write_report(model, pictures, path=Path(folder) / "report.html")
    ...     report.name, report.stat().st_size < 100_000
    ('report.html', True)
    """
    target = _checked_path(path)
    levels = _checked_levels(quantiles)
    check_scalar(n_bins, "n_bins", Integral, min_val=1)
    check_scalar(thumbnail_size, "thumbnail_size", Integral, min_val=16, max_val=2048)
    if on_error not in _ON_ERROR:
        raise ValueError(f"on_error must be one of {list(_ON_ERROR)}, got {on_error!r}.")
    for name, text in (("title", title), ("data", data)):
        if not (text is None or isinstance(text, str)):
            raise TypeError(f"{name} must be a text, got a {type(text).__name__}.")
    if not hasattr(model, "predict"):
        raise TypeError(f"model must have predict; a {type(model).__name__} has not.")
    check_is_fitted(model)
    listed = as_image_list(images)
    true = as_scores(y, "y", len(listed))
    pictures, unreadable = thumbnails(
        listed, thumbnail_size, skip=on_error == "skip", verbose=verbose
    )
    rows = [picture.row for picture in pictures]
    try:
        predictions = predict_once(model, [listed[row] for row in rows], levels)
    except (TypeError, ValueError) as error:
        error.add_note(
            "write_report gives the model pictures. One that takes features needs a transformer "
            "in front, as in mlp_regressor(ImageFeatures())."
        )
        raise
    report = Report(
        title="Predicted memorability" if title is None else title,
        data=data,
        pictures=pictures,
        unreadable=unreadable,
        true=None if true is None else true[rows],
        predictions=predictions,
        model=model_facts(model),
    )
    _write(target, page(report, n_bins=n_bins))
    return target


def _checked_path(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"path={os.fspath(path)!r} is a folder; name a file in it.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path={os.fspath(path)!r}: there is no folder {str(target.parent)!r}; make it first."
        )
    return target


def _checked_levels(quantiles: Sequence[float]) -> tuple[float, float]:
    levels = np.asarray(quantiles, dtype=float)
    if levels.shape != (2,) or not 0 <= levels[0] < levels[1] <= 1:
        raise ValueError(
            f"quantiles={quantiles!r} must be two rising levels in [0, 1], such as (0.05, 0.95)."
        )
    return float(levels[0]), float(levels[1])


def _write(target: Path, parts: Any) -> None:
    # Under its own name a report is whole, whenever the process is killed.
    draft = target.with_name(f".{uuid.uuid4().hex}.html")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(parts)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
