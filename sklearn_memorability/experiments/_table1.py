"""Table 1: features and models on one set of images, fold by fold."""

import io
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, RandomizedSearchCV
from sklearn.utils import Bunch
from tqdm import tqdm

from sklearn_memorability._utils._files import write_whole
from sklearn_memorability._utils._fingerprint import fingerprint
from sklearn_memorability.experiments._data import Features, compute_features, with_folds
from sklearn_memorability.experiments._published import LAMEM_CONSISTENCY, MEMNET, TABLE_1, FitRow
from sklearn_memorability.experiments._results import (
    ResultTable,
    human_ceiling,
    library_versions,
    measure,
)
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor, search_space, svr_regressor

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
_N_DRAWS = 8


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
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> ResultTable:
    """Compute the paper's Table 1 on a set of images, with models of your own beside it.

    The rows of Table 1 in Squalli-Houssaini et al. (2018): CNN features with an SVR and
    MLPs of two and four classes, IC features with an SVR and an MLP of four classes, both
    with an MLP of four classes and a branch each. The table's last row, MemNet, is
    another system: its figure is a published constant and is shown as such.

    Parameters
    ----------
    data : Bunch or tuple
        Images, scores and folds, as :func:`~sklearn_memorability.datasets.load_lamem`
        and the other loaders return them, or a tuple (images, scores).
    cnn : transformer or array of shape (n_images, n_features), optional
        From images to CNN features, or the features. None is the paper's,
        ``VGGFeatures()``.
    ic : transformer or array of shape (n_images, n_features), optional
        From images to IC features, or the features. None is ``CaptionEmbedding()``,
        the joint space that comes with the package.
    cv : int, splitter or iterable of (train, test), optional
        The folds. None takes the set's own (LaMem's official ones); a set without any
        gets five, by its groups where it has groups.
    rows : iterable of str, optional
        Which of the paper's rows to compute: ``"cnn-svr"``, ``"cnn-mlp2"``,
        ``"cnn-mlp4"``, ``"ic-svr"``, ``"ic-mlp4"``, ``"cnn+ic-mlp4"``. None is all; the
        others are listed without a figure.
    extra : mapping of str to estimator, optional
        Rows of your own, from their names to estimators that take the images
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
        Bootstrap resamples for the 95% interval of the mean correlation (test images
        are redrawn within each fold); 0 leaves it out.
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

    The standard error treats the folds as independent, but they share training images,
    so it is a little too small; the interval covers the choice of test images alone.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_photographs
    >>> from sklearn_memorability.captions import VisualSemanticEmbedding
    >>> from sklearn_memorability.experiments import table1
    >>> photographs = load_things_photographs()
    >>> names, cnn = list(photographs.image_names), photographs.data
    >>> ic = VisualSemanticEmbedding.load("flickr8k").transform(cnn)
    >>> table = table1(
    ...     (names, photographs.target), cnn=cnn, ic=ic,
    ...     rows=["ic-svr"], n_resamples=0
    ... )
    >>> [row["model"] for row in table.rows if "spearman" in row]
    ['SVR']
    """
    if nested is not None and nested < 2:
        raise ValueError(f"nested is {nested}; expected 2 or more inner folds, or None.")
    data = with_folds(data, cv, random_state)
    extra = dict(extra or {})
    paper_rows = _choose(rows, extra)
    kinds = sorted({kind for row in paper_rows for kind in row.features.split(" + ")})
    given = {"CNN": cnn, "IC": ic}
    cache = None if folder is None else Path(folder, "features.sqlite")
    features = compute_features(data.images, {kind: given[kind] for kind in kinds}, cache, verbose)
    predictions = _predict(
        data, features, paper_rows, extra, nested, random_state, folder, n_jobs, verbose
    )
    ceiling, human_note = human_ceiling(data, random_state)
    entries: list[dict[str, Any]] = []
    for row in [*TABLE_1, MEMNET, *(FitRow(name, "", name, None) for name in extra)]:
        entry = row._asdict()
        if row.key in predictions:
            pairs = [(data.target[test], found) for test, found in predictions[row.key]]
            entry |= measure(pairs, n_resamples, random_state, ceiling)
        entries.append(entry)
    description = (data.get("DESCR") or "").strip()
    title = description.splitlines()[0] if description else "images of your own"
    notes = _notes(len(paper_rows), features.sources, nested, len(data.folds), n_resamples)
    notes += [human_note] if human_note else []
    names = [os.path.basename(x) if isinstance(x, str | os.PathLike) else "" for x in data.images]
    facts = {
        "random_state": random_state,
        "n_images": len(np.unique(features.row_of)),
        "data_hash": fingerprint(names, data.target),
        "folds_hash": fingerprint(data.folds),
    }
    for kind, matrix in features.matrices.items():
        facts[f"{kind.lower()}_features_hash"] = fingerprint(matrix)
    table = ResultTable(f"Table 1: {title}", entries, _SHOWN, notes, facts, predictions)
    if folder is not None:
        table.to_csv(Path(folder, "table1.csv"))
        table.to_markdown(Path(folder, "table1.md"))
    return table


def _choose(rows: Iterable[str] | None, extra: Mapping[str, Any]) -> list[FitRow]:
    """Return the paper's rows of these names, all for None."""
    keys = [row.key for row in TABLE_1]
    if isinstance(rows, str):
        raise TypeError(f"rows is the string {rows!r}; give a list of names.")
    chosen = keys if rows is None else list(rows)
    unknown = [name for name in chosen if name not in keys]
    if unknown:
        raise ValueError(f"rows has {unknown}; the paper's rows are {keys}.")
    taken = [name for name in extra if name in keys or name == MEMNET.key]
    if taken:
        raise ValueError(f"extra has {taken}, which are the paper's rows; choose other names.")
    return [row for row in TABLE_1 if row.key in chosen]


def _estimator(
    row: FitRow, widths: list[int], score_range: tuple[float, float], random_state: int
) -> Any:
    """Return the estimator of a row, from features to scores."""
    if row.model == "SVR":
        return svr_regressor(cache_size=1000)
    return mlp_regressor(
        n_classes=int(row.model.split()[1]),
        branches=tuple(widths) if len(widths) > 1 else None,
        score_range=score_range,
        random_state=random_state,
    )


def _tuned(model: Any, n_features: int, nested: int, grouped: bool, random_state: int) -> Any:
    """Return a search over a model's parameters by inner folds."""
    return RandomizedSearchCV(
        model,
        search_space(model, n_features=n_features),
        n_iter=_N_DRAWS,
        scoring=spearman_scorer,
        cv=(GroupKFold if grouped else KFold)(nested, shuffle=True, random_state=random_state),
        random_state=random_state,
    )


def _predict(
    data: Bunch,
    features: Features,
    paper_rows: list[FitRow],
    extra: Mapping[str, Any],
    nested: int | None,
    random_state: int,
    folder: str | os.PathLike[str] | None,
    n_jobs: int | None,
    verbose: int,
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Return each row's test rows and predictions, fold by fold."""
    # With a folder, each prediction is a file there, named by all that decides it.
    hashes = {kind: fingerprint(matrix) for kind, matrix in features.matrices.items()}
    grouped = bool(nested) and data.groups is not None
    models: list[tuple[str, Any, Any, Any]] = []
    for row in paper_rows:
        kinds = row.features.split(" + ")
        matrices = tuple(features.matrices[kind] for kind in kinds)
        widths = [matrix.shape[1] for matrix in matrices]
        model = _estimator(row, widths, data.score_range, random_state)
        if nested:
            model = _tuned(model, sum(widths), nested, grouped, random_state)
        models.append((row.key, model, matrices, [hashes[kind] for kind in kinds]))
    # An image's file counts as another one once it is written anew.
    images_hash = fingerprint(data.images) if extra and folder is not None else ""
    models += [(name, model, data.images, images_hash) for name, model in extra.items()]

    tasks, tests = [], []
    for train, test in data.folds:
        for key, model, X, known_by in models:
            of_images = key in extra
            fit_params = {"groups": data.groups[train]} if grouped and not of_images else {}
            target = data.target[train]
            file = None
            if folder is not None:
                rows = () if of_images else features.row_of
                # A search's distributions are known by their values in a dict only.
                settings = (type(model), model.get_params(deep=False))
                decisive = (settings, known_by, rows, train, test, target, fit_params)
                name = "".join(c if c.isalnum() or c in "+-" else "_" for c in key)[:60]
                digits = fingerprint(library_versions(), *decisive)
                file = Path(folder, "predictions", f"{name}-{digits}.npy")
            places = (train, test) if of_images else (features.row_of[train], features.row_of[test])
            tasks.append(delayed(_fit_and_predict)(model, X, target, *places, file, fit_params))
            tests.append((key, test))
    predictions: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    predicted = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    for (key, test), found in tqdm(
        zip(tests, predicted, strict=True), total=len(tests), disable=not verbose
    ):
        predictions.setdefault(key, []).append((test, found))
    return predictions


def _fit_and_predict(
    model: Any,
    X: Any,
    target: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    file: Path | None,
    fit_params: dict[str, Any],
) -> np.ndarray:
    """Fit a model to a fold's training part and predict its test part, or read the file."""
    if file is not None and file.exists():
        with suppress(OSError, ValueError, EOFError):  # a damaged file is written again
            return np.load(file, allow_pickle=False)
    fitted = clone(model).fit(_rows(X, train), target, **fit_params)
    predicted = np.asarray(fitted.predict(_rows(X, test)), dtype=np.float64).ravel()
    if file is not None:
        content = io.BytesIO()
        np.save(content, predicted)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content.getvalue())
    return predicted


def _rows(X: Any, rows: np.ndarray) -> Any:
    """Return these of the images, or rows of the matrices side by side."""
    if isinstance(X, list):
        return [X[i] for i in rows]
    return X[0][rows] if len(X) == 1 else np.hstack([matrix[rows] for matrix in X])


def _notes(
    n_rows: int, sources: dict[str, str], nested: int | None, n_folds: int, n_resamples: int
) -> list[str]:
    """Return what the reader of the table has to know."""
    notes = [f"{kind} features: {source}." for kind, source in sources.items()]
    if "CNN" in sources and "VGGFeatures" not in sources["CNN"]:
        notes.append("The paper's CNN features are VGG16's last layer before the softmax (4096).")
    if "IC" in sources:
        notes.append(
            "The paper's IC features are the projection of VGG19's features by the embedding that "
            "Kiros et al. (2014) released."
        )
    if n_rows < len(TABLE_1):
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
    if n_folds > 1:
        notes.append(
            f"Spearman: mean ± standard error over {n_folds} folds, which share training "
            "images, so that the error is a little too small."
        )
    if n_resamples:
        notes.append("Interval: 95%, bootstrap over the test images of each fold.")
    notes.append("Bias: mean of predicted less true scores.")
    return notes
