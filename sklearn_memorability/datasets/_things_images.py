"""The photographs of THINGS with the memorability of each."""

import os
from dataclasses import replace
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._layout import folder_with, pictures_in
from sklearn_memorability.datasets._remote import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import read_scores, read_table

_TABLE = "THINGS_Memorability_Scores.csv"
_SCORES = RemoteFile(_TABLE, "osf:5a7z6")
_IMAGES = RemoteFile("images_THINGS.zip", "osf:jum2f", unpack=True)
_MISSING = ("", "nan", "NaN", "NA")
_WAY_OUT = (
    "Download it with fetch_things(password=...), after removing what is left of an earlier copy, "
    f"or put {_TABLE} of https://osf.io/5a7z6 and images_THINGS.zip of https://osf.io/jum2f, "
    "unpacked, into one folder. Its password and the terms that using it accepts are in "
    "password_images.txt beside it."
)
_DESCR = """
THINGS photographs
------------------
:Pictures: 26,107 photographs of 1,854 object concepts
:Target: memorability: corrected recognition (hit rate - false-alarm rate); -1 to 1. About 40
    people a picture
:Groups: the object concept; split by it in any cross-validation
:Consistency: split-half rank correlation about .45 between people
:Terms: the photographs are third-party works, for research only: whoever unpacks their archive
    accepts the terms beside it (password_images.txt at https://osf.io/jum2f)

References
----------
M. A. Kramer, M. N. Hebart, C. I. Baker, W. A. Bainbridge, "The features underlying the
memorability of objects", Science Advances 9(17), 2023.

M. N. Hebart, A. H. Dickter, A. Kidder et al., "THINGS: A database of 1,854 object concepts and
more than 26,000 naturalistic object images", PLoS ONE 14(10), 2019.
"""


def fetch_things(
    *,
    password: str | None = None,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the THINGS photographs and their memorability, downloading them at first use.

    Parameters
    ----------
    password : str, optional
        The password of the archive, needed when it is unpacked. It is in
        ``password_images.txt`` at https://osf.io/jum2f, with the terms that its use
        accepts.
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
        As of :func:`load_things`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If the password is missing or wrong, or a download is damaged.

    Notes
    -----
    Python unpacks encrypted archives slowly: this takes hours. A faster program may
    unpack the archive elsewhere, for :func:`load_things`.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_things
    >>> things = fetch_things(password="...")  # doctest: +SKIP
    """
    options: dict[str, Any] = {
        "data_home": data_home,
        "download_if_missing": download_if_missing,
        "n_retries": n_retries,
        "delay": delay,
    }
    folder = fetch_files("things", [_SCORES], **options)
    # Told before gigabytes are downloaded, not after.
    if password is None and download_if_missing and not (folder / _IMAGES.kept_as).exists():
        raise ValueError(f"The photographs need password=. {_WAY_OUT}")
    folder = fetch_files("things", [replace(_IMAGES, password=password)], **options)
    return load_things(folder, return_X_y=return_X_y, as_frame=as_frame)


def load_things(
    folder: str | os.PathLike[str],
    *,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the THINGS photographs and their memorability from a folder.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``THINGS_Memorability_Scores.csv`` and
        ``object_images/<concept>/<photograph>.jpg`` (or ``images_THINGS`` with it).
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images`` in the table's order, without those that have no score (one, in
        the published table); ``target``; ``groups``, the object concept;
        ``consistency``, ``ceiling``, ``score_range``, ``rule`` and ``DESCR``.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, or the table or a photograph with a score is missing.
    ValueError
        If the table isn't the authors'.

    Notes
    -----
    Kramer et al., "The features underlying the memorability of objects", Science Advances
    9(17), 2023.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things
    >>> things = load_things("things")  # doctest: +SKIP
    """
    path = folder_with(folder, [_TABLE], [], _WAY_OUT) / _TABLE
    table = read_table(path)
    lacking = [name for name in ("file_path", "cr") if name not in table]
    if lacking:
        raise ValueError(
            f"{os.fspath(path)!r} isn't the authors' table: it has no column "
            f"{', '.join(map(repr, lacking))}. {_WAY_OUT}"
        )
    rows = [i for i, score in enumerate(table["cr"]) if score.strip() not in _MISSING]
    # The table has them as images/<concept>/<photograph>.
    names = ["/".join(table["file_path"][i].split("/")[-2:]) for i in rows]
    if not names:
        raise ValueError(f"{os.fspath(path)!r} has no scores.")
    images = "object_images"
    unpacked = f"{_IMAGES.kept_as}/{images}"
    pictures = folder_with(
        folder, [names[0]], [images, unpacked, _IMAGES.kept_as, "images"], _WAY_OUT
    )
    n_without = len(table["cr"]) - len(rows)
    return picture_set(
        images=pictures_in(pictures, names, f"file_path of {_TABLE}", _WAY_OUT),
        target=read_scores([table["cr"][i] for i in rows], "cr", (-1.0, 1.0)),
        score_range=(-1.0, 1.0),
        groups=np.array([name.split("/")[0] for name in names]),
        consistency=0.45,
        rule=f"Photographs without a score are left out: {n_without}." if n_without else "",
        DESCR=_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
