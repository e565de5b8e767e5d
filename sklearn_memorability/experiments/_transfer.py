"""Tables 2 and 3: models applied to other sets, without refitting."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from sklearn_memorability._utils._fingerprint import fingerprint
from sklearn_memorability.experiments._data import as_image_set, with_folds
from sklearn_memorability.experiments._published import TABLE_2, TABLE_3, TransferRow
from sklearn_memorability.experiments._results import ResultTable, human_ceiling, measure
from sklearn_memorability.inspection._table_display import cell_lines
from sklearn_memorability.persistence import load, read_facts

_FEWEST = 50  # images that make a model worth a row
_SHOWN = {
    "set": "set",
    "kind": "type of images",
    "paper_n_images": "images (paper)",
    "n_images": "images here",
    "paper": "paper",
    "spearman": "Spearman here",
    "interval": "interval",
    "of_ceiling": "of ceiling",
    "mse": "MSE",
    "bias": "bias",
    "status": "",
}


def table2(
    models: Any,
    sets: Mapping[str, Any],
    *,
    trained_on: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    n_resamples: int = 1000,
    random_state: int = 0,
    verbose: int = 0,
) -> ResultTable:
    """Compute the paper's Table 2: models on memorability sets that they have not seen.

    Section 3.2 of Squalli-Houssaini et al. (2018): the model that was fitted to LaMem
    predicts the images of seven other sets, and each set's scores are compared with
    the predictions by Spearman's correlation. Several models make a matrix.

    Parameters
    ----------
    models : estimator, or mapping of str to estimator or str
        From images to scores. One fitted estimator makes the paper's table, a mapping of
        names to models a matrix of models and sets. In that, a text is a ready model or a
        file, as :func:`~sklearn_memorability.persistence.load` takes it. An estimator that
        is not fitted is fitted to each set of 50 images or more, a row each; give it a
        cache, or its features are computed anew for each fit.
    sets : mapping of str to Bunch, tuple or str
        The sets that are at hand: by the paper's names ``"isola"``, ``"bylinskii"`` (or
        ``"figrim"``), ``"dubey"``, ``"cohendet"``, ``"libkuman"``, ``"bainbridge"`` (or
        ``"faces"``) and ``"borkin"`` (or ``"massvis"``), in any case, what the loaders
        return or tuples (images, scores). A text in place of a set says why it is
        missing. Further names become further rows.
    trained_on : mapping of str to str, optional
        For names of a mapping's models, what they were trained on, in words; ready models
        say so themselves. A model has seen a set if they have the set's name, or a part of
        it with a capital letter (THINGS of ``"my_things"``).
    folder : str or path-like, optional
        Where to write ``table2.csv`` and ``table2.md``.
    n_resamples : int, default=1000
        Bootstrap resamples for the 95% interval; 0 leaves it out.
    random_state : int, default=0
        Seeds the resamples.
    verbose : int, default=0
        Above 0, a progress bar.

    Returns
    -------
    ResultTable
        A row for each of the paper's sets, those that were not given included, and for
        each further one, with ``paper``, ``spearman``, ``interval_low``, ``interval_high``,
        ``of_ceiling``, ``mse``, ``bias``, ``n_images``, a ``hash`` and ``status``: the rule
        that was used where the set differs from the paper's, or why it is missing.

        Of a mapping, a row for each ``model`` and each set that is there. ``status`` is
        ``"cv"`` where the model was fitted to the set here: the figure is from folds (the
        set's own, or five that keep groups together). It is ``"fitted"`` where the model
        has seen the images before: the figure says nothing of new ones. The table prints
        as a matrix; :class:`~sklearn_memorability.inspection.TableDisplay` draws it.

    Raises
    ------
    TypeError, ValueError
        If a set can't be used.

    Notes
    -----
    Correlations compare the order alone. MSE and bias compare values as well, and mean
    little where a set's scores are of another kind (corrected for false alarms) or for
    another delay than those the model was fitted to.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.experiments import table2
    >>> from sklearn_memorability.features import ImageFeatures
    >>> from sklearn_memorability.pipelines import svr_regressor
    >>> images, scores = load_sample_images().images, [0.6, 0.8]
    >>> model = svr_regressor(ImageFeatures()).fit(images, scores)
    >>> table = table2(model, {"Isola": (images, scores)}, n_resamples=0)
    >>> [row["status"] for row in table.rows][:2]
    ['', 'not given']
    >>> models, sets = {"mine": model, "embedded": "embedded"}, {"two": (images, scores)}
    >>> table = table2(models, sets, trained_on={"mine": "two images"}, n_resamples=0)
    >>> [(row["model"], row["set"], row["status"]) for row in table.rows]
    [('mine', 'two', 'fitted'), ('embedded', 'two', '')]
    """
    return _transfer(2, models, sets, trained_on, folder, n_resamples, random_state, verbose)


def table3(models: Any, sets: Mapping[str, Any], **options: Any) -> ResultTable:
    """Compute the paper's Table 3: a memorability model on interestingness sets.

    Section 3.3 of Squalli-Houssaini et al. (2018): predicted memorability is all but
    uncorrelated with how interesting people find an image.

    Parameters
    ----------
    models : estimator, or mapping of str to estimator or str
        As in :func:`table2`.
    sets : mapping of str to Bunch, tuple or str
        As in :func:`table2`, by the names ``"mediaeval"``, ``"flickr"``, ``"gygli1"``,
        ``"gygli2"`` and ``"gygli3"``.
    **options
        ``trained_on``, ``folder``, ``n_resamples``, ``random_state`` and ``verbose``, as
        in :func:`table2`.

    Returns
    -------
    ResultTable
        As of :func:`table2`, without MSE and bias: interestingness is no memorability.

    Raises
    ------
    TypeError, ValueError
        If a set can't be used.

    Examples
    --------
    >>> from sklearn_memorability.experiments import table3
    >>> table = table3(None, {"Flickr": "no key for Flickr's API"})
    >>> [(row["set"], row["status"]) for row in table.rows][1]
    ('Flickr', "missing: no key for Flickr's API")
    """
    return _transfer(3, models, sets, **options)


def _transfer(
    number: int,
    models: Any,
    sets: Mapping[str, Any],
    trained_on: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    n_resamples: int = 1000,
    random_state: int = 0,
    verbose: int = 0,
) -> ResultTable:
    """Apply models to sets and write the table."""
    by_row = _by_row(TABLE_2 if number == 2 else TABLE_3, sets)
    there = {row: data for row, data in by_row.items() if isinstance(data, Bunch)}
    human = {row: human_ceiling(data, random_state) for row, data in there.items()}
    notes = [f"{row.name}: {note}" for row, (_, note) in human.items() if note]
    # Interestingness is not memorability: its values can't be compared with predictions.
    left_out = {"mse", "bias"} if number == 3 else set()
    shown = {name: _SHOWN[name] for name in _SHOWN if name not in left_out}
    is_matrix = isinstance(models, Mapping)
    ready: Iterable[tuple[str, Any, TransferRow | None, str]] = [("", models, None, "")]
    if is_matrix:
        ready = _fitted(models, there, trained_on or {}, notes)
        notes += [f"{row.name}: missing: {x}" for row, x in by_row.items() if isinstance(x, str)]
        by_row = {**there}
    else:
        notes.append("The model was not fitted to any of these sets.")
    entries: list[dict[str, Any]] = []
    predictions: dict[str, list[Any]] = {}
    for name, model, own, seen in ready:
        for row, data in tqdm(by_row.items(), name or None, disable=not verbose):
            entry = {"key": f"{name}, {row.key}" if is_matrix else row.key, "model": name}
            entry |= {"set": row.name, "kind": row.kind, "paper_n_images": row.n_images}
            entry |= {"paper": row.paper, "status": f"missing: {data}" if data else "not given"}
            entries.append(entry)
            if not isinstance(data, Bunch):
                continue
            entry["status"] = "fitted" if _is_named(row, seen) else data.get("rule") or ""
            folds = [(None, np.arange(len(data.images)))]
            if row is own:
                folds = with_folds(data, None, random_state).folds
                entry["status"] = "cv"
            parts = [(test, _predict(model, data, train, test)) for train, test in folds]
            pairs = [(data.target[test], predicted) for test, predicted in parts]
            measured = measure(pairs, n_resamples, random_state, human[row][0])
            entry |= {name: value for name, value in measured.items() if name not in left_out}
            entry["hash"] = fingerprint(pairs)
            predictions[entry["key"]] = parts
    printed: dict[str, dict[str, Any]] = {}
    if is_matrix:
        sizes = {row.name: f"{row.name}, {len(x.images):,} images" for row, x in there.items()}
        shown = {"model": "model", **sizes}
        for entry in entries:
            line = printed.setdefault(entry["model"], {"model": entry["model"]})
            line[entry["set"]] = ", ".join(cell_lines(entry))
        notes.append("%: share of the ceiling. cv: by folds of the set it was fitted to.")
        notes.append("fitted: it has seen these images; the figure says nothing of new ones.")
    if n_resamples:
        notes.append("Interval: 95%, bootstrap over the images of each set.")
    title = f"Table {number}: {'memorability' if number == 2 else 'interestingness'} sets"
    facts = {"random_state": random_state}
    table = ResultTable(title, entries, shown, notes, facts, predictions, [*printed.values()])
    if folder is not None:
        table.to_csv(Path(folder, f"table{number}.csv"))
        table.to_markdown(Path(folder, f"table{number}.md"))
    return table


def _by_row(
    rows: tuple[TransferRow, ...], sets: Mapping[str, Any]
) -> dict[TransferRow, Bunch | str | None]:
    """Return what is given for each of the paper's rows, and then for further ones."""
    by_row: dict[TransferRow, Any] = dict.fromkeys(rows)
    known = {_plain(name): row for row in rows for name in (row.key, row.name, *row.also)}
    for name, data in sets.items():
        row = known.get(_plain(name)) or TransferRow(name, name, (), None, "", None)
        by_row[row] = data if isinstance(data, str) else as_image_set(data, f"the set {name!r}")
    return by_row


def _fitted(
    models: Mapping[str, Any],
    sets: Mapping[TransferRow, Bunch],
    trained_on: Mapping[str, str],
    notes: list[str],
) -> Iterator[tuple[str, Any, TransferRow | None, str]]:
    """Yield fitted models: name, model, the set it was fitted to here, other training data."""
    for name, model in models.items():
        seen = trained_on.get(name)
        if isinstance(model, str):
            seen = seen or read_facts(model).get("trained_on")
            model = load(model)
        if not _needs_fit(model):
            notes.append(f"{name} was trained on: {seen or 'not said'}.")
            yield name, model, None, seen or ""
            continue
        for row, data in sets.items():
            if len(data.images) >= _FEWEST:
                fitted = clone(model).fit(data.images, data.target)
                yield f"{name} fitted to {row.name}", fitted, row, ""


def _needs_fit(model: Any) -> bool:
    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError):
        return hasattr(model, "fit")
    return False


def _predict(model: Any, data: Bunch, train: np.ndarray | None, test: np.ndarray) -> np.ndarray:
    """Predict rows of a set, by a model that is fitted to others first where they are given."""
    if train is not None:
        model = clone(model).fit([data.images[i] for i in train], data.target[train])
    predicted = model.predict([data.images[i] for i in test])
    return np.asarray(predicted, dtype=np.float64).ravel()


def _is_named(row: TransferRow, text: str) -> bool:
    """Tell whether a text has a set's name, or a capitalised word that is a part of it."""
    names = {word.lower() for word in re.findall(r"[A-Z]\w+", text)}
    parts = re.findall(r"[^\W\d_]+", " ".join((row.name, *row.also)).lower())
    return bool(names.intersection(parts) or re.search(rf"\b{re.escape(row.name)}\b", text, re.I))


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
