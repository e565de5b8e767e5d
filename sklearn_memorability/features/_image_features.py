"""The transformers: which network, which layer."""

import os
from typing import Any, ClassVar

import torch

from sklearn_memorability.features._backbones import BACKBONES, Backbone, get_backbone
from sklearn_memorability.features._extractor import ImageExtractor


class ImageFeatures(ImageExtractor):
    """Features of pictures from a pretrained network.

    Each picture goes through the network with the preprocessing that the network was
    trained with, and one of its last layers becomes the picture's row.

    Parameters
    ----------
    backbone : {"efficientnet_lite0", "vgg16"}, default="efficientnet_lite0"
        The network. ``"efficientnet_lite0"`` (1280 features; ImageNet top-1 75.1 %)
        comes with its weights in the extra ``embedded`` and needs no download.
        ``"vgg16"`` is the paper's; see :class:`VGGFeatures`.
    layer : str, optional
        The layer to read: ``"pool"`` of ``"efficientnet_lite0"``; ``"fc7"`` (default)
        or ``"fc6"``, both after their ReLU, of ``"vgg16"``.
    weights : str or path-like, optional
        A file of weights for the network, ``.safetensors`` or written by
        ``torch.save(network.state_dict(), file)``. None takes the pretrained ones.
    batch_size : int, default=8
        How many pictures go through the network at a time. It changes memory and
        speed, not the features. Small batches suit a CPU's caches; a GPU is faster
        with 64 or more.
    device : str or torch.device, optional
        Where to compute. None takes the best there is: CUDA, MPS, then the CPU.
    verbose : int, default=0
        Above 0, a progress bar.

    Attributes
    ----------
    device_ : torch.device
        Where the network is.

    See Also
    --------
    VGGFeatures : The paper's features.

    Notes
    -----
    A pickle of the transformer leaves the network out (it is a few hundred bytes) and
    loads it again at first use; a file given as ``weights`` must then still be there.
    Parameters changed after ``fit`` count from the next ``fit`` on, except
    ``batch_size`` and ``verbose``, which change no feature.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.features import ImageFeatures
    >>> pictures = load_sample_images().images
    >>> ImageFeatures().fit_transform(pictures).shape
    (2, 1280)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageExtractor._parameter_constraints,
        "backbone": [str],
        "layer": [str, None],
    }

    def __init__(
        self,
        backbone: str = "efficientnet_lite0",
        *,
        layer: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        batch_size: int = 8,
        device: str | torch.device | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.weights = weights
        self.batch_size = batch_size
        self.device = device
        self.verbose = verbose

    def _select(self) -> tuple[Backbone, str]:
        backbone = get_backbone(self.backbone)
        return backbone, backbone.layer(self.layer)


class VGGFeatures(ImageExtractor):
    """The paper's CNN features: VGG16's last fully connected layer before the softmax.

    Section 2.1 of Squalli-Houssaini et al. (2018): a picture's feature is the
    4096-d output of VGG16's second fully connected layer, ``fc7``, here after its
    ReLU. The shorter side is scaled to 256, the central 224 x 224 pixels are taken and
    normalised as torchvision does for these weights.

    Parameters
    ----------
    layer : {"fc7", "fc6"}, default="fc7"
        The layer to read, after its ReLU. ``"fc6"`` is the first fully connected one.
    weights : str or path-like, optional
        A file of weights in torchvision's naming, ``.safetensors`` or written by
        ``torch.save(vgg16.state_dict(), file)``. None takes torchvision's
        ``VGG16_Weights.IMAGENET1K_V1``: 528 MB, downloaded at first use to torch's
        hub folder (``TORCH_HOME``) and checked against its hash.
    batch_size : int, default=8
        How many pictures go through the network at a time. It changes memory and
        speed, not the features. Small batches suit a CPU's caches; a GPU is faster
        with 64 or more.
    device : str or torch.device, optional
        Where to compute. None takes the best there is: CUDA, MPS, then the CPU.
    verbose : int, default=0
        Above 0, a progress bar.

    Attributes
    ----------
    device_ : torch.device
        Where the network is.

    See Also
    --------
    ImageFeatures : Any network of the registry; its default needs no download.

    References
    ----------
    .. [1] H. Squalli-Houssaini, N. Q. K. Duong, M. Gwenaëlle, C.-H. Demarty, "Deep
       learning for predicting image memorability", ICASSP 2018, section 2.1.
    .. [2] K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale
       image recognition", arXiv:1409.1556, 2014.

    Examples
    --------
    >>> from sklearn_memorability.features import VGGFeatures
    >>> features = VGGFeatures(weights="vgg16-397923af.pth", batch_size=16)
    >>> features.fit_transform(["cat.jpg"])  # doctest: +SKIP
    array([[0.   , 1.27 , ...
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageExtractor._parameter_constraints,
        "layer": [str],
    }

    def __init__(
        self,
        *,
        layer: str = "fc7",
        weights: str | os.PathLike[str] | None = None,
        batch_size: int = 8,
        device: str | torch.device | None = None,
        verbose: int = 0,
    ) -> None:
        self.layer = layer
        self.weights = weights
        self.batch_size = batch_size
        self.device = device
        self.verbose = verbose

    def _select(self) -> tuple[Backbone, str]:
        backbone = BACKBONES["vgg16"]
        return backbone, backbone.layer(self.layer)
