"""A folder with a model, its card and its configuration, as the Hugging Face Hub takes it."""

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn_memorability.persistence._card import LIBRARY, TASK, ModelCard
from sklearn_memorability.persistence._file import hash_of_file
from sklearn_memorability.persistence._model import MODEL_FILE, read_facts, save


def save_to_folder(
    model: Any,
    folder: str | os.PathLike[str],
    *,
    card: ModelCard,
    weights: Sequence[str | os.PathLike[str]] = (),
    trusted: Sequence[str | type] | None = None,
) -> None:
    """Write a fitted model, its card and its configuration into a folder to be uploaded.

    Parameters
    ----------
    model : estimator
        As for :func:`save`.
    folder : str or path-like
        The folder; it is made where there is none. Files of these names in it are
        replaced, others are left alone.
    card : ModelCard
        What is to be known of the model.
    weights : sequence of path-likes, optional
        Files of image networks' own weights that the model needs, to be copied beside it.
    trusted : list of types or of their full names, optional
        As for :func:`save`.

    Raises
    ------
    sklearn.exceptions.NotFittedError, ValueError, ImportError
        As for :func:`save`; ValueError also for ``weights`` that the model does not need.

    Notes
    -----
    The folder holds ``model.skops``, ``README.md`` (the card) and ``config.json``.
    ``hf upload USER/NAME FOLDER`` of huggingface_hub uploads it; :func:`load` takes the
    folder, as it is downloaded.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.persistence import ModelCard, save_to_folder
    >>> from sklearn_memorability.pipelines import svr_regressor
    >>> model = svr_regressor().fit(*load_things_concepts(return_X_y=True))
    >>> folder = tempfile.TemporaryDirectory()
    >>> save_to_folder(model, folder.name, card=ModelCard(title="SVR on THINGS concepts"))
    >>> sorted(path.name for path in Path(folder.name).iterdir())
    ['README.md', 'config.json', 'model.skops']
    >>> folder.cleanup()
    """
    if not isinstance(card, ModelCard):
        raise TypeError(f"card={card!r} must be a ModelCard.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder / MODEL_FILE, trusted=trusted)
    facts = read_facts(folder)
    needed = facts["weights_files"]
    for path in map(Path, weights):
        if needed.get(path.name) != hash_of_file(path):
            raise ValueError(
                f"weights has {str(path)!r}, which the model does not need; it needs {needed}."
            )
        if path.resolve() != (folder / path.name).resolve():
            shutil.copyfile(path, folder / path.name)
    _write(folder / "README.md", card.render(facts))
    _write(folder / "config.json", json.dumps(_config(facts), indent=2) + "\n")


def _config(facts: dict[str, Any]) -> dict[str, Any]:
    # The layout that the Hub knows of scikit-learn's models.
    return {
        "sklearn": {
            "environment": [f"{n}={v}" for n, v in facts["versions"].items() if n != "python"],
            "model": {"file": MODEL_FILE},
            "model_format": "skops",
            "task": TASK,
            "use_intelex": False,
        },
        LIBRARY: {k: v for k, v in facts.items() if k != "members"},
    }


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
