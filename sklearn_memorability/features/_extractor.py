"""The one extractor: everything between pictures and rows that all networks share."""

import copy
import dataclasses
import os
import warnings
from collections.abc import Callable
from contextlib import closing
from numbers import Integral
from typing import Any, ClassVar, Self
from uuid import uuid4

import numpy as np
import torch
from joblib import effective_n_jobs
from PIL import Image
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, gen_batches
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn
from tqdm.auto import tqdm

from sklearn_memorability._torch import resolve_device, resolve_precision
from sklearn_memorability.features._cache import FeatureCache
from sklearn_memorability.features._extract import Extraction, extract
from sklearn_memorability.features._families import get_backbone, get_preprocess
from sklearn_memorability.features._networks import Network, Recipe
from sklearn_memorability.features._parallel import (
    Work,
    share_out,
    size_of_tasks,
    suitable_batch_size,
)
from sklearn_memorability.features._preprocessing import CROPS
from sklearn_memorability.images import ImageReadError, as_image_list

_LISTED = 20


class UnreadableImagesWarning(UserWarning):
    """Images could not be read; their rows are NaN.

    Parameters
    ----------
    errors : list of ImageReadError
        One for each such image, in their order.

    Attributes
    ----------
    errors : list of ImageReadError
        As given; each has the attributes ``row``, ``path`` and ``reason``.
    """

    def __init__(self, errors: list[ImageReadError]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        listed = [str(error) for error in self.errors[:_LISTED]]
        if len(self.errors) > _LISTED:
            listed.append(f"and {len(self.errors) - _LISTED} more.")
        head = f"{len(self.errors)} image(s) could not be read; their rows are NaN:"
        return "\n  ".join([head, *listed])


class ImageExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the transformers from pictures to features.

    A subclass says which network and which layer, in ``_select``, and may make more of
    the rows, in ``_finish``; batches, device, precision, order, cache, parallel work, bad
    images, progress and pickling are settled here. It has the parameters named in
    ``_parameter_constraints``.
    """

    weights: str | os.PathLike[str] | None
    preprocessing: str | Callable[..., Any] | None
    crops: int
    batch_size: int | str
    device: str | torch.device | None
    precision: str
    channels_last: bool
    cache: str | os.PathLike[str] | FeatureCache | None
    on_error: str
    n_jobs: int | None
    verbose: int

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weights": [str, os.PathLike, None],
        "preprocessing": [StrOptions({"caffe"}), callable, None],
        "crops": [Options(Integral, set(CROPS))],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "device": [str, torch.device, None],
        "precision": [StrOptions({"float32", "bfloat16", "auto"})],
        "channels_last": ["boolean"],
        "cache": [str, os.PathLike, FeatureCache, None],
        "on_error": [StrOptions({"raise", "nan"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def _select(self) -> tuple[str | nn.Module, str | None]:
        """Return the network, as the registry takes it, and the layer."""
        raise NotImplementedError  # pragma: no cover

    def _finish(self, rows: np.ndarray) -> np.ndarray:
        """Return what is made of the network's features, which the cache keeps."""
        return rows

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the network; the pictures are counted, not read.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            Paths, bytes, open files, PIL images, arrays or tensors; see
            :func:`~sklearn_memorability.images.read_image`.
        y : None
            Ignored; there for scikit-learn's pipelines.

        Returns
        -------
        estimator
            Itself, fitted.

        Raises
        ------
        WeightsUnavailableError
            If the weights must be downloaded and can't be; says which file is wanted.
        ImportError
            If the network needs an extra that is not installed; names it.
        ValueError
            If a parameter is out of range, ``X`` holds no image, the file of weights is
            damaged or fits another network, or ``cache`` is a file of something else.
        """
        self._validate_params()
        as_image_list(X)
        backbone, layer = self._select()
        self._keep(*self._prepare(backbone, layer, self.preprocessing))
        return self

    def _prepare(
        self, backbone: str | nn.Module, layer: str | None, preprocessing: Any
    ) -> tuple[Recipe, Network]:
        """Check the parameters and load the network; the transformer stays as it is."""
        row = get_backbone(backbone)
        device = resolve_device(self.device)
        recipe = Recipe(
            # A network of the user's own may be trained on after this fit.
            backbone=backbone if isinstance(backbone, str) else copy.deepcopy(backbone),
            layer=row.layer(layer),
            weights=None if self.weights is None else os.fspath(self.weights),
            preprocessing=preprocessing,
            crops=int(self.crops),
            precision=resolve_precision(self.precision, device),
            channels_last=bool(self.channels_last),
            device=str(device),
            token="" if isinstance(backbone, str) and not callable(preprocessing) else uuid4().hex,
        )
        if self.crops > 1:
            # Whether the crops can be made shows on any picture.
            get_preprocess(preprocessing, row).views(Image.new("RGB", (256, 256)), self.crops)
        cache = self._cache()
        if cache is not None:
            cache.check()
        return recipe, recipe.load()

    def _keep(self, recipe: Recipe, network: Network) -> None:
        # What is fitted stays as it is when parameters change afterwards.
        self._recipe = recipe
        self._network = None if recipe.is_kept else network
        self._width = self._n_features_out = network.width
        self.device_ = network.device
        self.precision_ = recipe.precision

    def transform(self, X: Any) -> np.ndarray:
        """Compute the features of each picture, or look them up in the cache.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            Paths, bytes, open files, PIL images, arrays or tensors; see
            :func:`~sklearn_memorability.images.read_image`.

        Returns
        -------
        numpy.ndarray of shape (n_images, n_features), float32
            One row an image, in the order given. With ``set_output``, a data frame.

        Raises
        ------
        ImageReadError
            With ``on_error="raise"``, at the first image that can't be read; names its
            row and its file.
        """
        return self._finish(self._rows(X))

    def _rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        self._validate_params()
        images = as_image_list(X)
        n_workers = effective_n_jobs(self.n_jobs)
        progress = tqdm(
            total=len(images), desc=type(self).__name__, unit="image", disable=not self.verbose
        )
        with progress:
            if n_workers == 1:
                done = self._extract(images, 0, progress.update)
            else:
                done = self._extract_in_parallel(images, n_workers, progress.update)
        if done.errors:
            if self.on_error == "raise":
                raise done.errors[0]
            warnings.warn(UnreadableImagesWarning(done.errors), stacklevel=4)
        return done.rows

    def _extract(
        self, images: list[Any], first_row: int, advance: Callable[[int], object] | None
    ) -> Extraction:
        recipe = self._available_recipe()
        if self._network is None and not recipe.is_kept:
            self._network = recipe.load()
        return extract(
            self._network or recipe.load(),
            images,
            first_row,
            self._batch_size(),
            self._cache(),
            self.on_error,
            advance,
        )

    def _extract_in_parallel(
        self, images: list[Any], n_workers: int, advance: Callable[[int], object]
    ) -> Extraction:
        for row, image in enumerate(images):
            if hasattr(image, "read"):
                raise ValueError(
                    f"Image in row {row} is an open file, which can't be sent to another process: "
                    "use n_jobs=1, or give its path or its content as bytes."
                )
        work = Work(
            recipe=self._available_recipe(),
            any_device=self.device is None,
            batch_size=self.batch_size,
            cache=self._cache(),
            on_error=self.on_error,
        )
        parts = list(
            gen_batches(len(images), size_of_tasks(len(images), n_workers, self._batch_size()))
        )
        rows = np.full((len(images), self._width), np.nan, dtype=np.float32)
        errors: dict[int, list[ImageReadError]] = {}
        left = set(range(len(parts)))
        with closing(share_out(work, images, parts, self.n_jobs, n_workers)) as finished:
            for i, done in finished:
                rows[parts[i]] = done.rows
                left.remove(i)
                if done.errors:
                    errors[i] = done.errors
                # The first of the bad images is the one to name, whichever was met first.
                if errors and self.on_error == "raise":
                    if min(left, default=len(parts)) > min(errors):
                        break
                    continue
                advance(len(done.rows))
        return Extraction(rows, [error for i in sorted(errors) for error in errors[i]])

    def _batch_size(self) -> int:
        return suitable_batch_size(self.batch_size, self.device_)

    def _cache(self) -> FeatureCache | None:
        if self.cache is None or isinstance(self.cache, FeatureCache):
            return self.cache
        return FeatureCache(self.cache)

    def _available_recipe(self) -> Recipe:
        # After unpickling on another machine, the device may not be there.
        try:
            resolve_device(self._recipe.device)
        except ValueError:
            self.device_ = resolve_device(self.device)
            self._recipe = dataclasses.replace(self._recipe, device=str(self.device_))
            self._network = None
        return self._recipe

    def __getstate__(self) -> dict[str, Any]:
        # The network comes back from its file, or from the recipe, at first use.
        state = super().__getstate__().copy()
        if "_network" in state:
            state["_network"] = None
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_recipe")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags
