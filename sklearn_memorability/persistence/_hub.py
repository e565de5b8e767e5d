"""Models on the Hugging Face Hub."""

import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability.persistence._card import MODEL_FILE, ModelCard

_SCHEME = "hf://"
_WHO = {"library_name": "sklearn-memorability", "library_version": version("sklearn-memorability")}


def push_to_hub(
    model: Any,
    repo_id: str,
    *,
    card: ModelCard,
    private: bool | None = None,
    commit_message: str = "Upload a model of sklearn-memorability",
    **options: Any,
) -> str:
    """Upload a fitted model with its card to the Hugging Face Hub.

    Who you are is known from ``hf auth login`` or the variable ``HF_TOKEN``.

    Parameters
    ----------
    model : estimator
        A fitted one, as :func:`save` takes it.
    repo_id : str
        The repository, ``"user/name"``. It is made where there is none.
    card : ModelCard
        What readers should know about the model: the repository's ``README.md``.
    private : bool, optional
        Whether a new repository is private. None is the owner's default.
    commit_message : str, optional
        The message of the commit.
    **options : dict
        ``weights``, ``facts`` and ``trusted`` of :func:`save`.

    Returns
    -------
    str
        The commit's hash. ``load("hf://user/name", revision=hash)`` loads what was uploaded,
        whatever is uploaded later.

    Raises
    ------
    ValueError
        If the model can't be saved, as in :func:`save`, or ``repo_id`` is no repository's name.
    OSError
        If the Hub refuses; says why.
    ImportError
        If huggingface_hub is missing; names the extra.

    Examples
    --------
    >>> from sklearn_memorability.persistence import ModelCard, load, push_to_hub
    >>> model = load("embedded", device="cpu")
    >>> card = ModelCard(title="Memorability of images", license="bsd-3-clause")
    >>> commit = push_to_hub(model, "user/name", card=card)  # doctest: +SKIP
    >>> same = load("hf://user/name", revision=commit)  # doctest: +SKIP
    """
    from sklearn_memorability.persistence._model import save  # which imports this module

    api = _import_hub().HfApi(**_WHO)
    facts = {**(options.pop("facts", None) or {}), "hub": f"{_SCHEME}{repo_id}"}
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder, card=card, facts=facts, **options)
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message=commit_message
        )
    return str(commit.oid)


def is_on_hub(path: str | os.PathLike[str]) -> bool:
    """Tell whether a model is asked for by its repository on the Hub."""
    return isinstance(path, str) and path.startswith(_SCHEME)


def from_hub(path: str, revision: str | None, name: str = MODEL_FILE) -> Path:
    """Return one file of a repository in the client's cache, downloaded where it is missing."""
    hub = _import_hub()
    try:
        repo_id = path.removeprefix(_SCHEME)
        return Path(hub.hf_hub_download(repo_id, name, revision=revision, **_WHO))
    except OSError as error:
        raise FileNotFoundError(
            f"There is no {name!r} to be had of {path!r}, revision {revision!r}: {error}"
        ) from error


def _import_hub() -> Any:
    """Return huggingface_hub; if it is missing, the error names the extra."""
    return import_extra("huggingface_hub", "The Hugging Face Hub", "hub")
