"""MASSVIS: charts, diagrams and infographics (Borkin et al. 2013)."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._base import (
    COUNTS,
    check_correction,
    choice,
    read_matlab,
    scores_from_counts,
)
from sklearn_memorability.datasets._download import RemoteFile, fetch_files
from sklearn_memorability.datasets._requested import REQUESTED
from sklearn_memorability.datasets._tables import (
    find_images,
    need_columns,
    read_counts,
    read_rows,
    read_scores,
)

_REPOSITORY = (
    "https://raw.githubusercontent.com/massvis/dataset/2a14de2420426ac8cc033abca3c6e1bcf092ac21"
)
_LABELS = {
    "410": RemoteFile(
        "targets410_metadata.mat",
        f"{_REPOSITORY}/matlab_files/targets410_metadata.mat",
        "sha256:1b9b45ad905df5344564528797e942df3481a63eab78f75e54f858df3c99b402",
    ),
    "393": RemoteFile(
        "targets393_metadata.csv",
        f"{_REPOSITORY}/csv_files/targets393_metadata.csv",
        "sha256:5920ee01b9803ce91cb849e030f925ff86da0610c47dd0f39e70562edc42ee80",
    ),
}
_RATES = ("mem: at-a-glance HR (%)", "mem: at-a-glance FAR (%)")
_WAY_OUT = "These are not MASSVIS's labels: remove the file to have them downloaded."


def load_massvis(
    folder: str | os.PathLike[str],
    *,
    version: str = "410",
    correction: str = "none",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the memorability of 410 visualizations (Borkin et al. 2013).

    To get the images, fill in the form at http://massvis.mit.edu/#data. The labels are open:
    they are taken from ``folder`` if they lie there, and downloaded otherwise.

    Parameters
    ----------
    folder : str or path-like
        The folder with the images, or with their folder ``targets``.
    version : {"410", "393"}, default="410"
        Which set of labels: "410", the paper's, has counts; "393" is the later selection
        with hit rates and false-alarm rates in percent.
    correction : {"none", "difference", "balanced_accuracy"}, default="none"
        What is done about false alarms: see
        :func:`~sklearn_memorability.metrics.memorability_score`.
    data_home : str or path-like, optional
        Where downloaded labels are kept; by default scikit-learn's own data home.
    download_if_missing : bool, default=True
        Whether to download labels that are not there; otherwise that is an error.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``; ``target``, the scores; ``groups``, each image's source;
        ``counts`` and ``weights``, the number of responses (None for "393");
        ``score_range``, ``consistency`` and ``ceiling`` (of uncorrected scores), ``rule``
        and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or images are missing from it.
    OSError
        If labels are missing and can't be downloaded.
    ValueError
        If ``version`` or ``correction`` is unknown, or the labels aren't what they should
        be.

    Notes
    -----
    The hit rates of "393" are those of "410", rounded to two decimals of a percent.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_massvis
    >>> charts = load_massvis("massvis")  # doctest: +SKIP
    >>> len(charts.images), charts.score_range  # doctest: +SKIP
    (410, (0.0, 1.0))
    """
    choice("version", version, list(_LABELS))
    score_range = check_correction(correction)
    row = REQUESTED["massvis"]
    root = row.folder(folder)
    file = _LABELS[version]
    labels = root / file.name
    if not labels.is_file():
        labels = fetch_files("massvis", [file], data_home, download_if_missing) / file.name
    names, sources, counts = (_read_410 if version == "410" else _read_393)(labels)
    targets = root / "targets"
    return row.image_set(
        find_images(targets if targets.is_dir() else root, names, "filename", row.way_out),
        scores_from_counts(counts, correction),
        score_range=score_range,
        groups=np.asarray(sources),
        counts=counts if version == "410" else None,
        consistency=0.83 if correction == "none" else None,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_410(path: Path) -> tuple[list[str], list[str], dict[str, np.ndarray]]:
    rows = np.atleast_1d(read_matlab(path).get("allImages", np.empty(0)))
    need_columns(path, rows.dtype.names or (), ("filename", "source", *COUNTS), _WAY_OUT)
    counts = {name: read_counts(list(rows[name]), name) for name in COUNTS}
    return [str(name) for name in rows["filename"]], [str(s) for s in rows["source"]], counts


def _read_393(path: Path) -> tuple[list[str], list[str], dict[str, np.ndarray]]:
    # Not UTF-8: the titles, which aren't used, were written on a Mac.
    header, *rows = read_rows(path, encoding="mac_roman") or [[]]
    need_columns(path, header, ("filename", "source", *_RATES), _WAY_OUT)
    table = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    hit, false_alarm = (read_scores(table[rate], rate, (0.0, 100.0)) for rate in _RATES)
    # As if each image had been shown a hundred times, which leaves the rates as they are.
    counts = dict(zip(COUNTS, (hit, 100 - hit, false_alarm, 100 - false_alarm), strict=True))
    return table["filename"], table["source"], counts
