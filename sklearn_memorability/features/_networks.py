"""A network made ready: from what was asked for to a function from views to features."""

import os
import threading
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sklearn_memorability._torch import autocast
from sklearn_memorability.features._backbones import StateDictLoader
from sklearn_memorability.features._families import get_backbone, get_preprocess, output_width
from sklearn_memorability.features._identity import hash_of_weights, identity
from sklearn_memorability.features._layers import Layers, find_layers
from sklearn_memorability.features._preprocessing import Preprocess

# The networks that this process keeps, ready for the next fit of a search or the next
# task of a worker: the last two.
_KEPT = 2
_networks: OrderedDict[Any, "Network"] = OrderedDict()
_loading = threading.Lock()


@dataclass(frozen=True)
class Recipe:
    """All that decides what an image's features are, and where they are computed.

    ``backbone`` and ``preprocessing`` are as in ``ImageFeatures``, the rest is resolved. A
    network with parts of the user's own is known by its ``token``, another one after each fit.
    """

    backbone: str | nn.Module
    layer: str
    weights: str | None
    preprocessing: Any
    precision: str
    device: str
    token: str = ""

    def load(self) -> "Network":
        """Return the network, from those kept in this process if it is one of them."""
        state = None
        if self.weights is not None and os.path.exists(self.weights):
            found = os.stat(self.weights)
            state = found.st_mtime_ns, found.st_size, found.st_ino
        key = (self.token, self.device) if self.token else (self, state)
        # Threads that want the same network wait for it instead of loading it once each.
        with _loading:
            if key not in _networks:
                _networks[key] = Network(self)
                while len(_networks) > _KEPT:
                    _networks.popitem(last=False)
            _networks.move_to_end(key)
            return _networks[key]


class Network:
    """A network with its preprocessing, on its device."""

    def __init__(self, recipe: Recipe) -> None:
        backbone = get_backbone(recipe.backbone)
        self.recipe = recipe
        self.name = backbone.name
        self.preprocess: Preprocess = get_preprocess(recipe.preprocessing, backbone)
        self.device = torch.device(recipe.device)
        self.layer, default = recipe.layer, backbone.layer(None)
        plain = self.layer in backbone.layers
        module = self._loaded = backbone.load(self.layer if plain else default, recipe.weights)
        self.width = backbone.layers.get(self.layer, 0)
        if not self.width or callable(recipe.preprocessing):
            self.width = output_width(module.cpu(), self.preprocess, backbone.name)
        if not plain:
            noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
            views = self.preprocess.view(Image.fromarray(noise))[None]
            names = find_layers(
                module, self.layer, default, backbone.stages, self.preprocess.normalize(views)
            )
            self.layer = ",".join(names)
            module = Layers(module, names, default)
            self.width = output_width(module, self.preprocess, backbone.name)
        # What features are known by is what was loaded, not what is made of it.
        pairs = _norms(self._loaded) if isinstance(backbone.load, StateDictLoader) else []
        self._weights = hash_of_weights(self._loaded) if pairs else ""
        for part, conv, norm in pairs:
            setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
            setattr(part, norm, nn.Identity())
        # The faster layout for convolutions on most devices.
        self.module = module.to(self.device).to(memory_format=torch.channels_last)
        # Elsewhere than on the CPU, memory may not suffice for several batches at a time.
        self._turn = nullcontext() if self.device.type == "cpu" else threading.Lock()

    def features(self, views: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n_images, width), float32 on the CPU, from views."""
        with self._turn, torch.inference_mode(), autocast(self.device, self.recipe.precision):
            batch = self.preprocess.normalize(views.to(self.device))
            found = self.module(batch.contiguous(memory_format=torch.channels_last))
            return found.float().flatten(1).cpu()

    @cached_property
    def identity(self) -> str:
        """What the features are known by, as text: the network, its weights, its input."""
        return identity(
            self.name,
            self.layer,
            self._weights or hash_of_weights(self._loaded),
            self._loaded,
            self.preprocess,
            self.recipe.precision,
            own=not isinstance(self.recipe.backbone, str),
        )


def _norms(network: nn.Module) -> list[tuple[nn.Module, str, str]]:
    """Return the norms that the convolutions in front of them can do, with their names."""
    return [
        (part, conv, norm)
        for part in network.modules()
        for (conv, first), (norm, second) in pairwise(part.named_children())
        # One that is read by itself stays as it is.
        if isinstance(first, nn.Conv2d) and not first._forward_hooks
        # What comes of a norm's class may do more.
        if type(second) is nn.BatchNorm2d and second.num_features == first.out_channels
    ]


def release_networks() -> None:
    """Let go of the networks that this process keeps ready."""
    with _loading:
        _networks.clear()
