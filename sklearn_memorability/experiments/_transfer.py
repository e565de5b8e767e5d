"""Tables 2 and 3: a fitted model applied to other sets, without refitting."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch
from tqdm import tqdm

from sklearn_memorability._utils._fingerprint import fingerprint
from sklearn_memorability.experiments._data import as_image_set
from sklearn_memorability.experiments._published import TABLE_2, TABLE_3, TransferRow
from sklearn_memorability.experiments._results import ResultTable, human_ceiling, measure

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
    model: Any,
    sets: Mapping[str, Any],
    *,
    folder: str | os.PathLike[str] | None = None,
    n_resamples: int = 1000,
    random_state: int = 0,
    verbose: int = 0,
) -> ResultTable:
    """Compute the paper's Table 2: a model on memorability sets that it has not seen.

    Section 3.2 of Squalli-Houssaini et al. (2018): the model that was fitted to LaMem
    predicts the images of seven other sets, and each set's scores are compared with
    the predictions by Spearman's correlation.

    Parameters
    ----------
    model : estimator
        Fitted; from images to scores, such as
        ``two_branch_regressor(VGGFeatures(cache=...)).fit(images, scores)``.
    sets : mapping of str to Bunch, tuple or str
        The sets that are at hand: by the paper's names ``"isola"``, ``"bylinskii"`` (or
        ``"figrim"``), ``"dubey"``, ``"cohendet"``, ``"libkuman"``, ``"bainbridge"`` (or
        ``"faces"``) and ``"borkin"`` (or ``"massvis"``), in any case, what the loaders
        return or tuples (images, scores). A text in place of a set says why it is
        missing. Further names become further rows.
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
        each further one, with ``paper``, ``spearman``, ``interval_low``,
        ``interval_high``, ``of_ceiling``,
        ``mse``, ``bias``, ``n_images`` and ``status``: the rule that was used where the
        set differs from the paper's, or why it is missing.

    Raises
    ------
    TypeError, ValueError
        If a set can't be used, or belongs to Table 3.

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
    """
    return _transfer(
        2, "memorability sets", model, sets, folder, n_resamples, random_state, verbose
    )


def table3(model: Any, sets: Mapping[str, Any], **options: Any) -> ResultTable:
    """Compute the paper's Table 3: a memorability model on interestingness sets.

    Section 3.3 of Squalli-Houssaini et al. (2018): predicted memorability is all but
    uncorrelated with how interesting people find an image.

    Parameters
    ----------
    model : estimator
        Fitted; from images to scores.
    sets : mapping of str to Bunch, tuple or str
        As in :func:`table2`, by the names ``"mediaeval"``, ``"flickr"``, ``"gygli1"``,
        ``"gygli2"`` and ``"gygli3"``.
    **options
        ``folder``, ``n_resamples``, ``random_state`` and ``verbose``, as in
        :func:`table2`.

    Returns
    -------
    ResultTable
        As of :func:`table2`, without MSE and bias: interestingness is no memorability.

    Raises
    ------
    TypeError, ValueError
        If a set can't be used, or belongs to Table 2.

    Examples
    --------
    >>> from sklearn_memorability.experiments import table3
    >>> table = table3(None, {"Flickr": "no key for Flickr's API"})
    >>> [(row["set"], row["status"]) for row in table.rows][1]
    ('Flickr', "missing: no key for Flickr's API")
    """
    return _transfer(3, "interestingness sets", model, sets, **options)


def _transfer(
    number: int,
    what: str,
    model: Any,
    sets: Mapping[str, Any],
    folder: str | os.PathLike[str] | None = None,
    n_resamples: int = 1000,
    random_state: int = 0,
    verbose: int = 0,
) -> ResultTable:
    """Apply a model to sets and write the table; sets of other names stand below the paper's."""
    rows, others = (TABLE_2, TABLE_3) if number == 2 else (TABLE_3, TABLE_2)
    sets = _by_row(rows, others, sets)
    # Interestingness is not memorability: its values can't be compared with predictions.
    left_out = () if number == 2 else ("mse", "bias")
    further = [name for name in sets if name not in {row.key for row in rows}]
    rows = (*rows, *(TransferRow(name, name, (), None, "", None) for name in further))
    entries: list[dict[str, Any]] = []
    notes: list[str] = []
    facts: dict[str, Any] = {"random_state": random_state}
    predictions: dict[str, list[Any]] = {}
    for row in tqdm(rows, disable=not verbose):
        entry: dict[str, Any] = {"key": row.key, "set": row.name, "kind": row.kind}
        entry |= {"paper_n_images": row.n_images, "paper": row.paper, "status": "not given"}
        entries.append(entry)
        data = sets.get(row.key)
        if isinstance(data, str):
            entry["status"] = f"missing: {data}"
        if data is None or isinstance(data, str):
            continue
        predicted = np.asarray(model.predict(data["images"]), dtype=np.float64).ravel()
        ceiling, human_note = human_ceiling(data, random_state)
        pair = (data["target"], predicted)
        measured = measure([pair], n_resamples, random_state, ceiling)
        entry |= {name: value for name, value in measured.items() if name not in left_out}
        entry["status"] = data.get("rule") or ""
        facts[f"{row.key}_hash"] = fingerprint(*pair)
        predictions[row.key] = [(np.arange(len(predicted)), predicted)]
        if human_note:
            notes.append(f"{row.name}: {human_note}")
    notes.append("The model was not fitted to any of these sets.")
    if n_resamples:
        notes.append("Interval: 95%, bootstrap over the images of each set.")
    shown = {name: heading for name, heading in _SHOWN.items() if name not in left_out}
    table = ResultTable(f"Table {number}: {what}", entries, shown, notes, facts, predictions)
    if folder is not None:
        table.to_csv(Path(folder, f"table{number}.csv"))
        table.to_markdown(Path(folder, f"table{number}.md"))
    return table


def _by_row(
    rows: tuple[TransferRow, ...], others: tuple[TransferRow, ...], sets: Mapping[str, Any]
) -> dict[str, Bunch | str]:
    """Return the sets by the keys of the paper's rows; other names stay."""
    keys = {_plain(name): row.key for row in rows for name in (row.key, row.name, *row.also)}
    foreign = {_plain(name) for row in others for name in (row.key, row.name, *row.also)}
    by_row: dict[str, Bunch | str] = {}
    for name, data in sets.items():
        if _plain(name) in foreign:
            raise ValueError(f"The set {name!r} belongs to the paper's other table of sets.")
        key = keys.get(_plain(name), name)
        if key in by_row:
            raise ValueError(f"The set {name!r} is given twice.")
        by_row[key] = data if isinstance(data, str) else as_image_set(data, f"the set {name!r}")
    return by_row


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
