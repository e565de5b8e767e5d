"""FIGRIM: scenes of 21 categories, remembered among their like and among others."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._counts import check_correction, scores_from_counts
from sklearn_memorability.datasets._layout import folder_with, pictures_in
from sklearn_memorability.datasets._matlab import read_matlab
from sklearn_memorability.datasets._remote import RemoteFile, fetch_files

_RELEASE = "allImages_release.mat"
_ALL_TARGETS = "image_data_targets.mat"
_FILES = (
    RemoteFile(
        "Targets.zip",
        "http://figrim.mit.edu/Targets.zip",
        known_hash="md5:2ad3a42ebc377efe4b39064405568201",
        unpack=True,
    ),
    RemoteFile(
        _RELEASE,
        f"https://raw.githubusercontent.com/cvzoya/figrim/master/targetData/{_RELEASE}",
        known_hash="md5:c72843b05e95ab27594c1d11c849c897",
    ),
)
# By experiment: the file, its variable, and the field with the counts.
_EXPERIMENTS = {
    "combined": (_RELEASE, "allImages", "AMT_comb"),
    "within": (_ALL_TARGETS, "image_data_targets", "amt1"),
    "across": (_ALL_TARGETS, "image_data_targets", "amt2"),
}
_COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")
_PICTURES = "Targets"
_WAYS_OUT = {
    _RELEASE: (
        "Download the 630 open pictures with fetch_figrim(), after removing what is left of an "
        "earlier copy, or put Targets.zip of "
        f"http://figrim.mit.edu, unpacked, and {_RELEASE} of https://github.com/cvzoya/figrim "
        "into one folder."
    ),
    _ALL_TARGETS: (
        f"The counts of the single experiments are in {_ALL_TARGETS}, which with its 1,754 "
        "pictures is to be had from the authors (http://figrim.mit.edu); put the file and the "
        f"pictures (Targets/<category>/<file>) into one folder. experiment='combined' needs "
        "only what fetch_figrim() downloads."
    ),
}
_DESCR = """
FIGRIM, Fine-grained Image Memorability
---------------------------------------
:Pictures: photographs of 21 scene categories from the SUN database; 630 in the open release,
    1,754 in all
:Target: memorability: by default the hit rate, the share of people who recognised the
    picture when it came again in a stream of pictures
:Experiments: among pictures of the same category (AMT 1, "within"), among pictures of all
    categories (AMT 2, "across"); the open release has the counts of both together
:Groups: the scene category. Six pairs of pictures are duplicates, each pair of one category
:Terms: the pictures are third-party works; for research only

References
----------
Z. Bylinskii, P. Isola, C. Bainbridge, A. Torralba, A. Oliva, "Intrinsic and extrinsic effects
on image memorability", Vision Research 116, 2015.
"""


def fetch_figrim(
    *,
    correction: str = "none",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the 630 open pictures of FIGRIM, downloading them at first use.

    Parameters
    ----------
    correction : {"none", "difference", "balanced_accuracy"}, default="none"
        What is done about false alarms: see :func:`load_figrim`.
    data_home : str or path-like, optional
        Where sets are kept; by default scikit-learn's own data home.
    download_if_missing : bool, default=True
        Whether to download what is missing; otherwise that is an error.
    n_retries : int, default=3
        How often to try again after a broken connection.
    delay : float, default=1.0
        Seconds to wait before the first such attempt, doubled for each further one.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_figrim`, of both experiments together.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If the download is damaged or not the file that is expected.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_figrim
    >>> scenes = fetch_figrim()  # doctest: +SKIP
    """
    check_correction(correction)
    folder = fetch_files(
        "figrim",
        _FILES,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    return load_figrim(folder, correction=correction, return_X_y=return_X_y, as_frame=as_frame)


def load_figrim(
    folder: str | os.PathLike[str],
    *,
    experiment: str = "combined",
    correction: str = "none",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load FIGRIM from a folder.

    Parameters
    ----------
    folder : str or path-like
        The folder with the pictures, as ``Targets/<category>/<file>``, and the counts:
        ``allImages_release.mat``, or ``image_data_targets.mat`` for a single experiment.
    experiment : {"combined", "within", "across"}, default="combined"
        Whose counts: those of both experiments together, which the open release has of
        630 pictures; those among pictures of the same category; or those among pictures
        of all categories.
    correction : {"none", "difference", "balanced_accuracy"}, default="none"
        What is done about false alarms: the paper's hit rate without any correction,
        the hit rate less the false-alarm rate, or half of one plus that difference.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images`` in the authors' order; ``target``; ``counts`` of hits, misses,
        false alarms and correct rejections; ``weights``, the number of people that each
        score rests on; ``groups``, the scene category; ``score_range``, ``rule`` and
        ``DESCR``. The release tells no consistency of these pictures.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, or the counts or pictures are missing.
    ValueError
        If ``experiment`` or ``correction`` is unknown, or the file isn't the authors'.

    Notes
    -----
    Bylinskii et al., "Intrinsic and extrinsic effects on image memorability", Vision
    Research 116, 2015.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_figrim
    >>> scenes = load_figrim("figrim", experiment="combined")  # doctest: +SKIP
    """
    check_correction(correction)
    if experiment not in _EXPERIMENTS:
        raise ValueError(
            f"experiment={experiment!r} is unknown; choose one of {list(_EXPERIMENTS)}."
        )
    file, variable, field = _EXPERIMENTS[experiment]
    root = folder_with(folder, [file, _PICTURES], ["figrim"], _WAYS_OUT[file])
    names, categories, counts = _read_counts(root / file, variable, field)
    target, score_range = scores_from_counts(counts, correction, names)
    relative = [f"{category}/{name}" for category, name in zip(categories, names, strict=True)]
    # The archive has a folder of its own name, in which unpacking may have put it again.
    pictures = folder_with(
        root, [f"{relative[0]}"], [f"{_PICTURES}/{_PICTURES}", _PICTURES], _WAYS_OUT[file]
    )
    return picture_set(
        images=pictures_in(pictures, relative, f"filename of {file}", _WAYS_OUT[file]),
        target=target,
        score_range=score_range,
        groups=np.array(categories),
        counts=counts,
        rule=(
            "The 630 pictures of the open release; the paper has 1,754."
            if experiment == "combined"
            else ""
        ),
        DESCR=_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_counts(
    path: Path, variable: str, field: str
) -> tuple[list[str], list[str], dict[str, np.ndarray]]:
    variables = read_matlab(path)
    try:
        records = np.atleast_1d(variables[variable])
        names = [str(record["filename"]) for record in records]
        categories = [str(record["category"]) for record in records]
        counts = {
            count: np.array([int(record[field][count]) for record in records]) for count in _COUNTS
        }
        if not names or any("\0" in name for name in names + categories):
            raise ValueError("it has no names of pictures")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} isn't the authors': it must have the structure {variable} with "
            f"filename, category and {field}, which has {', '.join(_COUNTS)}."
        ) from error
    return names, categories, counts
