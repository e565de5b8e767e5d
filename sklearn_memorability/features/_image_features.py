"""The transformers: which network, which layer."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Options, StrOptions
from torch import nn

from sklearn_memorability.features._cache import FeatureCache
from sklearn_memorability.features._extractor import ImageExtractor


class ImageFeatures(ImageExtractor):
    """Features of images from a pretrained network.

    Each image goes through the network with the preprocessing that the network was
    trained with, and one of its last layers becomes the image's row.

    Parameters
    ----------
    backbone : str or torch.nn.Module, default="efficientnet_lite0"
        The network.

        - ``"efficientnet_lite0"`` (1280 features; ImageNet top-1 75.1 %) comes with its
          weights in the extra ``embedded`` and needs no download.
        - ``"memorability"`` is that of the embedded model, offline too: the same network,
          its later half once fine-tuned to memorability (1,280 features) and once as it
          was (1,280). Where scores are few, start from it.
        - ``"vgg16"`` is the paper's, ``"vgg19"`` its larger sister; see
          :class:`VGGFeatures`.
        - ``"resmem"`` (256 features) and ``"vitmem"`` (768, extra ``timm``) are published
          networks that were trained to predict memorability, on LaMem and MemCat. ResMem
          [1]_ needs ``pip install resmem``, whose terms allow non-commercial use only;
          ViTMem's [2]_ weights (343 MB, MIT licence) are downloaded at first use.
        - Any classifier of torchvision by its name there, such as ``"resnet50"``.
        - ``"timm:NAME"``, any network of timm (extra ``timm``).
        - ``"clip:MODEL/PRETRAINED"``, the image side of a CLIP model of open_clip (extra
          ``clip``), such as ``"clip:ViT-B-32/laion2b_s34b_b79k"``.
        - A network of your own, from (n, channels, height, width) to (n, n_features),
          together with ``preprocessing``. It is copied in ``fit``.
    layer : str, list or tuple of str, optional
        The layer to read, or several, side by side. None is the one in front of the
        classifier (of CLIP, the joint embedding); the VGGs have ``"fc7"`` (default) and
        ``"fc6"``, both after their ReLU, and ``"pool"``, the mean of the last
        convolutions over the image. Any other part of the network is read by its name
        in the network (``"layer3"`` of a ResNet); an unknown name raises an error that
        lists those there are. What has positions, a map of a convolutional network or
        the patches of a transformer, becomes its channels' means and then their
        standard deviations over positions. ``"stages"`` is a choice that orders scores
        better than the default: the last map at each of the last three resolutions, or
        a transformer's blocks at the half, at three quarters and at the end, and the
        default layer, unless it is the mean of the last of these. Of
        ``"efficientnet_lite0"`` it is blocks 12, 14 and 15 and the default layer (2688
        features).
    weights : str or path-like, optional
        A file of weights for the network, ``.safetensors`` or written by
        ``torch.save(network.state_dict(), file)``. None takes the pretrained ones,
        downloaded at first use.
    preprocessing : "caffe" or callable, optional
        In place of the preprocessing that the network's pretrained weights were trained
        with: ``"caffe"`` for files of VGG weights in Caffe's convention (blue first,
        means of 0-255 taken off), or a callable from an RGB PIL image to a tensor of
        shape (channels, height, width), such as a torchvision ``Compose``.
    batch_size : int or "auto", default="auto"
        How many images go through the network at a time. It changes memory and
        speed, not the features. ``"auto"`` is 2 on the CPU, which suits its caches, and
        64 elsewhere. Where memory does not suffice, give a smaller one.
    device : str or torch.device, optional
        Where to compute. None takes the best there is: CUDA, MPS, then the CPU.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        What the network computes in. ``"bfloat16"`` is several times faster on
        hardware made for it (recent GPUs, CPUs with AMX), and changes features in the
        third digit; ``"auto"`` takes it there and float32 elsewhere. Features are
        float32 either way.
    cache : str, path-like or FeatureCache, optional
        A file, or a folder, in which features are kept, so that no image goes through
        the same network twice; see :class:`FeatureCache`.
    on_error : {"raise", "nan"}, default="raise"
        What becomes of an image that can't be read: an :class:`ImageReadError
        <sklearn_memorability.images.ImageReadError>` that names its row and file, or a
        row of NaN, and one :class:`UnreadableImagesWarning` that lists them all.
    n_jobs : int, optional
        How many processes to share the images among, through joblib; with
        ``joblib.parallel_config``, threads or a cluster. None is 1. One process uses all
        cores already, so more of them pay off on a cluster or where reading is slow.
    verbose : int, default=0
        Above 0, a progress bar.

    Attributes
    ----------
    device_ : torch.device
        Where the network is.
    precision_ : {"float32", "bfloat16"}
        What it computes in.

    See Also
    --------
    VGGFeatures : The paper's features.
    FeatureCache : What ``cache`` keeps.

    Notes
    -----
    A saved transformer (pickle, joblib or skops) holds settings alone, below two
    kilobytes. It loads the network again at first use, on the device that ``device`` asks
    for there; a file given as ``weights`` must then still be there. Parameters changed
    after ``fit`` count from the next ``fit`` on, except those that change no feature:
    ``batch_size``, ``cache``, ``on_error``, ``n_jobs`` and ``verbose``.

    The last two networks stay in memory for the next fit.

    References
    ----------
    .. [1] C. D. Needell, W. A. Bainbridge, "Embracing new techniques in deep learning for
       estimating image memorability", Computational Brain & Behavior 5, 2022.
    .. [2] T. Hagen, T. Espeseth, "Image memorability prediction with vision transformers",
       arXiv:2301.08647, 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.features import ImageFeatures
    >>> images = load_sample_images().images
    >>> ImageFeatures().fit_transform(images).shape
    (2, 1280)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageExtractor._parameter_constraints,
        "preprocessing": [StrOptions({"caffe"}), callable, None],
        "backbone": [str, nn.Module],
        "layer": [str, list, tuple, None],
    }

    def __init__(
        self,
        backbone: str | nn.Module = "efficientnet_lite0",
        *,
        layer: str | Sequence[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        preprocessing: str | Callable[..., Any] | None = None,
        batch_size: int | str = "auto",
        device: str | torch.device | None = None,
        precision: str = "float32",
        cache: str | os.PathLike[str] | FeatureCache | None = None,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.weights = weights
        self.preprocessing = preprocessing
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.cache = cache
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _select(self) -> tuple[str | nn.Module, str | Sequence[str] | None]:
        return self.backbone, self.layer


class VGGFeatures(ImageExtractor):
    """The paper's CNN features: VGG16's last fully connected layer before the softmax.

    Section 2.1 of Squalli-Houssaini et al. (2018): an image's feature is the
    4096-d output of VGG16's second fully connected layer, ``fc7``, here after its
    ReLU. The shorter side is scaled to 256, the central 224 x 224 pixels are taken and
    normalised as torchvision does for these weights.

    Parameters
    ----------
    layer : {"fc7", "fc6", "pool"}, default="fc7"
        The layer to read: the second or the first fully connected one, after its ReLU
        (4096 features), or the mean of the last convolutions over the image (512).
    depth : {16, 19}, default=16
        Layers with weights: VGG16 is the paper's; VGG19, in Caffe's convention, is what
        the image-caption embedding of Kiros et al. was trained on.
    weights : str or path-like, optional
        A file of weights in torchvision's naming, ``.safetensors`` or written by
        ``torch.save(vgg16.state_dict(), file)``. Give ``preprocessing="caffe"`` with
        weights converted from Caffe, the original ones. None takes torchvision's
        ``IMAGENET1K_V1``: 528 MB (VGG19: 548 MB), downloaded at first use to torch's
        hub folder (``TORCH_HOME``) and checked against its hash.
    preprocessing : "caffe" or callable, optional
        In place of the preprocessing that the network's pretrained weights were trained
        with: ``"caffe"`` for files of VGG weights in Caffe's convention (blue first,
        means of 0-255 taken off), or a callable from an RGB PIL image to a tensor of
        shape (channels, height, width), such as a torchvision ``Compose``.
    batch_size : int or "auto", default="auto"
        How many images go through the network at a time. It changes memory and
        speed, not the features. ``"auto"`` is 2 on the CPU, which suits its caches, and
        64 elsewhere. Where memory does not suffice, give a smaller one.
    device : str or torch.device, optional
        Where to compute. None takes the best there is: CUDA, MPS, then the CPU.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        What the network computes in. ``"bfloat16"`` is several times faster on
        hardware made for it (recent GPUs, CPUs with AMX), and changes features in the
        third digit; ``"auto"`` takes it there and float32 elsewhere. Features are
        float32 either way.
    cache : str, path-like or FeatureCache, optional
        A file, or a folder, in which features are kept, so that no image goes through
        the same network twice; see :class:`FeatureCache`.
    on_error : {"raise", "nan"}, default="raise"
        What becomes of an image that can't be read: an :class:`ImageReadError
        <sklearn_memorability.images.ImageReadError>` that names its row and file, or a
        row of NaN, and one :class:`UnreadableImagesWarning` that lists them all.
    n_jobs : int, optional
        How many processes to share the images among, through joblib; with
        ``joblib.parallel_config``, threads or a cluster. None is 1. One process uses all
        cores already, so more of them pay off on a cluster or where reading is slow.
    verbose : int, default=0
        Above 0, a progress bar.

    Attributes
    ----------
    device_ : torch.device
        Where the network is.
    precision_ : {"float32", "bfloat16"}
        What it computes in.

    See Also
    --------
    ImageFeatures : Any network; its default needs no download.
    FeatureCache : What ``cache`` keeps.

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
        "preprocessing": [StrOptions({"caffe"}), callable, None],
        "layer": [StrOptions({"fc7", "fc6", "pool"})],
        "depth": [Options(Integral, {16, 19})],
    }

    def __init__(
        self,
        *,
        layer: str = "fc7",
        depth: int = 16,
        weights: str | os.PathLike[str] | None = None,
        preprocessing: str | Callable[..., Any] | None = None,
        batch_size: int | str = "auto",
        device: str | torch.device | None = None,
        precision: str = "float32",
        cache: str | os.PathLike[str] | FeatureCache | None = None,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.layer = layer
        self.depth = depth
        self.weights = weights
        self.preprocessing = preprocessing
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.cache = cache
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _select(self) -> tuple[str | nn.Module, str | None]:
        return f"vgg{self.depth}", self.layer
