"""``sklearn-memorability models``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sklearn_memorability.captions import load_embedding
from sklearn_memorability.captions._bundled import BUNDLED
from sklearn_memorability.cli._console import OK, emit_json
from sklearn_memorability.features._backbones import BACKBONES, Backbone, StateDictLoader
from sklearn_memorability.features._weights import PackagedWeights
from sklearn_memorability.persistence import read_facts

_TO_DOWNLOAD = "downloaded at first use"

# Families of networks, what a name of theirs looks like, and the extra they come with.
_FAMILIES = (
    ("resnet50, ... (torchvision)", "torchvision", None),
    ("timm:NAME", "timm", "timm"),
    ("clip:MODEL/PRETRAINED", "open_clip", "clip"),
)


def models(*, as_json: bool) -> int:
    """Write what can be given as network, joint space and model; return the exit code."""
    networks = [_network(backbone) for backbone in BACKBONES.values()]
    networks += [
        {"name": name, "features": None, "weights": _family_state(module, extra)}
        for name, module, extra in _FAMILIES
    ]
    spaces = [_space(name) for name in BUNDLED]
    embedded = _embedded()
    if as_json:
        emit_json({"networks": networks, "joint_spaces": spaces, "embedded_model": embedded})
        return OK
    console = Console(highlight=False)
    for title, rows in (
        ("Networks, for --backbone", networks),
        ("Joint spaces of pictures and captions, for --embedding", spaces),
        ("The model that comes with the package, for --model embedded", [embedded]),
    ):
        console.print(Text(title, "bold"))
        console.print(_table(rows))
    return OK


def _network(backbone: Backbone) -> dict[str, Any]:
    return {
        "name": backbone.name,
        "features": next(iter(backbone.layers.values())),
        "weights": _state(backbone.load),
    }


def _state(load: Any) -> str:
    if not isinstance(load, StateDictLoader):
        return _TO_DOWNLOAD
    if isinstance(load.weights, PackagedWeights):
        try:
            return "installed" if load.weights.path(load.name).is_file() else "missing"
        except ImportError:
            return _with_extra(load.weights.extra)
    file = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(load.weights.url).path).name)
    return "on disk" if file.is_file() else _TO_DOWNLOAD


def _family_state(module: str, extra: str | None) -> str:
    return _TO_DOWNLOAD if extra is None or find_spec(module) else _with_extra(extra)


def _with_extra(extra: str) -> str:
    return f"pip install 'sklearn-memorability[{extra}]'"


def _space(name: str) -> dict[str, Any]:
    embedding = load_embedding(name)
    network = (embedding.network_ or {}).get("backbone")
    return {"name": name, "features": embedding.n_components_, "network": network}


def _embedded() -> dict[str, Any]:
    facts = read_facts("embedded")
    return {
        "name": "embedded",
        "fitted to": facts["n_samples"],
        "network": ", ".join(known["backbone"] for known in facts["image_networks"]),
        "card": "docs/embedded_model.md",
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(*rows[0], box=SIMPLE_HEAD)
    for row in rows:
        # As Text, since brackets, as in an extra's name, would be markup.
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    return table
