"""Table 1: features and models on one set of pictures, fold by fold."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import Bunch
from tqdm import tqdm

from sklearn_memorability._fingerprint import fingerprint
from sklearn_memorability._utils._fingerprint import fingerprint as identity
from sklearn_memorability.experiments._data import Study, as_study
from sklearn_memorability.experiments._features import Features, compute_features
from sklearn_memorability.experiments._measures import human_ceiling, measure
from sklearn_memorability.experiments._models import row_estimators
from sklearn_memorability.experiments._published import (
    LAMEM_CONSISTENCY,
    MEMNET,
    TABLE_1,
    FitRow,
)
from sklearn_memorability.experiments._result_table import ResultTable, library_versions
from sklearn_memorability.experiments._runs import Runs

_SHOWN = {
    "features": "features",
    "model": "model",
    "paper": "paper (LaMem)",
    "spearman": "Spearman here",
    "interval": "interval",
    "of_ceiling": "of ceiling",
    "mse": "MSE",
    "bias": "bias",
}


class _Task(NamedTuple):
    """A row's fit on a fold."""

    key: str
    fold: int
    estimator: Any
    kinds: list[str] | None  # of features; None gives the pictures themselves
    fingerprint: str


def table1(
    data: Any,
    *,
    cnn: Any = None,
    ic: Any = None,
    cv: Any = None,
    rows: Iterable[str] | None = None,
    extra: Mapping[str, Any] | None = None,
    nested: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> ResultTable:
    """Compute the paper's Table 1 on a set of pictures, with models of your own beside it.

    The rows of Table 1 in Squalli-Houssaini et al. (2018): CNN features with an SVR and
    MLPs of two and four classes, IC features with an SVR and an MLP of four classes, both
    with an MLP of four classes and a branch each. The table's last row, MemNet, is
    another system: its figure is a published constant and is shown as such.

    Parameters
    ----------
    data : Bunch or tuple
        Pictures, scores and folds, as :func:`~sklearn_memorability.datasets.load_lamem`
        and the other loaders return them, or a tuple (images, scores).
    cnn : transformer or array of shape (n_images, n_features), optional
        From pictures to CNN features, or the features. None is the paper's,
        ``VGGFeatures()``.
    ic : transformer or array of shape (n_images, n_features), optional
        From pictures to IC features, or the features. None is ``CaptionEmbedding()``,
        the joint space that comes with the package.
    cv : int, splitter or iterable of (train, test), optional
        The folds. None takes the set's own (LaMem's official ones); a set without any
        gets five, by its groups where it has groups.
    rows : iterable of str, optional
        Which of the paper's rows to compute: ``"cnn-svr"``, ``"cnn-mlp2"``,
        ``"cnn-mlp4"``, ``"ic-svr"``, ``"ic-mlp4"``, ``"cnn+ic-mlp4"``. None is all; the
        others are listed without a figure.
    extra : mapping of str to estimator, optional
        Rows of your own, from their names to estimators that take the pictures
        themselves, such as ``recommended_regressor(ImageFeatures(cache=...))``. An
        estimator without a cache computes its features anew for each fold.
    nested : int, optional
        Choose each row's hyper-parameters by this many inner folds of each training
        part (eight draws from :func:`~sklearn_memorability.pipelines.search_space`),
        never by the reported test parts. None fits the settings that the paper states,
        and the package's defaults where it states none.
    folder : str or path-like, optional
        Where to keep features and the predictions of each fold, so that an interrupted
        run goes on when it is called again; ``table1.csv`` and ``table1.md`` are
        written there too. None keeps nothing.
    n_resamples : int, default=1000
        Bootstrap resamples for the interval of the mean correlation (test pictures are
        redrawn within each fold); 0 leaves it out.
    confidence_level : float, default=0.95
        Its level.
    random_state : int, default=0
        Seeds the models, the folds where the set has none, and the resamples.
    n_jobs : int, optional
        How many fits to run side by side, through joblib. None is 1.
    verbose : int, default=0
        Above 0, progress bars.

    Returns
    -------
    ResultTable
        A row each with ``paper`` (its figure on LaMem), ``spearman`` (mean over folds),
        ``standard_error`` (over folds), ``interval_low``, ``interval_high``,
        ``of_ceiling`` (the mean as a share of what people's agreement allows, where
        known), ``mse``, ``bias`` (predicted less true), ``n_images`` and ``fold_1``...;
        ``predictions`` has each row's by fold.

    Raises
    ------
    TypeError, ValueError
        If the data, the folds or a name can't be used.

    Notes
    -----
    The paper chose its hyper-parameters, layers, batch size and epochs by the mean
    correlation over the five folds that it reports (section 2.2), which makes its figures
    optimistic; ``nested`` shows what honest choices give.

    The standard error treats the folds as independent, but they share training pictures,
    so it is a little too small; the interval covers the choice of test pictures alone.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_photographs
    >>> from sklearn_memorability.captions import load_embedding
    >>> from sklearn_memorability.experiments import table1
    >>> photographs = load_things_photographs()
    >>> names, cnn = list(photographs.image_names), photographs.data
    >>> table = table1(
    ...     (names, photographs.target), cnn=cnn, ic=load_embedding("flickr8k").transform(cnn),
    ...     rows=["ic-svr"], n_resamples=0
    ... )
    >>> [row["model"] for row in table.rows if "spearman" in row]
    ['SVR']
    """
    if nested is not None and nested < 2:
        raise ValueError(f"nested is {nested}; expected 2 or more inner folds, or None.")
    study = as_study(data, cv, random_state)
    extra = dict(extra or {})
    wanted = _wanted(rows, extra)
    ceiling, human_note = human_ceiling(study.bunch, random_state)
    features = compute_features(
        study,
        {kind for row in wanted for kind in row.features.split(" + ")},
        {"CNN": cnn, "IC": ic},
        None if folder is None else Path(folder, "features.sqlite"),
        verbose,
    )
    tasks = _tasks(study, wanted, features, extra, nested, random_state)
    runs = Runs(None if folder is None else Path(folder, "predictions"))
    grouped = bool(nested) and study.groups is not None
    predicted = _predict(study, features, tasks, runs, grouped, n_jobs, verbose)

    table_rows: list[dict[str, Any]] = []
    for row in [*TABLE_1, MEMNET, *(FitRow(name, "", name, None) for name in extra)]:
        entry: dict[str, Any] = row._asdict()
        if row.key in predicted:
            pairs = [(study.target[test], found) for test, found in predicted[row.key]]
            entry |= measure(
                pairs,
                n_resamples=n_resamples,
                confidence_level=confidence_level,
                random_state=random_state,
                ceiling=ceiling,
            )
            entry["n_images"] = sum(len(true) for true, _ in pairs)
        table_rows.append(entry)
    notes = _notes(study, wanted, features, nested, confidence_level if n_resamples else None)
    table = ResultTable(
        f"Table 1: {study.title}",
        table_rows,
        _SHOWN,
        [*notes, human_note] if human_note else notes,
        _facts(study, features, random_state),
        predicted,
    )
    if folder is not None:
        table.to_csv(Path(folder, "table1.csv"))
        table.to_markdown(Path(folder, "table1.md"))
    return table


def _wanted(rows: Iterable[str] | None, extra: Mapping[str, Any]) -> list[FitRow]:
    known = {row.key: row for row in TABLE_1}
    if isinstance(rows, str):
        raise TypeError(f"rows is the string {rows!r}; give a list of names.")
    names = list(known) if rows is None else list(rows)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"rows has {unknown}; the paper's rows are {list(known)}.")
    taken = [name for name in extra if name in known or name == MEMNET.key]
    if taken:
        raise ValueError(f"extra has {taken}, which are the paper's rows; choose other names.")
    return [row for row in TABLE_1 if row.key in names]


def _tasks(
    study: Study,
    wanted: list[FitRow],
    features: Features,
    extra: Mapping[str, Any],
    nested: int | None,
    random_state: int,
) -> list[_Task]:
    hashes = {kind: fingerprint(matrix) for kind, matrix in features.matrices.items()}
    widths = {kind: matrix.shape[1] for kind, matrix in features.matrices.items()}
    grouped = bool(nested) and study.groups is not None
    estimators = row_estimators(wanted, widths, study.score_range, nested, grouped, random_state)
    # A picture's file counts as another once it is written anew.
    pictures = identity(study.images) if extra else ""
    tasks = []
    for fold, (train, test) in enumerate(study.folds):
        decides: list[Any] = [library_versions(), study.target[train], train, test]
        if grouped and study.groups is not None:
            decides.append(study.groups[train])
        for row in wanted:
            kinds = row.features.split(" + ")
            inputs = [features.row_of, [hashes[kind] for kind in kinds]]
            known = identity(estimators[row.key], inputs, decides)
            tasks.append(_Task(row.key, fold, estimators[row.key], kinds, known))
        for name, estimator in extra.items():
            tasks.append(_Task(name, fold, estimator, None, identity(estimator, pictures, decides)))
    return tasks


def _predict(
    study: Study,
    features: Features,
    tasks: list[_Task],
    runs: Runs,
    grouped: bool,
    n_jobs: int | None,
    verbose: int,
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Return each row's test rows and predictions, fold by fold."""
    kept = [runs.get(task.key, task.fingerprint) for task in tasks]
    left = [task for task, predicted in zip(tasks, kept, strict=True) if predicted is None]
    # Processes are sent the pictures only where a row needs them.
    bare = study._replace(images=[], bunch=Bunch())
    made = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_fit_and_predict)(task, bare if task.kinds else study, features, runs, grouped)
        for task in left
    )
    by_row: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for task, found in tqdm(zip(tasks, kept, strict=True), total=len(tasks), disable=not verbose):
        predicted = next(made) if found is None else found
        by_row.setdefault(task.key, []).append((study.folds[task.fold][1], predicted))
    return by_row


def _fit_and_predict(
    task: _Task, study: Study, features: Features, runs: Runs, grouped: bool
) -> np.ndarray:
    train, test = study.folds[task.fold]
    if task.kinds is None:
        X: Any = [study.images[i] for i in train]
        new: Any = [study.images[i] for i in test]
    else:
        X, new = features.of(task.kinds, train), features.of(task.kinds, test)
    named = {}
    if grouped and task.kinds is not None and study.groups is not None:
        named["groups"] = study.groups[train]
    predicted = clone(task.estimator).fit(X, study.target[train], **named).predict(new)
    predicted = np.asarray(predicted, dtype=np.float64).ravel()
    # Kept by the process that made it: what is finished survives an interruption.
    runs.put(task.key, task.fingerprint, predicted)
    return predicted


def _notes(
    study: Study,
    wanted: list[FitRow],
    features: Features,
    nested: int | None,
    confidence_level: float | None,
) -> list[str]:
    notes = [f"{kind} features: {source}." for kind, source in features.sources.items()]
    if "CNN" in features.sources and "VGGFeatures" not in features.sources["CNN"]:
        notes.append("The paper's CNN features are VGG16's last layer before the softmax (4096).")
    if "IC" in features.sources:
        notes.append(
            "The paper's IC features are the projection of VGG19's features by the embedding that "
            "Kiros et al. (2014) released."
        )
    if len(wanted) < len(TABLE_1):
        notes.append("Rows of the paper without a figure here were not asked for.")
    notes.append(
        f"{MEMNET.features}: another system; {MEMNET.paper:.2f} is a published constant (Khosla "
        f"et al., 2015), as is human consistency on LaMem, {LAMEM_CONSISTENCY:.2f}."
    )
    notes.append(
        "The paper chose its hyper-parameters by the folds that it reports (section 2.2), so its "
        "0.72 is optimistic. "
        + (
            f"Here each row's were chosen by {nested} inner folds of each training part."
            if nested
            else "Here nothing was chosen: settings that the paper states, defaults elsewhere; "
            "nested= chooses by inner folds."
        )
    )
    if len(study.folds) > 1:
        notes.append(
            f"Spearman: mean ± standard error over {len(study.folds)} folds, which share training "
            "pictures, so that the error is a little too small."
        )
    if confidence_level is not None:
        notes.append(
            f"Interval: {confidence_level:.0%}, bootstrap over the test pictures of each fold."
        )
    notes.append("Bias: mean of predicted less true scores.")
    return notes


def _facts(study: Study, features: Features, random_state: int) -> dict[str, Any]:
    names = [os.path.basename(x) if isinstance(x, str | os.PathLike) else "" for x in study.images]
    return {
        "random_state": random_state,
        "n_pictures": len(np.unique(features.row_of)),
        "data_sha256": fingerprint(names, study.target),
        "folds_sha256": fingerprint(study.folds),
        **{
            f"{kind.lower()}_features_sha256": fingerprint(matrix)
            for kind, matrix in features.matrices.items()
        },
    }
