"""The THINGS database: two bundled sets of features, and its photographs with their scores."""

import gzip
import os
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_memorability.datasets._base import PathLike, description, folder_with, image_set
from sklearn_memorability.datasets._download import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import find_images, need_columns, read_scores, read_table

_DATA = files(__package__) / "data"
PHOTOGRAPHS = Path(str(_DATA / "things_photographs.npz"))

_TABLE = "THINGS_Memorability_Scores.csv"
_SCORES = RemoteFile(_TABLE, "osf:5a7z6")
_IMAGES = RemoteFile("images_THINGS.zip", "osf:jum2f")
_NO_SCORE = ("", "nan", "NaN", "NA")
_WAY_OUT = (
    "Download it with fetch_things(password=...), after removing what is left of an earlier copy, "
    f"or put {_TABLE} of https://osf.io/5a7z6 and images_THINGS.zip of https://osf.io/jum2f, "
    "unpacked, into one folder. Its password and the terms that using it accepts are in "
    "password_images.txt beside it."
)


def load_things_concepts(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the memorability of 1,854 object concepts with their 66-d embedding.

    A small real regression problem: no images and no network are needed.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` alone.
    as_frame : bool, default=False
        Whether ``data`` is a pandas DataFrame and ``target`` a Series, indexed by
        concept. Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``data`` of shape (1854, 66), ``target`` (1854,), ``concepts`` (1854,) the
        name of each row's concept, ``feature_names``, ``target_names``, ``frame`` (None
        unless ``as_frame``) and ``DESCR`` (what it is, how it was measured, citation).

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> concepts = load_things_concepts()
    >>> concepts.data.shape, concepts.concepts[concepts.target.argmax()]
    ((1854, 66), np.str_('mustache'))
    """
    with gzip.open(str(_DATA / "things_concepts.csv.gz"), "rt", encoding="utf-8") as file:
        header = file.readline().strip().split(",")
        rows = [line.rstrip("\n").split(",") for line in file]
    return _as_asked(
        data=np.array([row[2:] for row in rows], dtype=np.float64),
        target=np.array([float(row[1]) for row in rows]),
        names={"concepts": np.array([row[0] for row in rows])},
        feature_names=header[2:],
        DESCR=description("things_concepts"),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def load_things_photographs(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load features and memorability of 946 photographs of objects.

    The features are those that ``ImageFeatures("efficientnet_lite0")`` computes, so a
    model fitted on them predicts the user's own images through that transformer.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` alone.
    as_frame : bool, default=False
        Whether ``data`` is a pandas DataFrame and ``target`` a Series, indexed by
        image name. Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``data`` of shape (946, 1280), float32; ``target`` (946,); ``groups`` (946,),
        the concept of each photograph (pass it to a grouped splitter such as
        :class:`~sklearn.model_selection.GroupKFold`); ``image_names`` (946,); ``ceiling``,
        the Spearman correlation that no predictor can be expected to pass, given how
        far people agree; ``feature_names``, ``target_names``, ``frame`` and ``DESCR``.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_things_photographs
    >>> photographs = load_things_photographs()
    >>> photographs.data.shape, len(set(photographs.groups))
    ((946, 1280), 476)
    """
    with np.load(PHOTOGRAPHS, allow_pickle=False) as arrays:
        data = arrays["data"].astype(np.float32)
        return _as_asked(
            data=data,
            target=arrays["target"],
            names={"image_names": arrays["image_names"]},
            feature_names=[f"imagefeatures{i}" for i in range(data.shape[1])],
            DESCR=description("things_photographs"),
            return_X_y=return_X_y,
            as_frame=as_frame,
            groups=arrays["concepts"],
            ceiling=0.79,
        )


def _as_asked(
    *,
    data: np.ndarray,
    target: np.ndarray,
    names: dict[str, np.ndarray],
    feature_names: list[str],
    return_X_y: bool,
    as_frame: bool,
    **more: Any,
) -> Any:
    """Return features and scores in the forms that scikit-learn's own loaders have."""
    X: Any = data
    y: Any = target
    frame = None
    if as_frame:
        import pandas as pd

        ((index_name, index),) = names.items()
        frame = pd.DataFrame(data, columns=feature_names, index=index)
        frame.index.name = index_name
        frame["memorability"] = target
        X, y = frame[feature_names], frame["memorability"]
    if return_X_y:
        return X, y
    return Bunch(
        data=X,
        target=y,
        frame=frame,
        feature_names=feature_names,
        target_names=["memorability"],
        **names,
        **more,
    )


def fetch_things(
    *,
    password: str | None = None,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    **options: Any,
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
    **options
        Passed to :func:`load_things`.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_things`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If the password is missing or wrong, or a download is not the file that the Open
        Science Framework has, by its hash.

    Notes
    -----
    Python unpacks encrypted archives slowly: this takes hours. A faster program may
    unpack the archive elsewhere, for :func:`load_things`.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_things
    >>> things = fetch_things(password="...")  # doctest: +SKIP
    """
    settings = (data_home, download_if_missing, n_retries, delay)
    folder = fetch_files("things", [_SCORES], *settings)
    # Before gigabytes are downloaded, not after.
    if password is None and download_if_missing and not (folder / _IMAGES.kept_as).exists():
        raise ValueError(f"The photographs need password=. {_WAY_OUT}")
    folder = fetch_files("things", [replace(_IMAGES, password=password)], *settings)
    return load_things(folder, **options)


def load_things(folder: PathLike, *, return_X_y: bool = False, as_frame: bool = False) -> Any:
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
    need_columns(path, table, ("file_path", "cr"), _WAY_OUT)
    rows = [i for i, score in enumerate(table["cr"]) if score.strip() not in _NO_SCORE]
    # The table has them as images/<concept>/<photograph>.
    names = ["/".join(table["file_path"][i].split("/")[-2:]) for i in rows]
    if not names:
        raise ValueError(f"{os.fspath(path)!r} has no scores.")
    places = ["object_images", "images_THINGS/object_images", "images_THINGS", "images"]
    images = folder_with(folder, names[:1], places, _WAY_OUT)
    n_without = len(table["cr"]) - len(rows)
    return image_set(
        find_images(images, names, f"file_path of {_TABLE}", _WAY_OUT),
        read_scores([table["cr"][i] for i in rows], "cr", (-1.0, 1.0)),
        score_range=(-1.0, 1.0),
        groups=np.array([name.split("/")[0] for name in names]),
        consistency=0.45,
        rule=f"Photographs without a score are left out: {n_without}." if n_without else "",
        DESCR=description("things"),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
