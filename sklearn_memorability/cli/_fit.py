"""``sklearn-memorability fit``."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline

from sklearn_memorability.cli._choices import Kind
from sklearn_memorability.cli._console import (
    INTERRUPTED,
    OK,
    SOME_FAILED,
    emit,
    emit_json,
    progress_bar,
    report_failures,
    say,
)
from sklearn_memorability.cli._features import compute_rows, make_extractor
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.cli._scored import Columns, load_scored
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.persistence import save
from sklearn_memorability.persistence._model import import_skops
from sklearn_memorability.pipelines import (
    mlp_regressor,
    recommended_regressor,
    svr_regressor,
    two_branch_regressor,
)


def fit(
    images: Path,
    scores: Path,
    output: Path,
    *,
    kind: Kind,
    backbone: str | None,
    embedding: str | None,
    columns: Columns,
    score_range: tuple[float, float],
    cv: int,
    seed: int,
    as_json: bool,
    progress: bool,
    **settings: Any,
) -> int:
    """Fit a model to pictures with scores and save it; return the exit code.

    Parameters
    ----------
    images, scores, columns, score_range
        As :func:`~sklearn_memorability.cli._scored.load_scored` takes them.
    output : pathlib.Path
        Where to save it.
    kind : Kind
        Which model.
    backbone, embedding
        As :func:`~sklearn_memorability.cli._features.make_extractor` takes them.
    cv : int
        How many folds to measure it by; 0 leaves that out.
    seed : int
        Of the folds and the model.
    as_json : bool
        Whether to write a JSON document in place of text.
    progress : bool
        Whether to show progress bars on a terminal.
    **settings
        Parameters of the transformers from pictures to features.

    Returns
    -------
    int
    """
    # Not at the end, when all is computed.
    import_skops()
    data = load_scored(images, scores, columns, score_range)
    _check_folds(cv, data)
    model = make_model(kind, backbone, embedding, score_range, seed, settings)
    if "device" in settings and hasattr(model[-1], "device"):
        model[-1].set_params(device=settings["device"])
    features, rest = model[0].fit(data.images), model[1:]
    pictures = [Found(str(path)) for path in data.images]
    with progress_bar(progress) as bar:
        rows = compute_rows(pictures, features.transform, bar, "Computing features")
        if rows.interrupted:
            return INTERRUPTED
        report_failures(rows.errors)
        good = rows.good
        if not good.any():
            raise ValueError(f"none of the pictures in {str(images)!r} could be read.")
        X, y = rows.values[good], data.target[good]
        groups = None if data.groups is None else data.groups[good]
        found = _cross_validate(rest, X, y, groups, cv, seed, bar) if cv else None
        task = bar.add_task("Fitting", total=1)
        # The steps are the whole Pipeline's own, so this fits it.
        rest.fit(X, y)
        bar.advance(task)
    save(model, output)
    if as_json:
        emit_json(
            {
                "model": str(output),
                "kind": kind.value,
                "n_pictures": len(y),
                "n_failed": len(rows.errors),
                "folds": None if found is None else [_or_none(value) for value in found],
                "spearman": None if found is None else _or_none(found.mean()),
                "standard_error": None if found is None else _or_none(_standard_error(found)),
            }
        )
    elif found is not None:
        grouped = "" if groups is None else f", grouped by {columns.group!r}"
        emit(
            f"Spearman {found.mean():.3f} ± {_standard_error(found):.3f} "
            f"({cv} folds of {len(y)} pictures{grouped})\n"
        )
    say(f"Wrote {output}, fitted to {len(y)} pictures.")
    return SOME_FAILED if rows.errors else OK


def make_model(
    kind: Kind,
    backbone: str | None,
    embedding: str | None,
    score_range: tuple[float, float],
    seed: int,
    settings: dict[str, Any],
) -> Pipeline:
    """Return the Pipeline from pictures to scores that options ask for.

    Parameters
    ----------
    kind, backbone, embedding, score_range, seed
        As in :func:`fit`.
    settings : dict
        Parameters of the transformers from pictures to features.

    Returns
    -------
    sklearn.pipeline.Pipeline
    """
    if kind is Kind.TWO_BRANCH:
        embedding = embedding or "flickr8k"
    features = make_extractor(backbone, embedding, **settings)
    if kind is Kind.SVR:
        return svr_regressor(features)
    if kind is Kind.TWO_BRANCH:
        model = two_branch_regressor(
            embedding=embedding, score_range=score_range, random_state=seed
        )
        # One extractor, or two, give the two branches' columns in the same order.
        return model.set_params(features=features)
    make = recommended_regressor if kind is Kind.RECOMMENDED else mlp_regressor
    return make(features, score_range=score_range, random_state=seed)


def _check_folds(cv: int, data: Any) -> None:
    if data.groups is None:
        # A fold of one picture has no order.
        n_units, units, most = len(data.images), "pictures", len(data.images) // 2
    else:
        n_units = most = len(np.unique(data.groups))
        units = "groups"
    if cv == 1 or cv > most:
        several = f"from 2 to {most}, or " if most >= 2 else ""
        raise ValueError(
            f"--cv {cv}: there are {n_units} {units}, so it can be {several}0 for no "
            "cross-validation."
        )


def _cross_validate(
    model: Any,
    X: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray | None,
    cv: int,
    seed: int,
    bar: Progress,
) -> np.ndarray:
    kind = KFold if groups is None else GroupKFold
    task = bar.add_task("Cross-validating", total=cv)
    found = []
    for train, test in kind(cv, shuffle=True, random_state=seed).split(X, y, groups):
        fitted = clone(model).fit(X[train], y[train])
        found.append(spearman_score(y[test], fitted.predict(X[test])))
        bar.advance(task)
    return np.array(found)


def _standard_error(found: np.ndarray) -> float:
    return float(found.std(ddof=1) / np.sqrt(len(found)))


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
