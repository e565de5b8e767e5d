"""Save a fitted model to one file, and load it, without pickle."""

import os
import platform
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.validation import check_is_fitted

from sklearn_memorability.persistence import _file
from sklearn_memorability.persistence._put_together import put_together
from sklearn_memorability.persistence._structure import (
    dump_structure,
    import_skops,
    load_structure,
)
from sklearn_memorability.persistence._take_apart import take_apart
from sklearn_memorability.persistence._trusted import names_of

# The file in a folder for the Hub.
MODEL_FILE = f"model{_file.SUFFIX}"
# The model that comes with the package, and its name.
EMBEDDED = "embedded"
_EMBEDDED_FILE = Path(str(files(__package__) / "data")) / f"{EMBEDDED}{_file.SUFFIX}"

# What decides the predictions of a model besides itself.
_PACKAGES = ("sklearn-memorability", "scikit-learn", "numpy", "torch", "skorch")

_DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    ImportError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    OSError,
    SafetensorError,
)


class ModelVersionWarning(UserWarning):
    """A model was saved with other versions of the packages that it needs."""


def save(
    model: Any, path: str | os.PathLike[str], *, trusted: Sequence[str | type] | None = None
) -> None:
    """Write a fitted model to one file that can be shared, without pickle.

    Parameters
    ----------
    model : estimator
        A fitted estimator of this package or of scikit-learn, or a Pipeline around such.
        A search is saved as what it found, its ``best_estimator_``.
    path : str or path-like
        The file, ending in ``.skops``. It is there as a whole or not at all.
    trusted : list of types or of their full names, optional
        Classes and functions of your own that the model holds. :func:`load` needs the
        same list, and the code that they are from.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    ValueError
        If a part of it can't be in such a file; names the part and the way out.
    ImportError
        If skops is missing; names the extra.

    See Also
    --------
    load : Read the file.
    save_to_folder : The file in a folder that the Hugging Face Hub takes.

    Notes
    -----
    The file is an archive of the structure as skops writes it, of arrays, and of each
    network's weights as safetensors; ``net_`` of a regressor is built again from its
    settings and its weights. It holds no optimiser, no cache (``cache`` of image features
    and ``memory`` of a Pipeline are None when loaded) and no path of your machine.

    Pretrained image networks are known by their names and stay outside. One with
    ``weights=FILE`` is known by the file's name and hash: share the file, too. An
    embedding that was learned, given as an object or a file, goes into the file; where
    its ``text_encoder`` is an object of your own, that is left out, as by its ``save``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.persistence import load, save
    >>> from sklearn_memorability.pipelines import mlp_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> model = mlp_regressor(max_epochs=1, random_state=0, device="cpu").fit(X, y)
    >>> folder = tempfile.TemporaryDirectory()
    >>> save(model, Path(folder.name, "model.skops"))
    >>> loaded = load(Path(folder.name, "model.skops"))
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    >>> folder.cleanup()
    """
    import_skops()
    if isinstance(model, BaseSearchCV):
        if not model.refit:
            raise ValueError("A search with refit=False holds no fitted model: set refit=True.")
        check_is_fitted(model, "best_estimator_")
        model = model.best_estimator_
    check_is_fitted(model)
    names = names_of(trusted)
    structure, tensors, known = take_apart(model)
    members = {**dump_structure(structure, names), **tensors}
    facts = {
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_versions()},
        "model": type(model).__name__,
        "n_features": getattr(model, "n_features_in_", None),
        "weights": _file.hash_of("".join(map(_file.hash_of, tensors.values())).encode()),
        **known,
    }
    _file.write(Path(path), members, facts)


def load(
    path: str | os.PathLike[str],
    *,
    device: str | torch.device | None = None,
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    trusted: Sequence[str | type] | None = None,
) -> Any:
    """Read a model that :func:`save` or :func:`save_to_folder` wrote.

    Nothing in the file is run. What it may be made of is fixed: the estimators of this
    package and of scikit-learn, NumPy arrays, numbers, strings and their containers.

    Parameters
    ----------
    path : str or path-like
        The file, the folder with ``model.skops`` in it, or ``"embedded"``, the small model
        that comes with the package (its network needs the extra ``embedded``). That one
        knows objects on photographs and little else: read its card in
        ``docs/embedded_model.md`` before you use its scores.
    device : str or torch.device, optional
        Where networks are to compute, from now on: it becomes their parameter. None
        leaves it as it was, or takes the best there is where that device is not here.
    weights : path-like or sequence of path-likes, optional
        Where files of an image network's own weights are, if they don't lie beside
        ``path``. They are recognised by their hash.
    trusted : list of types or of their full names, optional
        Types beyond those above that may be built. Trust only what you know.

    Returns
    -------
    estimator
        Fitted. On the machine where it was saved, with the same versions, its
        predictions are the same to the last bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, of a newer format, or holds anything else than a model;
        names the file.
    ImportError
        If skops is missing; names the extra.

    Warns
    -----
    ModelVersionWarning
        If it was saved with other versions of the packages that it needs.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.persistence import load
    >>> model = load("embedded", device="cpu")
    >>> model.predict(load_sample_images().images).shape
    (2,)
    """
    import_skops()
    names = names_of(trusted)
    file = _find(path)
    members, facts = _file.read(file)
    differing = _differing(facts)
    candidates = [*_paths(weights), *(file.parent / name for name in _weights_names(facts))]
    tensors = {n: members.pop(n) for n in list(members) if n.endswith(".safetensors")}
    try:
        with warnings.catch_warnings():
            # Said once for the whole model, below.
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            structure = load_structure(members, names)
        model = put_together(structure, tensors, device=device, weights=candidates)
    except (*_DAMAGED, RecursionError) as error:
        reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        hint = f" (It was saved with {differing}.)" if differing else ""
        raise _file.unreadable(file, f"{reason}{hint}") from error
    # The tests of each release are run with the embedded one.
    if differing and file != _EMBEDDED_FILE:
        warnings.warn(
            f"{str(file)!r} was saved with {differing}. Predictions may differ; check some of "
            "them, or install these versions.",
            ModelVersionWarning,
            stacklevel=2,
        )
    return model


def read_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what is known of a saved model, without building it.

    Parameters
    ----------
    path : str or path-like
        The file, the folder with ``model.skops`` in it, or ``"embedded"``.

    Returns
    -------
    dict
        ``"saved"`` (when), ``"versions"`` of the packages, ``"model"`` (its class),
        ``"n_features"`` (None where it takes pictures), ``"n_samples"`` it was fitted to
        (None if not known), ``"weights"`` (SHA-256 of all networks' weights in it),
        ``"image_networks"`` and ``"weights_files"`` that it needs beside it, and
        ``"members"`` of the archive with the SHA-256 of each.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is damaged.

    Examples
    --------
    >>> from sklearn_memorability.persistence import read_facts
    >>> read_facts("embedded")["n_samples"]
    946
    """
    return _file.read_facts(_find(path))


def _find(path: str | os.PathLike[str]) -> Path:
    if path == EMBEDDED:
        return _EMBEDDED_FILE
    file = Path(path)
    return file / MODEL_FILE if file.is_dir() else file


def _paths(
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> list[Path]:
    return [Path(w) for w in ([weights] if isinstance(weights, str | os.PathLike) else weights)]


def _weights_names(facts: dict[str, Any]) -> list[str]:
    # A name, not a path: what lies elsewhere is not looked at.
    names = facts.get("weights_files")
    return [name for name in names if Path(name).name == name] if isinstance(names, dict) else []


def _versions() -> dict[str, str]:
    # "+cpu" and the like tell how a package was built, not which version it is.
    return {name: metadata.version(name).partition("+")[0] for name in _PACKAGES}


def _differing(facts: dict[str, Any]) -> str:
    """Return the packages whose versions differ, as text."""
    saved = facts.get("versions")
    if not isinstance(saved, dict):
        return ""
    return ", ".join(
        f"{name} {saved.get(name)} (here {version})"
        for name, version in _versions().items()
        if saved.get(name) != version
    )
