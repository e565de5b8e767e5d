"""``doctor``: what is installed here, where files lie, and what works offline."""

import os
import platform
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sklearn_memorability.cli import _options as options
from sklearn_memorability.cli._console import OK, as_json, emit, show_tables
from sklearn_memorability.cli._models import ready_models, size

_PACKAGE = "sklearn-memorability"


def doctor(json: options.Json = False) -> int:
    """Tell what is installed, where weights lie, and which ready models work offline."""
    extras = metadata.metadata(_PACKAGE).get_all("Provides-Extra") or []
    models = [(row["name"], row["weights"]) for row in ready_models()]
    found: dict[str, list[dict[str, Any]]] = {
        "machine": [{"what": name, "value": value} for name, value in _machine().items()],
        "packages": [
            {"name": r.name, "version": metadata.version(r.name), "needs": str(r.specifier)}
            for r in _requirements("")
        ],
        "extras": [{"extra": name, "missing": ", ".join(_missing(name))} for name in extras],
        "folders": list(_folders()),
        "ready_models": [
            {"name": name, "offline": "yes" if weights == "here" else "no", "weights": weights}
            for name, weights in models
        ],
    }
    if json:
        emit(as_json(found))
    else:
        show_tables({name.replace("_", " ").capitalize(): rows for name, rows in found.items()})
    return OK


def _machine() -> dict[str, Any]:
    import torch

    from sklearn_memorability._torch import resolve_device

    device = resolve_device(None)
    return {
        _PACKAGE: metadata.version(_PACKAGE),
        "Python": platform.python_version(),
        "system": platform.platform(terse=True),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
    }


def _missing(extra: str) -> Iterator[str]:
    """Yield what an extra needs and is not here, or of another version."""
    for needed in _requirements(extra):
        found = next(iter(metadata.distributions(name=needed.name)), None)
        if found is None or not needed.specifier.contains(found.version, prereleases=True):
            yield f"{needed.name}{needed.specifier}"


def _requirements(extra: str) -> Iterator[Any]:
    """Yield the requirements of an extra, or with "" those of the package."""
    from packaging.requirements import Requirement

    for needed in map(Requirement, metadata.requires(_PACKAGE) or []):
        is_wanted = ("extra" in str(needed.marker)) == bool(extra)
        if is_wanted and (needed.marker is None or needed.marker.evaluate({"extra": extra})):
            if needed.name != _PACKAGE:
                yield needed
            for other in needed.extras if needed.name == _PACKAGE else ():
                yield from _requirements(other)


def _folders() -> Iterator[dict[str, Any]]:
    import torch

    data = os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")
    folders = {
        "weights": Path(torch.hub.get_dir(), "checkpoints"),
        "data sets": Path(data, "memorability").expanduser(),
    }
    if find_spec("huggingface_hub"):
        from huggingface_hub.constants import HF_HUB_CACHE

        folders["Hugging Face Hub"] = Path(HF_HUB_CACHE)
    for what, folder in folders.items():
        files = [f for f in folder.rglob("*") if f.is_file() and not f.is_symlink()]
        n_bytes = sum(file.stat().st_size for file in files)
        yield {"what": what, "size": size(n_bytes), "folder": str(folder)}
