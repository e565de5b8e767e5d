"""The two bundled sets, both from the THINGS database."""

import gzip
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

_FOLDER = files(__package__) / "data"
PHOTOGRAPHS = Path(str(_FOLDER / "things_photographs.npz"))

_CITATIONS = """
References
----------
M. A. Kramer, M. N. Hebart, C. I. Baker, W. A. Bainbridge, "The features underlying the
memorability of objects", Science Advances 9(17), 2023.
"""

_CONCEPTS_DESCR = (
    """
THINGS object concepts
----------------------
:Rows: 1854 object concepts
:Columns: 66 dimensions of the behavioural embedding SPoSE (not below zero but for
    rounding), learnt from 4.7 million judgements of which of three objects is the odd
    one out
:Target: memorability of the concept: corrected recognition (hit rate - false-alarm
    rate), averaged over the concept's photographs; 0.649 to 0.910

Published figures, bundled with their citation.
"""
    + _CITATIONS
    + """
M. N. Hebart, C. Y. Zheng, F. Pereira, C. I. Baker, "Revealing the multidimensional mental
representations of natural objects underlying human similarity judgements", Nature Human
Behaviour 4, 2020.

M. N. Hebart, O. Contier, L. Teichmann et al., "THINGS-data", eLife 12:e82580, 2023.
"""
)

_PHOTOGRAPHS_DESCR = (
    """
Features of THINGS photographs
------------------------------
:Rows: 946 photographs of 476 object concepts
:Columns: 1280 features, the output of `ImageFeatures("efficientnet_lite0")`; stored as
    float16, given as float32
:Target: memorability of the photograph: corrected recognition (hit rate - false-alarm
    rate); 0.538 to 0.977
:Groups: the concept of each photograph; split by it in any cross-validation

The photographs are third-party works and are not bundled; their features and published
scores are. They are a part of THINGS chosen for high scores (mean .828), so their scores
vary little and the set is hard. The split-half consistency of THINGS image scores is
about .45, which makes them reliable to .62 (Spearman-Brown), and no predictor can be
expected to pass a Spearman correlation of .79 with them, the root of that (`ceiling`).
"""
    + _CITATIONS
    + """
M. N. Hebart, A. H. Dickter, A. Kidder et al., "THINGS: A database of 1,854 object
concepts and more than 26,000 naturalistic object images", PLoS ONE 14(10), 2019.
"""
)


def load_things_concepts(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the memorability of 1,854 object concepts with their 66-d embedding.

    A small real regression problem: no pictures and no network are needed.

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
    with gzip.open(str(_FOLDER / "things_concepts.csv.gz"), "rt", encoding="utf-8") as file:
        header = file.readline().strip().split(",")
        rows = [line.rstrip("\n").split(",") for line in file]
    return _as_asked(
        data=np.array([row[2:] for row in rows], dtype=np.float64),
        target=np.array([float(row[1]) for row in rows]),
        names={"concepts": np.array([row[0] for row in rows])},
        feature_names=header[2:],
        DESCR=_CONCEPTS_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def load_things_photographs(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load features and memorability of 946 photographs of objects.

    The features are those that ``ImageFeatures("efficientnet_lite0")`` computes, so a
    model fitted on them predicts the user's own pictures through that transformer.

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
            DESCR=_PHOTOGRAPHS_DESCR,
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
    target_names = ["memorability"]
    table = frame = scores = None
    if as_frame:
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("as_frame=True needs pandas: pip install pandas") from error
        ((label, index),) = names.items()
        frame = pd.DataFrame(data, columns=feature_names, index=pd.Index(index, name=label))
        frame[target_names[0]] = target
        table, scores = frame[feature_names], frame[target_names[0]]
    given = (data, target) if frame is None else (table, scores)
    if return_X_y:
        return given
    return Bunch(
        data=given[0],
        target=given[1],
        frame=frame,
        feature_names=feature_names,
        target_names=target_names,
        **names,
        **more,
    )
