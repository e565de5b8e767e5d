"""MemCat: 10,000 pictures of five categories and their subcategories."""

import os
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._counts import check_correction
from sklearn_memorability.datasets._layout import folder_with, pictures_in
from sklearn_memorability.datasets._remote import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import read_scores, read_table

_TABLE = "memcat_image_data.csv"
_FILES = (
    RemoteFile(_TABLE, "osf:kvghu"),
    RemoteFile("MemCat.zip", "osf:kvghu", unpack=True),
)
_HIT_RATE, _CORRECTED = "memorability_wo_fa_correction", "memorability_w_fa_correction"
_WAY_OUT = (
    "Download it with fetch_memcat(), after removing what is left of an earlier copy, or put "
    "memcat_image_data.csv and MemCat.zip, unpacked, of https://osf.io/kvghu into one folder."
)
_DESCR = """
MemCat, a category-based image set
----------------------------------
:Pictures: 10,000 photographs of animals, food, landscapes, sports and vehicles, 2,000 each,
    and of their subcategories, such as bear; from ImageNet, COCO, the SUN database and Open
    Images
:Target: memorability: by default the hit rate, the share of people who recognised the
    picture when it came again in a stream of pictures; about 99 people a picture
:Groups: the subcategory
:Consistency: split-half rank correlation .78 between people
:Terms: the scores are licensed CC BY-NC-ND; the pictures are third-party works; for research
    only

References
----------
L. Goetschalckx, J. Wagemans, "MemCat: a new category-based image set quantified on
memorability", PeerJ 7:e8169, 2019.
"""


def fetch_memcat(
    *,
    correction: str = "none",
    group_by: str = "subcategory",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load MemCat, downloading it at first use.

    Parameters
    ----------
    correction : {"none", "difference", "balanced_accuracy"}, default="none"
        What is done about false alarms: see :func:`load_memcat`.
    group_by : {"subcategory", "category"}, default="subcategory"
        What ``groups`` are.
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
        As of :func:`load_memcat`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If the download is damaged or not the file that it was.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_memcat
    >>> memcat = fetch_memcat()  # doctest: +SKIP
    """
    check_correction(correction)
    _check_group_by(group_by)
    folder = fetch_files(
        "memcat",
        _FILES,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    return load_memcat(
        folder,
        correction=correction,
        group_by=group_by,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def load_memcat(
    folder: str | os.PathLike[str],
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
        What ``groups`` are. Pictures of one subcategory, such as bear, are alike; with
        the five categories a model is tried on a kind of picture that it has never seen.
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
        If there is no such folder, or the table or pictures are missing.
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
    _check_group_by(group_by)
    path = folder_with(folder, [_TABLE], ["MemCat_data", "data"], _WAY_OUT) / _TABLE
    table = read_table(path)
    column = _HIT_RATE if correction == "none" else _CORRECTED
    lacking = [
        name for name in ("image_file", "category", "subcategory", column) if name not in table
    ]
    if lacking:
        raise ValueError(
            f"{os.fspath(path)!r} isn't the authors' table: it has no column "
            f"{', '.join(map(repr, lacking))}. {_WAY_OUT}"
        )
    names = [
        "/".join(parts)
        for parts in zip(table["category"], table["subcategory"], table["image_file"], strict=True)
    ]
    pictures = folder_with(
        folder,
        [names[0]],
        ["MemCat/MemCat", "MemCat", "MemCat_images/MemCat", "MemCat_images", "images"],
        _WAY_OUT,
    )
    images = pictures_in(pictures, names, f"image_file of {_TABLE}", _WAY_OUT)
    target = read_scores(table[column], column, (-1.0, 1.0))
    if correction == "balanced_accuracy":
        target = 0.5 + 0.5 * target
    weights = None
    if "n_resp" in table:
        weights = read_scores(table["n_resp"], "n_resp", (0.0, np.inf))
    return picture_set(
        images=images,
        target=target,
        score_range=score_range,
        groups=np.array(table[group_by]),
        weights=weights,
        consistency=0.78,
        DESCR=_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _check_group_by(group_by: str) -> None:
    if group_by not in ("subcategory", "category"):
        raise ValueError(f"group_by={group_by!r} is unknown; choose 'subcategory' or 'category'.")
