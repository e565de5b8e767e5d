"""FIGRIM: scenes of 21 categories, remembered among their like and among others."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._base import (
    COUNTS,
    PathLike,
    check_correction,
    description,
    folder_with,
    image_set,
    read_matlab,
    scores_from_counts,
)
from sklearn_memorability.datasets._download import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import find_images, read_counts

_RELEASE = "allImages_release.mat"
_FILES = (
    RemoteFile(
        "Targets.zip",
        "http://figrim.mit.edu/Targets.zip",
        "md5:2ad3a42ebc377efe4b39064405568201",
    ),
    RemoteFile(
        _RELEASE,
        f"https://raw.githubusercontent.com/cvzoya/figrim/master/targetData/{_RELEASE}",
        "md5:c72843b05e95ab27594c1d11c849c897",
    ),
)
_WAY_OUT = (
    "Download the 630 open images with fetch_figrim(), after removing what is left of an earlier "
    f"copy, or put Targets.zip of http://figrim.mit.edu, unpacked, and {_RELEASE} of "
    "https://github.com/cvzoya/figrim into one folder."
)


def fetch_figrim(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    **options: Any,
) -> Any:
    """Load the 630 open images of FIGRIM, downloading them at first use.

    Parameters
    ----------
    data_home : str or path-like, optional
        Where sets are kept; by default scikit-learn's own data home.
    download_if_missing : bool, default=True
        Whether to download what is missing; otherwise that is an error.
    n_retries : int, default=3
        How often to try again after a broken connection.
    delay : float, default=1.0
        Seconds to wait before the first such attempt, doubled for each further one.
    **options
        Passed to :func:`load_figrim`.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_figrim`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If a download is not the published file, by its hash.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_figrim
    >>> scenes = fetch_figrim()  # doctest: +SKIP
    """
    folder = fetch_files("figrim", _FILES, data_home, download_if_missing, n_retries, delay)
    return load_figrim(folder, **options)


def load_figrim(
    folder: PathLike, *, correction: str = "none", return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load FIGRIM from a folder.

    Parameters
    ----------
    folder : str or path-like
        The folder with the images, as ``Targets/<category>/<file>``, and the counts:
        ``allImages_release.mat``. They are those of both experiments together: among
        images of the same category, and among images of all categories.
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
        ``DESCR``. The release tells no consistency of these images.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, or the counts or images are missing.
    ValueError
        If ``correction`` is unknown, or the file isn't the authors'.

    Notes
    -----
    Bylinskii et al., "Intrinsic and extrinsic effects on image memorability", Vision
    Research 116, 2015.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_figrim
    >>> scenes = load_figrim("figrim")  # doctest: +SKIP
    """
    score_range = check_correction(correction)
    root = folder_with(folder, [_RELEASE, "Targets"], ["figrim"], _WAY_OUT)
    names, categories, counts = _read_counts(root / _RELEASE)
    # The archive has a folder of its own name, in which unpacking may have put it again.
    images = folder_with(root, names[:1], ["Targets/Targets", "Targets"], _WAY_OUT)
    return image_set(
        find_images(images, names, f"filename of {_RELEASE}", _WAY_OUT),
        scores_from_counts(counts, correction),
        score_range=score_range,
        groups=np.array(categories),
        counts=counts,
        rule="The 630 images of the open release; the paper has 1,754.",
        DESCR=description("figrim"),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_counts(path: Path) -> tuple[list[str], list[str], dict[str, np.ndarray]]:
    """Return the images' names as category/file, their categories and their counts."""
    variables = read_matlab(path)
    try:
        records = np.atleast_1d(variables["allImages"])
        categories = [str(record["category"]) for record in records]
        names = [f"{record['category']}/{record['filename']}" for record in records]
        counts = {count: [record["AMT_comb"][count] for record in records] for count in COUNTS}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} isn't the authors': it must have the structure allImages with "
            f"filename, category and AMT_comb, which has {', '.join(COUNTS)}."
        ) from error
    return names, categories, {count: read_counts(counts[count], count) for count in COUNTS}
