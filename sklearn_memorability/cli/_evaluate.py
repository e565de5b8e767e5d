"""``sklearn-memorability evaluate``."""

import math
from pathlib import Path
from typing import Any

from sklearn_memorability.cli._console import (
    INTERRUPTED,
    OK,
    SOME_FAILED,
    emit,
    emit_json,
    progress_bar,
    report_failures,
)
from sklearn_memorability.cli._features import compute_rows
from sklearn_memorability.cli._model import open_model
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.cli._scored import Columns, load_scored
from sklearn_memorability.metrics import spearman_interval, spearman_score


def evaluate(
    model: str,
    images: Path,
    scores: Path,
    *,
    columns: Columns,
    score_range: tuple[float, float] | None,
    seed: int,
    as_json: bool,
    progress: bool,
    **settings: Any,
) -> int:
    """Measure a model on pictures with scores; return the exit code.

    Parameters
    ----------
    model : str
        As :func:`~sklearn_memorability.cli._model.open_model` takes it.
    images, scores, columns, score_range
        As :func:`~sklearn_memorability.cli._scored.load_scored` takes them; None is the
        model's own range.
    seed : int
        Of the bootstrap.
    as_json : bool
        Whether to write a JSON document in place of text.
    progress : bool
        Whether to show a progress bar on a terminal.
    **settings
        Of :func:`~sklearn_memorability.cli._model.open_model`.

    Returns
    -------
    int
    """
    scorer = open_model(model, **settings)
    data = load_scored(images, scores, columns, score_range or scorer.score_range or (0.0, 1.0))
    pictures = [Found(str(path)) for path in data.images]
    with progress_bar(progress) as bar:
        rows = compute_rows(pictures, scorer.predict, bar, "Scoring pictures")
    if rows.interrupted:
        return INTERRUPTED
    report_failures(rows.errors)
    good = rows.good
    if not good.any():
        raise ValueError(f"none of the pictures in {str(images)!r} could be read.")
    predicted, true = rows.values[good, 0], data.target[good]
    groups = None if data.groups is None else data.groups[good]
    spearman = spearman_score(true, predicted)
    low, high = spearman_interval(true, predicted, groups=groups, random_state=seed)
    found = {
        "model": model,
        "spearman": spearman,
        "interval": [low, high],
        "mse": float(((predicted - true) ** 2).mean()),
        "bias": float((predicted - true).mean()),
        "n_pictures": int(good.sum()),
        "n_failed": len(rows.errors),
    }
    if as_json:
        emit_json({key: _finite(value) for key, value in found.items()})
    else:
        drawn = "pictures" if groups is None else f"groups of {columns.group!r}"
        emit(
            f"Spearman  {spearman:.3f}  (95 % interval {low:.3f} to {high:.3f}, {drawn} redrawn)\n"
            f"MSE       {found['mse']:.4g}\n"
            f"bias      {found['bias']:+.4g}  (predicted less true)\n"
            f"pictures  {found['n_pictures']}"
            + (f"  ({len(rows.errors)} failed)\n" if rows.errors else "\n")
        )
    return SOME_FAILED if rows.errors else OK


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
