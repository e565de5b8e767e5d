"""The one extractor: everything between pictures and rows that all networks share."""

import os
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, gen_batches
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sklearn_memorability._torch import resolve_device
from sklearn_memorability.features._backbones import Backbone, Preprocess, get_backbone
from sklearn_memorability.images import as_image_list, read_image


class ImageExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the transformers from pictures to features.

    A subclass says which network and which layer, in ``_select``; batches, device,
    order, progress and pickling are settled here. It has the parameters ``weights``,
    ``batch_size``, ``device`` and ``verbose``.
    """

    batch_size: int
    device: str | torch.device | None
    verbose: int
    weights: str | os.PathLike[str] | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weights": [str, os.PathLike, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device, None],
        "verbose": ["verbose"],
    }

    def _select(self) -> tuple[Backbone, str]:
        """Return the network's row in the registry and the layer's name."""
        raise NotImplementedError  # pragma: no cover

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the network; the pictures are counted, not read.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            Paths, PIL images or arrays; see :func:`~sklearn_memorability.images.read_image`.
        y : None
            Ignored; there for scikit-learn's pipelines.

        Returns
        -------
        self

        Raises
        ------
        WeightsUnavailableError
            If the weights must be downloaded and can't be; says which file is wanted.
        ImportError
            If the network needs an extra that is not installed; names it.
        ValueError
            If a parameter is out of range, ``X`` holds no image, or the file of
            weights is damaged or fits another network.
        """
        self._validate_params()
        as_image_list(X)
        backbone, layer = self._select()
        self.device_ = resolve_device(self.device)
        # What is fitted stays as it is when parameters change afterwards.
        self._fitted = (backbone.name, layer, self.weights)
        self._network, self._preprocess = self._load(backbone, layer, self.weights)
        self._n_features_out = backbone.layers[layer]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Compute the features of each picture.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            Paths, PIL images or arrays; see :func:`~sklearn_memorability.images.read_image`.

        Returns
        -------
        numpy.ndarray of shape (n_images, n_features), float32
            One row an image, in the order given. With ``set_output``, a data frame.

        Raises
        ------
        ImageReadError
            At the first image that can't be read; names its row and its file.
        """
        check_is_fitted(self)
        images = as_image_list(X)
        network, preprocess = self._loaded()
        features = np.empty((len(images), self._n_features_out), dtype=np.float32)
        progress = tqdm(
            total=len(images), desc=type(self).__name__, unit="image", disable=not self.verbose
        )
        with progress, torch.inference_mode():
            for rows in gen_batches(len(images), self.batch_size):
                pictures = (read_image(images[i], row=i) for i in range(len(images))[rows])
                batch = torch.stack([preprocess(picture) for picture in pictures])
                batch = batch.to(self.device_, memory_format=torch.channels_last)
                features[rows] = network(batch).cpu().numpy()
                progress.update(len(batch))
        return features

    def _load(
        self, backbone: Backbone, layer: str, weights: str | os.PathLike[str] | None
    ) -> tuple[torch.nn.Module, Preprocess]:
        # The channels-last layout is the faster one for convolutions on every device.
        network = backbone.load(layer, weights).to(memory_format=torch.channels_last)
        return network.to(self.device_), backbone.preprocess

    def _loaded(self) -> tuple[torch.nn.Module, Preprocess]:
        # After unpickling, here or on another machine, the network comes back from
        # its file at first use.
        if not hasattr(self, "_network"):
            name, layer, weights = self._fitted
            self.device_ = resolve_device(self.device)
            self._network, self._preprocess = self._load(get_backbone(name), layer, weights)
        return self._network, self._preprocess

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        for name in ("_network", "_preprocess"):
            state.pop(name, None)
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_n_features_out")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags
