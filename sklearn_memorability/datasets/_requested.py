"""Sets of the paper's Table 2 that only their authors can give."""

import os
from collections.abc import Callable
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
from sklearn_memorability.datasets._tables import read_scores, refuse
from sklearn_memorability.images import list_images

_IAPS = "the pictures at https://csea.phhp.ufl.edu/media.html (IAPS, University of Florida)"
_IAPS_LAYOUT = (
    "'images' with the pictures, named by their IAPS numbers (1050.jpg), and 'scores.csv' with "
    "the columns 'image' (the number or the file name) and 'score'"
)

DUBEY = RequestedSet(
    name="Dubey's set of object memorability",
    ask="ask the authors of 'What makes an object memorable?' (Dubey et al., ICCV 2015) for the "
    "scores; the pictures are PASCAL-S's (http://cbs.ic.gatech.edu/salobj/)",
    layout="'images' with the pictures, and 'scores.csv' with the columns 'image', 'object' and "
    "'score', a row an object",
    n_images=850,
    DESCR="""
The memorability of objects in pictures
---------------------------------------
:Pictures: 850 pictures of PASCAL-S, each with several segmented objects
:Target: memorability of each object (from 0 to 1: how often people knew that it had been
    there), made into one score a picture
:Terms: none are published; the scores are had from the authors.

References
----------
R. Dubey, J. Peterson, A. Khosla, M.-H. Yang, B. Ghanem, "What makes an object memorable?",
ICCV 2015.

Y. Li, X. Hou, C. Koch, J. M. Rehg, A. L. Yuille, "The secrets of salient object
segmentation", CVPR 2014 (PASCAL-S).
""",
)

COHENDET = RequestedSet(
    name="Cohendet's set of IAPS pictures",
    ask="ask the authors of 'Using individual data to characterize emotional user experience and "
    "its memorability' (Cohendet et al., QoMEX 2016; Nantes) for the scores, and for " + _IAPS,
    layout=_IAPS_LAYOUT,
    n_images=150,
    DESCR="""
The memorability of 150 emotional pictures
------------------------------------------
:Pictures: 150 pictures of the International Affective Picture System (IAPS)
:Target: memorability from an experiment in the laboratory, from 0 to 1
:Terms: the scores are had from the authors. IAPS pictures are for research on request; they
    may not be shown or passed on.

References
----------
R. Cohendet, A.-L. Gilet, M. P. Da Silva, P. Le Callet, "Using individual data to
characterize emotional user experience and its memorability: focus on gender factor", QoMEX
2016.

P. J. Lang, M. M. Bradley, B. N. Cuthbert, "International affective picture system (IAPS)",
technical report A-8, University of Florida, 2008.
""",
)

LIBKUMAN = RequestedSet(
    name="Libkuman's set of IAPS pictures",
    ask="take the column of mean memorability ratings from the norms that come with the paper "
    "(https://doi.org/10.3758/BF03193164), and ask for " + _IAPS,
    layout=_IAPS_LAYOUT,
    n_images=703,
    score_range=(1.0, 9.0),
    rule="The scores are ratings of how memorable people find a picture, not of what they "
    "remember.",
    DESCR="""
How memorable people find emotional pictures
--------------------------------------------
:Pictures: 703 pictures of the International Affective Picture System (IAPS)
:Target: mean rating of memorability on a scale of nine points, one of 14 dimensions that
    1,302 people rated, 18 pictures each. It is what people believe, not how often they
    recognise a picture
:Terms: the norms come with the paper. IAPS pictures are for research on request; they may
    not be shown or passed on.

References
----------
T. M. Libkuman, H. Otani, R. Kern, S. G. Viger, N. Novak, "Multidimensional normative
ratings for the International Affective Picture System", Behavior Research Methods 39(2),
2007.

P. J. Lang, M. M. Bradley, B. N. Cuthbert, "International affective picture system (IAPS)",
technical report A-8, University of Florida, 2008.
""",
)

_OBJECTS: dict[str, Callable[[list[float]], Any]] = {"max": max, "mean": np.mean}


def load_dubey(
    folder: str | os.PathLike[str],
    *,
    objects: str = "max",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the object memorability of 850 pictures of PASCAL-S (Dubey et al. 2015).

    There is no download; the authors of the paper have the scores.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``images`` and ``scores.csv``: the columns ``image``, ``object``
        and ``score``, a row an object, scores from 0 to 1.
    objects : {"max", "mean"}, default="max"
        How the scores of a picture's objects become the picture's.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.
        Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path`, each once, in the order in which
        the table first names them; ``target``, their scores; ``score_range``,
        ``target_names``, ``rule`` (how they were made), ``frame`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or the table or pictures are missing from it.
    ValueError
        If ``objects`` is unknown, a column is missing, an object occurs twice, or a score
        is no number from 0 to 1.

    Notes
    -----
    The paper that this package follows doesn't say how objects became pictures. Dubey et
    al. find that a picture's memorability follows that of its most memorable object, hence
    the default.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_dubey
    >>> pictures = load_dubey("pascal-s", objects="mean")  # doctest: +SKIP
    """
    if objects not in _OBJECTS:
        raise ValueError(f"objects={objects!r} is unknown; choose one of {list(_OBJECTS)}.")
    root = DUBEY.folder(folder)
    table = read_requested_table(DUBEY, root, ["image", "object", "score"])
    scores = read_scores(table["score"], label("score"), DUBEY.score_range)
    pictures: dict[str, dict[str, float]] = {}
    twice = []
    for row, (image, thing, score) in enumerate(
        zip(table["image"], table["object"], scores, strict=True), 1
    ):
        if thing in pictures.setdefault(image, {}):
            twice.append(f"object {thing!r} of {image!r} in row {row}")
        pictures[image][thing] = score
    refuse(twice, f"Column {label('object')!r} names objects more than once")
    images = DUBEY.pictures(root / "images", list(pictures), label("image"))
    made = _OBJECTS[objects]
    return picture_set(
        images=images,
        target=np.array([made(list(scored.values())) for scored in pictures.values()]),
        DESCR=DUBEY.DESCR,
        score_range=DUBEY.score_range,
        rule=DUBEY.rule_for(
            len(images), f"A picture's score is the {objects} of its objects' scores."
        ),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def load_cohendet(
    folder: str | os.PathLike[str], *, return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load the memorability of 150 IAPS pictures (Cohendet et al. 2016).

    There is no download; the authors of the paper have the scores, and the University of
    Florida gives the pictures on request.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``images`` and ``scores.csv``: the columns ``image``, an IAPS
        number such as 1050 or a file name, and ``score``, from 0 to 1.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.
        Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path`; ``target``, the scores;
        ``score_range``, ``target_names``, ``rule``, ``frame`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or the table or pictures are missing from it.
    ValueError
        If a column is missing, a picture occurs twice, or a score is no number from 0 to 1.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_cohendet
    >>> pictures = load_cohendet("iaps150")  # doctest: +SKIP
    """
    return load_requested(
        COHENDET, folder, file_names=_iaps_files, return_X_y=return_X_y, as_frame=as_frame
    )


def load_libkuman(
    folder: str | os.PathLike[str], *, return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load how memorable people find 703 IAPS pictures (Libkuman et al. 2007).

    The ratings are in the norms that come with the paper; the University of Florida gives
    the pictures on request.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``images`` and ``scores.csv``: the columns ``image``, an IAPS
        number such as 1050 or 2055.1 or a file name, and ``score``, the mean rating of
        memorability from 1 to 9.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.
        Needs pandas.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, a list of :class:`pathlib.Path`; ``target``, the ratings;
        ``score_range``, ``target_names``, ``rule``, ``frame`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or the table or pictures are missing from it.
    ValueError
        If a column is missing, a picture occurs twice, or a score is no number from 1 to 9.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_libkuman
    >>> pictures = load_libkuman("iaps703")  # doctest: +SKIP
    """
    return load_requested(
        LIBKUMAN, folder, file_names=_iaps_files, return_X_y=return_X_y, as_frame=as_frame
    )


def _iaps_files(pictures: Path, names: list[str]) -> list[str]:
    # The suffix and its case differ between copies of IAPS. A spreadsheet's column with
    # numbers such as 2055.1 turns 1050 into 1050.0.
    files = {}
    if pictures.is_dir():
        for path in list_images(pictures, recursive=False):
            files[path.name] = files[path.stem] = path.name
    numbers = [name.strip().removesuffix(".0") for name in names]
    return [
        files.get(number, f"{number}.jpg" if number.replace(".", "", 1).isdigit() else number)
        for number in numbers
    ]
