"""What a report tells: pictures made small, one pass of predictions, facts of the model."""

import base64
import io
import os
import platform
import unicodedata
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from tqdm.auto import tqdm

from sklearn_memorability.images import ImageReadError, read_image
from sklearn_memorability.inspection._image_choice import as_scores

_LIBRARIES = ("sklearn-memorability", "scikit-learn", "numpy", "scipy", "torch", "torchvision")
# Some parameters hold whole tables or networks; their beginning tells what they are.
_LONGEST_VALUE = 300


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, ready for a page.

    Attributes
    ----------
    row : int
        Its place among the images given.
    name, path : str
        What it is called, and its file as it was given; empty if there is none.
    uri : str
        The picture, as a ``data:`` address.
    width, height : int
        In pixels.
    """

    row: int
    name: str
    path: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Predictions:
    """What a model says of each picture.

    Attributes
    ----------
    score : numpy.ndarray of shape (n_images,)
        The predicted scores.
    levels : tuple of two floats
        The levels of the interval.
    interval : numpy.ndarray of shape (n_images, 2) or None
        Between these levels; None for a model without quantiles.
    proba : numpy.ndarray of shape (n_images, n_classes) or None
        Class probabilities; None for a model without classes.
    thresholds : numpy.ndarray of shape (n_classes - 1,) or None
        The scores between the classes.
    """

    score: np.ndarray
    levels: tuple[float, float]
    interval: np.ndarray | None = None
    proba: np.ndarray | None = None
    thresholds: np.ndarray | None = None


@dataclass(frozen=True)
class ModelFacts:
    """A model in words.

    Attributes
    ----------
    kind, description : str
        Its class, and its repr.
    params : dict of str to str
        All parameters, those of its steps too.
    versions : dict of str to str
        Of Python and the libraries that decide results.
    """

    kind: str
    description: str
    params: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True)
class Report:
    """All that a report's page is made of.

    Attributes
    ----------
    title : str
        The heading.
    data : str or None
        Facts of the data set.
    pictures : list of Thumbnail
        Those that could be read.
    unreadable : list of (str, str)
        Names and reasons of the others.
    true : numpy.ndarray of shape (n_pictures,) or None
        The true scores.
    predictions : Predictions
        Of the pictures.
    model : ModelFacts
        Of the model.
    """

    title: str
    data: str | None
    pictures: list[Thumbnail]
    unreadable: list[tuple[str, str]]
    true: np.ndarray | None
    predictions: Predictions
    model: ModelFacts


def thumbnails(
    images: list[Any], size: int, *, skip: bool, verbose: int
) -> tuple[list[Thumbnail], list[tuple[str, str]]]:
    """Make pictures small, and name those that can't be read.

    Parameters
    ----------
    images : list
        In any form that :func:`~sklearn_memorability.images.read_image` takes.
    size : int
        The longer side, in pixels; smaller pictures stay as they are.
    skip : bool
        Whether to go on where a picture can't be read.
    verbose : int
        Whether to show a progress bar.

    Returns
    -------
    pictures : list of Thumbnail
        Those that were read.
    unreadable : list of (str, str)
        Names and reasons of the others.

    Raises
    ------
    ImageReadError
        Without ``skip``, at the first picture that can't be read.
    ValueError
        If none can be read.
    """
    pictures: list[Thumbnail] = []
    unreadable = []
    for row, image in enumerate(tqdm(images, "Thumbnails", unit="image", disable=not verbose)):
        name, path = _name(image, row)
        try:
            picture = read_image(image, row=row)
        except ImageReadError as error:
            if not skip:
                raise
            unreadable.append((name, printable(str(error))))
            continue
        # A copy, since what was read may be the very picture that the user gave.
        picture = picture.copy()
        picture.thumbnail((size, size))
        # Its profile and metadata stay out of the file: they may hold a place or a name.
        picture.info.clear()
        content = io.BytesIO()
        picture.save(content, "WEBP", quality=70)
        uri = "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")
        pictures.append(Thumbnail(row, name, path, uri, *picture.size))
    if not pictures:
        raise ValueError(
            f"None of the {len(images)} images can be read; the first: {unreadable[0][1]}"
        )
    return pictures, unreadable


def predict_once(model: Any, images: list[Any], levels: tuple[float, float]) -> Predictions:
    """Predict scores, and intervals and class probabilities where the model has them.

    A Pipeline's features are computed once for all three.

    Parameters
    ----------
    model : estimator
        A fitted one, or a Pipeline, search or frozen estimator around it.
    images : list
        What its ``predict`` takes.
    levels : tuple of two floats
        The levels of the interval.

    Returns
    -------
    Predictions

    Raises
    ------
    ValueError
        If there is not one finite score for each image.
    """
    inner, X = model, images
    while not hasattr(inner, "predict_quantiles"):
        if isinstance(inner, Pipeline):
            if len(inner) > 1:
                X = inner[:-1].transform(X)
            inner = inner[-1]
        elif hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        elif type(inner).__name__ == "FrozenEstimator":
            inner = inner.estimator
        else:
            break
    score = as_scores(inner.predict(X), f"The prediction of {type(model).__name__}", len(images))
    if not hasattr(inner, "predict_quantiles"):
        return Predictions(score, levels)
    return Predictions(
        score,
        levels,
        interval=inner.predict_quantiles(X, levels),
        proba=inner.predict_class_proba(X),
        thresholds=inner.thresholds_[:-1],
    )


def model_facts(model: Any) -> ModelFacts:
    """Describe a model.

    Parameters
    ----------
    model : estimator
        Any, nested or not.

    Returns
    -------
    ModelFacts
    """
    params = model.get_params() if hasattr(model, "get_params") else {}
    plain = {
        name: _shortened(repr(value))
        for name, value in sorted(params.items())
        # Steps and wrapped estimators are told by their own parameters.
        if not (hasattr(value, "get_params") or name == "steps")
    }
    versions = {"Python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return ModelFacts(type(model).__name__, printable(repr(model)), plain, versions)


def printable(text: str) -> str:
    """Replace what no HTML file can hold: control characters, and halves of characters.

    Parameters
    ----------
    text : str
        Of any origin, as the name of a file.

    Returns
    -------
    str
        Lines and tabs are kept.
    """
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" else c for c in text
    )


def _name(image: Any, row: int) -> tuple[str, str]:
    # An open file has its path in its name, a picture in its file's name.
    path = image
    if not isinstance(image, str | os.PathLike):
        path = getattr(image, "name", getattr(image, "filename", ""))
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        return f"picture {row}", ""
    path = printable(os.fsdecode(path))
    return os.path.basename(path) or path, path


def _shortened(text: str) -> str:
    text = printable(" ".join(text.split()))
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + " …"
