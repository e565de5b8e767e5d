"""MemCat: 10,000 images of five categories and their subcategories."""

from typing import Any

import numpy as np

from sklearn_memorability.datasets._base import (
    PathLike,
    check_correction,
    choice,
    description,
    folder_with,
    image_set,
)
from sklearn_memorability.datasets._download import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import find_images, need_columns, read_scores, read_table

_TABLE = "memcat_image_data.csv"
_FILES = (RemoteFile(_TABLE, "osf:kvghu"), RemoteFile("MemCat.zip", "osf:kvghu"))
_GROUPS = ("subcategory", "category")
_HIT_RATE, _CORRECTED = "memorability_wo_fa_correction", "memorability_w_fa_correction"
_WAY_OUT = (
    "Download it with fetch_memcat(), after removing what is left of an earlier copy, or put "
    "memcat_image_data.csv and MemCat.zip, unpacked, of https://osf.io/kvghu into one folder."
)


def fetch_memcat(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    **options: Any,
) -> Any:
    """Load MemCat, downloading it at first use.

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
        Passed to :func:`load_memcat`.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_memcat`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If a download is not the file that the Open Science Framework has, by its hash.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_memcat
    >>> memcat = fetch_memcat()  # doctest: +SKIP
    """
    folder = fetch_files("memcat", _FILES, data_home, download_if_missing, n_retries, delay)
    return load_memcat(folder, **options)


def load_memcat(
    folder: PathLike,
    *,
    correction: str = "none",
    group_by: str = "subcategory",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load MemCat from a folder.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``memcat_image_data.csv`` (or ``MemCat_data`` with it), and with
        ``MemCat/<category>/<subcategory>/<file>`` (or ``MemCat_images`` with it).
    correction : {"none", "difference", "balanced_accuracy"}, default="none"
        What is done about false alarms: the hit rate without any correction, the
        authors' score with correction, which is the hit rate less the false-alarm rate,
        or half of one plus that score.
    group_by : {"subcategory", "category"}, default="subcategory"
        What ``groups`` are. Images of one subcategory, such as bear, are alike; with
        the five categories a model is tried on a kind of image that it has never seen.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images`` in the table's order; ``target``; ``groups``; ``weights``, the
        number of people that each score rests on, if the table tells it;
        ``consistency``, ``ceiling``, ``score_range``, ``rule`` and ``DESCR``.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, or the table or images are missing.
    ValueError
        If ``correction`` or ``group_by`` is unknown, or the table isn't the authors'.

    Notes
    -----
    Goetschalckx and Wagemans, "MemCat: a new category-based image set quantified on
    memorability", PeerJ 7:e8169, 2019.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_memcat
    >>> memcat = load_memcat("memcat", correction="difference")  # doctest: +SKIP
    """
    score_range = check_correction(correction)
    choice("group_by", group_by, _GROUPS)
    path = folder_with(folder, [_TABLE], ["MemCat_data", "data"], _WAY_OUT) / _TABLE
    table = read_table(path)
    column = _HIT_RATE if correction == "none" else _CORRECTED
    need_columns(path, table, ("image_file", "category", "subcategory", column), _WAY_OUT)
    parts = zip(table["category"], table["subcategory"], table["image_file"], strict=True)
    names = ["/".join(part) for part in parts]
    places = ["MemCat/MemCat", "MemCat", "MemCat_images/MemCat", "MemCat_images", "images"]
    images = folder_with(folder, names[:1], places, _WAY_OUT)
    target = read_scores(table[column], column, (-1.0, 1.0))
    weights = None
    if "n_resp" in table:
        weights = read_scores(table["n_resp"], "n_resp", (0.0, np.inf))
    return image_set(
        find_images(images, names, f"image_file of {_TABLE}", _WAY_OUT),
        0.5 + 0.5 * target if correction == "balanced_accuracy" else target,
        score_range=score_range,
        groups=np.array(table[group_by]),
        weights=weights,
        consistency=0.78,
        DESCR=description("memcat"),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
