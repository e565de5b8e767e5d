"""Interestingness in film trailers (MediaEval 2017) and on Flickr."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._by_request import RequestedSet, load_requested
from sklearn_memorability.datasets._tables import read_scores, refuse

_SUBSETS = {"devset": ["devset"], "testset": ["testset"], "all": ["devset", "testset"]}
_LINE = "video,key frame,interesting or not,level,rank"

MEDIAEVAL = RequestedSet(
    name="MediaEval's interestingness set",
    ask="accept the licence at https://www.interdigital.com/data_sets/interestingness-dataset "
    "and take the set of 2017",
    layout="'devset' and 'testset' as they are unpacked, each with 'annotations' and 'videos'",
    n_images=7396,
    target_name="interestingness",
    rule="Levels are relative to the most interesting frame of the same video, which has 1.",
    DESCR="""
MediaEval 2017: interestingness of key frames
---------------------------------------------
:Pictures: the middle frame of each shot of Hollywood-like trailers: the development set of
    2017 (78 videos, the trailers of 2016), which the paper's number of 7,396 is taken to
    be; the test set has further trailers and long excerpts of films
:Target: interestingness: from judgements which of two frames of a video is the more
    interesting for someone who chooses a film to watch, divided by the video's largest;
    from 0 to 1
:Groups: the video
:Terms: by licence, for research; the trailers are under Creative Commons licences whose
    credits are to be kept.

References
----------
C.-H. Demarty, M. Sjöberg, B. Ionescu, T.-T. Do, M. Gygli, N. Q. K. Duong, "MediaEval 2017
Predicting Media Interestingness task", MediaEval 2017 Workshop.

M. G. Constantin, L.-D. Ștefan, B. Ionescu, N. Q. K. Duong, C.-H. Demarty, M. Sjöberg,
"Visual interestingness prediction: a benchmark framework and literature review",
International Journal of Computer Vision 129, 2021.
""",
)

FLICKR = RequestedSet(
    name="Flickr's interestingness set",
    ask="collect it with a key of your own from "
    "https://www.flickr.com/services/api/flickr.interestingness.getList.html",
    layout="'images' with the pictures, and 'scores.csv' with the columns 'image' and 'score'",
    n_images=123185,
    target_name="interestingness",
    score_range=None,
    rule="Which pictures the paper collected is not published: these are others.",
    DESCR="""
Flickr: interestingness of photographs
--------------------------------------
:Pictures: photographs that the user collected from Flickr; the paper has 123,185
:Target: interestingness as Flickr ranks it, by clicks, comments, favourites and tags; what
    the user's table says, larger for more interesting
:Terms: Flickr's for its API, and for each photograph its owner's licence.

References
----------
Y. Shen, C.-H. Demarty, N. Q. K. Duong, "Technicolor@MediaEval 2016 Predicting Media
Interestingness task", MediaEval 2016 Workshop.
""",
)


def load_mediaeval(
    folder: str | os.PathLike[str],
    *,
    subset: str = "devset",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the interestingness of key frames of film trailers (MediaEval 2017).

    The set is had by licence from
    https://www.interdigital.com/data_sets/interestingness-dataset.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``devset`` and ``testset`` as they are unpacked: the lines of
        ``devset/annotations/devset-image.txt`` are "video,key frame,interesting or
        not,level,rank", and the key frames lie in ``devset/videos/<video>/images``.
    subset : {"devset", "testset", "all"}, default="devset"
        Which part. The paper's 7,396 frames are taken to be the development set of 2017.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.
        Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path`; ``target``, the level of
        interestingness; ``groups``, the video of each; ``score_range``, ``target_names``,
        ``rule``, ``frame`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or annotations or frames are missing from it.
    ValueError
        If ``subset`` is unknown, or lines are not as described.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_mediaeval
    >>> frames = load_mediaeval("me17in")  # doctest: +SKIP
    >>> len(frames.images), len(set(frames.groups))  # doctest: +SKIP
    (7396, 78)
    """
    if subset not in _SUBSETS:
        raise ValueError(f"subset={subset!r} is unknown; choose one of {list(_SUBSETS)}.")
    root = MEDIAEVAL.folder(folder)
    names, videos, levels = [], [], []
    for part in _SUBSETS[subset]:
        path = MEDIAEVAL.file(root / part / "annotations" / f"{part}-image.txt")
        rows = _lines(path)
        names += [f"{part}/videos/{video}/images/{frame}" for video, frame, *_ in rows]
        videos += [video for video, *_ in rows]
        levels.append(
            read_scores([row[3] for row in rows], f"level ({path.name})", MEDIAEVAL.score_range)
        )
    images = MEDIAEVAL.pictures(root, names, "key frame")
    return picture_set(
        images=images,
        target=np.concatenate(levels),
        DESCR=MEDIAEVAL.DESCR,
        target_name=MEDIAEVAL.target_name,
        score_range=MEDIAEVAL.score_range,
        groups=np.asarray(videos),
        rule=MEDIAEVAL.rule_for(len(images)),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def load_flickr(
    folder: str | os.PathLike[str], *, return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load photographs that the user collected from Flickr, with their interestingness.

    Flickr tells the interesting photographs of each day, in their order, to who has a key:
    https://www.flickr.com/services/api/flickr.interestingness.getList.html. Those of the
    paper are not published.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``images`` and ``scores.csv``: the columns ``image``, a file name,
        and ``score``, a number that is larger for more interesting photographs. As
        Flickr's rank 1 is the most interesting, write minus the rank.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.
        Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path`; ``target``, the scores;
        ``score_range`` (None: they have no bounds), ``target_names``, ``rule``, ``frame``
        and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or the table or pictures are missing from it.
    ValueError
        If a column is missing, a picture occurs twice, or a score is no number.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_flickr
    >>> photographs = load_flickr("flickr")  # doctest: +SKIP
    """
    return load_requested(FLICKR, folder, return_X_y=return_X_y, as_frame=as_frame)


def _lines(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a table: {error}") from error
    refuse(
        (f"{','.join(row)!r} in row {i}" for i, row in enumerate(rows, 1) if len(row) != 5),
        f"{os.fspath(path)!r} has lines that are not {_LINE!r}",
    )
    if not rows:
        raise ValueError(f"{os.fspath(path)!r} has no lines. {MEDIAEVAL.way_out}")
    return rows
