"""The three sets of "The interestingness of images" (Gygli et al. 2013)."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._by_request import (
    RequestedSet,
    label,
    load_requested,
    read_requested_table,
)
from sklearn_memorability.datasets._isola import extract_isola_pictures
from sklearn_memorability.datasets._tables import read_scores, refuse

_GYGLI = RequestedSet(
    name="Gygli's interestingness set",
    ask="ask the authors of 'The interestingness of images' (Gygli et al., ICCV 2013; "
    "https://people.ee.ethz.ch/~gyglim/)",
    layout="'images' with the pictures, and 'scores.csv' with the columns 'image' and 'score'",
    n_images=0,
    target_name="interestingness",
    score_range=None,
    DESCR="""
The interestingness of images, part {part}
-------------------------------------
:Pictures: {rows}
:Target: interestingness as people judged it; larger is more interesting
:Terms: the scores are had from the authors{terms}

References
----------
M. Gygli, H. Grabner, H. Riemenschneider, F. Nater, L. Van Gool, "The interestingness of
images", ICCV 2013.
""",
)

GYGLI = {
    1: replace(
        _GYGLI,
        ask=_GYGLI.ask + " for the scores; the pictures are at "
        "http://people.csail.mit.edu/torralba/code/spatialenvelope/",
        n_images=2688,
        DESCR=_GYGLI.DESCR.format(
            part=1,
            rows="2,688 pictures of eight kinds of outdoor scenes (Oliva and Torralba 2001)",
            terms="; the pictures are for research",
        ),
    ),
    2: replace(
        _GYGLI,
        ask=_GYGLI.ask + " for the scores",
        layout="'scores.csv' with the column 'score' and a row for each of Isola's 2,222 "
        "pictures, in the order in which those were released, and 'isola' with that set",
        n_images=2222,
        DESCR=_GYGLI.DESCR.format(
            part=2,
            rows="the 2,222 pictures whose memorability Isola et al. measured (load_isola)",
            terms="; the pictures are from the SUN database, for research",
        ),
    ),
    3: replace(
        _GYGLI,
        layout="'images' with a folder for each webcam, and 'scores.csv' with the columns "
        "'image' ('webcam/picture') and 'score'",
        n_images=3180,
        DESCR=_GYGLI.DESCR.format(
            part=3,
            rows="3,180 pictures, 159 of each of 20 webcams\n:Groups: the webcam",
            terms="",
        ),
    ),
}


def load_gygli(
    folder: str | os.PathLike[str],
    part: int,
    *,
    isola: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load one of the three sets of "The interestingness of images" (Gygli et al. 2013).

    There is no download; the authors of the paper have the scores.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``images`` and ``scores.csv``: the columns ``image``, a file name
        (in part 3 "webcam/picture"), and ``score``, larger for more interesting pictures.
        Part 2 has no ``images``, and a row for each of Isola's pictures in the order in
        which those were released.
    part : {1, 2, 3}
        1: 2,688 pictures of outdoor scenes; 2: Isola's 2,222 pictures; 3: 20 webcams with
        159 pictures each.
    isola : str or path-like, optional
        For part 2, the folder with Isola's set, as for ``load_isola``; by default the
        folder ``isola`` in ``folder``.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.
        Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path`; ``target``, the scores;
        ``groups``, in part 3 the webcam of each picture, otherwise None; ``score_range``
        (None: what the scale is depends on what the authors hand out), ``target_names``,
        ``rule``, ``frame`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or the table or pictures are missing from it.
    ValueError
        If ``part`` is unknown, part 2 hasn't a row for each of Isola's pictures, a column
        is missing, a picture occurs twice, or a score is no number.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_gygli
    >>> webcams = load_gygli("gygli3", 3)  # doctest: +SKIP
    >>> len(webcams.images), len(set(webcams.groups))  # doctest: +SKIP
    (3180, 20)
    """
    if part not in GYGLI:
        raise ValueError(f"part={part!r} is unknown; choose one of {list(GYGLI)}.")
    if part == 2:
        return _load_gygli_on_isola(folder, isola, return_X_y=return_X_y, as_frame=as_frame)
    return load_requested(
        GYGLI[part],
        folder,
        grouped=_webcams if part == 3 else None,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _load_gygli_on_isola(
    folder: str | os.PathLike[str],
    isola: str | os.PathLike[str] | None,
    *,
    return_X_y: bool,
    as_frame: bool,
) -> Any:
    requested = GYGLI[2]
    root = requested.folder(folder)
    place = root / "isola" if isola is None else Path(isola)
    if not place.is_dir():
        raise NotADirectoryError(
            f"There is no folder {os.fspath(place)!r} with Isola's pictures, which part 2 is "
            "about. fetch_isola downloads them; say where they are with isola=."
        )
    table = read_requested_table(requested, root, ["score"])
    target = read_scores(table["score"], label("score"), requested.score_range)
    images = extract_isola_pictures(place)
    if len(target) != len(images):
        raise ValueError(
            f"{os.fspath(root / 'scores.csv')!r} has {len(target)} rows, but there are "
            f"{len(images)} pictures in {os.fspath(place)!r}. {requested.way_out}"
        )
    return picture_set(
        images=images,
        target=target,
        DESCR=requested.DESCR,
        target_name=requested.target_name,
        score_range=requested.score_range,
        rule=requested.rule_for(len(images)),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _webcams(names: list[str]) -> np.ndarray:
    refuse(
        (f"{name!r} in row {i}" for i, name in enumerate(names, 1) if "/" not in name),
        f"Column {label('image')!r} names pictures without the folder of their webcam",
    )
    return np.array([name.rpartition("/")[0] for name in names])
