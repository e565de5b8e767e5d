"""MASSVIS: charts, diagrams and infographics (Borkin et al. 2013)."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._by_request import RequestedSet, read_counts
from sklearn_memorability.datasets._counts import scores_from_counts
from sklearn_memorability.datasets._matlab import read_matlab
from sklearn_memorability.datasets._remote import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import read_scores

_REPOSITORY = (
    "https://raw.githubusercontent.com/massvis/dataset/2a14de2420426ac8cc033abca3c6e1bcf092ac21"
)
_LABELS = {
    "410": RemoteFile(
        name="targets410_metadata.mat",
        url=f"{_REPOSITORY}/matlab_files/targets410_metadata.mat",
        known_hash="sha256:1b9b45ad905df5344564528797e942df3481a63eab78f75e54f858df3c99b402",
        size=40282,
    ),
    "393": RemoteFile(
        name="targets393_metadata.csv",
        url=f"{_REPOSITORY}/csv_files/targets393_metadata.csv",
        known_hash="sha256:5920ee01b9803ce91cb849e030f925ff86da0610c47dd0f39e70562edc42ee80",
        size=49342,
    ),
}
_COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")
_RATES = ("mem: at-a-glance HR (%)", "mem: at-a-glance FAR (%)")

MASSVIS = RequestedSet(
    name="MASSVIS's collection of pictures",
    ask="fill in the form at http://massvis.mit.edu/#data",
    layout="the pictures under the names that the labels have, such as "
    "'economist_daily_chart_103.png', or a folder 'targets' with them",
    n_images=410,
    DESCR="""
MASSVIS: the memorability of visualizations
-------------------------------------------
:Pictures: 410 charts, maps, diagrams and infographics, or the 393 of them without extreme
    proportions that served a later study of eye movements
:Target: hit rate of the recognition game on Amazon Mechanical Turk: each picture was seen
    for one second and came back later (about 87 responses a picture); corrected for false
    alarms if asked for
:Groups: the publication that the picture is from (The Economist, Nature, ...); its pictures
    share a house style
:Consistency: .83, Spearman correlation between the hit rates of two halves of the people
:Terms: pictures and annotations are for research and education only; no commercial use, no
    reproduction or distribution, and in papers thumbnails at most. The pictures are had by
    form (http://massvis.mit.edu/#data); the labels are in github.com/massvis/dataset.

References
----------
M. A. Borkin, A. A. Vo, Z. Bylinskii, P. Isola, S. Sunkavalli, A. Oliva, H. Pfister, "What
makes a visualization memorable?", IEEE Transactions on Visualization and Computer Graphics
19(12), 2013.

M. A. Borkin, Z. Bylinskii, N. W. Kim et al., "Beyond memorability: visualization
recognition and recall", IEEE Transactions on Visualization and Computer Graphics 22(1),
2016 (the 393).
""",
)


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

    The pictures are had by form from http://massvis.mit.edu/#data. The labels are open:
    they are taken from ``folder`` if they lie there, and downloaded otherwise.

    Parameters
    ----------
    folder : str or path-like
        The folder with the pictures, or with their folder ``targets``.
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
        Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path`; ``target``, the scores;
        ``groups``, each picture's source; ``counts`` and ``weights``, the number of
        responses (None for "393"); ``score_range``, ``consistency`` and ``ceiling`` (of
        uncorrected scores), ``target_names``, ``rule``, ``frame`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or pictures are missing from it.
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
    if version not in _LABELS:
        raise ValueError(f"version={version!r} is unknown; choose one of {list(_LABELS)}.")
    root = MASSVIS.folder(folder)
    labels = root / _LABELS[version].name
    if not labels.is_file():
        kept = fetch_files(
            "massvis",
            [_LABELS[version]],
            data_home=data_home,
            download_if_missing=download_if_missing,
        )
        labels = kept / _LABELS[version].name
    read = _read_410 if version == "410" else _read_393
    names, sources, counts, known = read(labels)
    if not names:
        raise ValueError(f"{os.fspath(labels)!r} names no pictures.")
    target, score_range = scores_from_counts(counts, correction, names)
    targets = root / "targets"
    images = MASSVIS.pictures(targets if targets.is_dir() else root, names, "filename")
    return picture_set(
        images=images,
        target=target,
        score_range=score_range,
        DESCR=MASSVIS.DESCR,
        groups=np.asarray(sources),
        counts=counts if known else None,
        consistency=0.83 if correction == "none" else None,
        rule=MASSVIS.rule_for(len(images)),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_410(path: Path) -> tuple[list[str], list[str], dict[str, np.ndarray], bool]:
    rows: Any = read_matlab(path).get("allImages")
    fields = set(getattr(getattr(rows, "dtype", None), "names", None) or ())
    _need(path, ("filename", "source", *_COUNTS), fields)
    rows = np.atleast_1d(rows)
    names = [str(name) for name in rows["filename"]]
    counts = {name: read_counts(list(rows[name]), name) for name in _COUNTS}
    return names, [str(source) for source in rows["source"]], counts, True


def _read_393(path: Path) -> tuple[list[str], list[str], dict[str, np.ndarray], bool]:
    # Not UTF-8: the titles, which aren't used, were written on a Mac.
    text = path.read_bytes().decode("mac_roman")
    try:
        table = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a table: {error}") from error
    _need(path, ("filename", "source", *_RATES), set(table[0]) if table else set())
    hit, false_alarm = (
        read_scores([row[rate] for row in table], rate, (0.0, 100.0)) for rate in _RATES
    )
    # As if each picture had been shown a hundred times, which leaves the rates as they are.
    counts = dict(zip(_COUNTS, (hit, 100 - hit, false_alarm, 100 - false_alarm), strict=True))
    return [row["filename"] for row in table], [row["source"] for row in table], counts, False


def _need(path: Path, wanted: Sequence[str], found: set[str]) -> None:
    lacking = [name for name in wanted if name not in found]
    if lacking:
        raise ValueError(
            f"{os.fspath(path)!r} lacks {', '.join(map(repr, lacking))}, so these are not "
            "MASSVIS's labels. Remove the file to have them downloaded."
        )
