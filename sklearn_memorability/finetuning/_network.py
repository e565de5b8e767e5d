"""The network and its head as one module, and what its training needs beside skorch."""

import math

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from sklearn_memorability._torch import autocast
from sklearn_memorability.features._preprocessing import Preprocess

_RISING = 0.2  # share of the steps in which the learning rates rise
_PLAIN = ("#000000", "#ff0000", "#00ff00", "#0000ff", "#808080")


class Colours(nn.Module):
    """What preprocessing makes of colours, for pixels of 8 bits; other inputs have been through it.

    It is not understood but tried, on plain images: it may be a library's or a user's own.
    ``size`` is the height and the width of a network's input.
    """

    matrix: torch.Tensor
    black: torch.Tensor

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        images = [Image.new("RGB", (256, 256), colour) for colour in _PLAIN]
        inputs = torch.stack([preprocess.normalize(preprocess.view(i)[None])[0] for i in images])
        height, width = self.size = inputs.shape[2], inputs.shape[3]
        black, *colours, grey = inputs[:, :, height // 2, width // 2].double()
        matrix = (torch.stack(colours, dim=1) - black[:, None]) / 255
        if not torch.allclose(black + 128 * matrix.sum(dim=1), grey, rtol=1e-2, atol=1e-2):
            raise ValueError(
                "To fine-tune a network, preprocessing must scale and shift the colours of an "
                f"image, and do no more to them; {preprocess!r} does."
            )
        self.register_buffer("matrix", matrix[:, :, None, None].float())
        self.register_buffer("black", black.float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the network's input."""
        is_ready = x.dtype != torch.uint8
        return x if is_ready else functional.conv2d(x.float(), self.matrix, self.black)


class TunedNetwork(nn.Module):
    """A network and its head: logits from images.

    The network stays in evaluation mode, so BatchNorm keeps its statistics and nothing draws
    from torch's global generator.
    """

    def __init__(
        self, colours: Colours, backbone: nn.Module, head: nn.Module, precision: str
    ) -> None:
        super().__init__()
        self.colours = colours
        self.backbone = backbone
        self.head = head
        self.precision = precision

    def train(self, mode: bool = True) -> "TunedNetwork":
        """Choose the mode of the head."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, of shape (n_images, n_classes)."""
        x = self.colours(x).contiguous(memory_format=torch.channels_last)
        with autocast(x.device, self.precision):
            features = self.backbone(x)
        return self.head(features.float().flatten(1))


class Normalized(nn.Module):
    """A network that takes what preprocessing shows of an image, and normalises it."""

    def __init__(self, preprocess: Preprocess, network: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        return self.network(self.preprocess.normalize(x))


def freeze_first(network: nn.Module, share: float) -> None:
    """Freeze the first share of the layers that hold weights, in their order; free the others."""
    layers = [m for m in network.modules() if next(m.parameters(recurse=False), None) is not None]
    n_frozen = round(share * len(layers))
    for i, layer in enumerate(layers):
        for weight in layer.parameters(recurse=False):
            weight.requires_grad_(i >= n_frozen and weight.is_floating_point())


def one_cycle(step: int, n_steps: int) -> float:
    """Return the share of the learning rates in a step: up in a fifth of them, then down to 0."""
    done = min((step + 0.5) / n_steps, 1.0)
    if done < _RISING:
        return 0.5 - 0.5 * math.cos(math.pi * done / _RISING)
    return 0.5 + 0.5 * math.cos(math.pi * (done - _RISING) / (1 - _RISING))


def compact(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array, in half precision where that loses nothing."""
    array = tensor.detach().cpu().numpy()
    if array.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if np.array_equal(half.astype(np.float32), array):
            return half
    return array


def expanded(array: np.ndarray) -> torch.Tensor:
    """Return an array of :func:`compact` as a tensor."""
    return torch.tensor(array.astype(np.float32) if array.dtype == np.float16 else array)
