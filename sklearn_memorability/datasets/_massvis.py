"""MASSVIS: charts, diagrams and infographics (Borkin et al. 2013)."""

from typing import Any

import numpy as np

from sklearn_memorability.datasets._base import (
    COUNTS,
    PathLike,
    check_correction,
    read_matlab,
    scores_from_counts,
)
from sklearn_memorability.datasets._download import RemoteFile, fetch_files
from sklearn_memorability.datasets._requested import REQUESTED
from sklearn_memorability.datasets._tables import find_images, need_columns, read_counts

_REPOSITORY = (
    "https://raw.githubusercontent.com/massvis/dataset/2a14de2420426ac8cc033abca3c6e1bcf092ac21"
)
_LABELS = RemoteFile(
    "targets410_metadata.mat",
    f"{_REPOSITORY}/matlab_files/targets410_metadata.mat",
    "sha256:1b9b45ad905df5344564528797e942df3481a63eab78f75e54f858df3c99b402",
)
_WAY_OUT = "These are not MASSVIS's labels: remove the file to have them downloaded."


def load_massvis(
    folder: PathLike,
    *,
    correction: str = "none",
    data_home: PathLike | None = None,
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
        ``counts`` and ``weights``, the number of responses;
        ``score_range``, ``consistency`` and ``ceiling`` (of uncorrected scores), ``rule``
        and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or images are missing from it.
    OSError
        If labels are missing and can't be downloaded.
    ValueError
        If ``correction`` is unknown, or the labels aren't what they should be.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_massvis
    >>> charts = load_massvis("massvis")  # doctest: +SKIP
    >>> len(charts.images), charts.score_range  # doctest: +SKIP
    (410, (0.0, 1.0))
    """
    score_range = check_correction(correction)
    row = REQUESTED["massvis"]
    root = row.folder(folder)
    labels = root / _LABELS.name
    if not labels.is_file():
        labels = fetch_files("massvis", [_LABELS], data_home, download_if_missing) / _LABELS.name
    images = np.atleast_1d(read_matlab(labels).get("allImages", np.empty(0)))
    need_columns(labels, images.dtype.names or (), ("filename", "source", *COUNTS), _WAY_OUT)
    names = [str(name) for name in images["filename"]]
    counts = {name: read_counts(list(images[name]), name) for name in COUNTS}
    targets = root / "targets"
    return row.image_set(
        find_images(targets if targets.is_dir() else root, names, "filename", row.way_out),
        scores_from_counts(counts, correction),
        score_range=score_range,
        groups=np.array([str(source) for source in images["source"]]),
        counts=counts,
        consistency=0.83 if correction == "none" else None,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
