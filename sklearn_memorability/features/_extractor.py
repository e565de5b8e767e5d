"""The one extractor: everything between images and rows that all networks share.

An image's way, from top to bottom: ``transform`` gives all images to ``_extract``, or chunks
of them to joblib's workers, which do the same; ``_extract`` gives batches to threads;
``_extract_batch`` reads each image of a batch, looks its row up in the cache or takes its view,
lets all views through the network at once, and keeps the rows.
"""

import copy
import dataclasses
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn
from tqdm.auto import tqdm

from sklearn_memorability._torch import (
    resolve_device,
    resolve_precision,
    share_threads,
    use_threads,
)
from sklearn_memorability.features._cache import CachedRows, FeatureCache
from sklearn_memorability.features._families import get_backbone
from sklearn_memorability.features._networks import Network, Recipe
from sklearn_memorability.features._preprocessing import view_of
from sklearn_memorability.images import ImageReadError
from sklearn_memorability.images._collect import as_image_list
from sklearn_memorability.images._read import ImageContent

_LISTED = 20  # errors in the text of a warning

# What fits a CPU's caches, and what keeps a GPU busy.
_BATCH_ON_CPU, _BATCH_ELSEWHERE = 2, 64

# Each worker gets about this many chunks, so that the last one is not waited for long.
_CHUNKS_A_WORKER = 16
_LARGEST_CHUNK = 512


@dataclass
class Extraction:
    """Features, NaN where an image could not be read, and the errors, in their order."""

    rows: np.ndarray
    errors: list[ImageReadError]
    # Of images that were read, but may show less than they should.
    remarks: list[ImageReadError]


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
        return _listed("image(s) could not be read; their rows are NaN", self.errors)


@contextmanager
def unreadable_images() -> Iterator[dict[int, ImageReadError]]:
    """Yield what will hold the error of each row that a transformer leaves NaN."""
    errors: dict[int, ImageReadError] = {}
    with warnings.catch_warnings():
        show = warnings.showwarning

        def collect(message: Warning | str, *place: Any, **more: Any) -> None:
            if isinstance(message, UnreadableImagesWarning):
                errors.update({error.row or 0: error for error in message.errors})
            else:
                show(message, *place, **more)

        warnings.simplefilter("always", UnreadableImagesWarning)
        warnings.showwarning = collect
        yield errors


class ImageExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the transformers from images to features.

    A subclass says which network and which layer, in ``_select``, and may make more of
    the rows, in ``_finish``. It has the parameters named in ``_parameter_constraints``.
    """

    weights: str | os.PathLike[str] | None
    preprocessing: str | Callable[..., Any] | None
    batch_size: int | str
    device: str | torch.device | None
    precision: str
    cache: str | os.PathLike[str] | FeatureCache | None
    on_error: str
    n_jobs: int | None
    verbose: int

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weights": [str, os.PathLike, None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "device": [str, torch.device, None],
        "precision": [StrOptions({"float32", "bfloat16", "auto"})],
        "cache": [str, os.PathLike, FeatureCache, None],
        "on_error": [StrOptions({"raise", "nan"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def _select(self) -> tuple[str | nn.Module, str | Sequence[str] | None]:
        """Return the network, as the registry takes it, and the layer."""
        raise NotImplementedError  # pragma: no cover

    def _finish(self, rows: np.ndarray) -> np.ndarray:
        """Return what is made of the network's features, which the cache keeps."""
        return rows

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the network; the images are counted, not read.

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
        self, backbone: str | nn.Module, layer: str | Sequence[str] | None, preprocessing: Any
    ) -> tuple[Recipe, Network]:
        """Load the network; the transformer stays as it is."""
        device = resolve_device(self.device)
        own = not isinstance(backbone, str) or callable(preprocessing)
        recipe = Recipe(
            # A network of the user's own may be trained on after this fit.
            backbone=backbone if isinstance(backbone, str) else copy.deepcopy(backbone),
            layer=get_backbone(backbone).layer(layer),
            weights=None if self.weights is None else os.fspath(self.weights),
            preprocessing=preprocessing,
            precision=resolve_precision(self.precision, device),
            device=str(device),
            token=uuid.uuid4().hex if own else "",
        )
        cache = self._cache()
        if cache is not None:
            cache.check()
        return recipe, recipe.load()

    def _keep(self, recipe: Recipe, network: Network) -> None:
        # What is fitted stays as it is when parameters change afterwards.
        self._recipe = recipe
        self._width = self._n_features_out = network.width
        self.precision_ = recipe.precision

    def transform(self, X: Any) -> np.ndarray:
        """Compute the features of each image, or look them up in the cache.

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
        progress = tqdm(
            total=len(images), desc=type(self).__name__, unit="image", disable=not self.verbose
        )
        with progress:
            if effective_n_jobs(self.n_jobs) == 1:
                done = self._extract(images, 0, progress.update)
            else:
                done = self._extract_in_parallel(images, progress.update)
        if done.errors:
            if self.on_error == "raise":
                raise done.errors[0]
            warnings.warn(UnreadableImagesWarning(done.errors), stacklevel=4)
        if done.remarks:
            text = _listed("image(s) may not show what they should", done.remarks)
            warnings.warn(text, UserWarning, stacklevel=4)
        return done.rows

    def _extract_in_parallel(
        self, images: list[Any], advance: Callable[[int], object]
    ) -> Extraction:
        """Share the images among joblib's workers, whichever backend is active."""
        n_chunks = effective_n_jobs(self.n_jobs) * _CHUNKS_A_WORKER
        batch_size = self._batch_size()
        # Whole batches, so that none but the last is small.
        size = -(-len(images) // n_chunks // batch_size) * batch_size
        chunks = list(gen_batches(len(images), min(size, max(batch_size, _LARGEST_CHUNK))))
        backend, _ = get_active_backend()
        parallel = Parallel(
            n_jobs=self.n_jobs,
            batch_size=1,
            return_as="generator" if backend.supports_return_generator else "list",
        )
        rows = np.full((len(images), self._width), np.nan, dtype=np.float32)
        errors: list[ImageReadError] = []
        remarks: list[ImageReadError] = []
        # What a worker needs and no more: not the megabytes of a joint space with each chunk.
        # In another process it asks for the best device there.
        worker = ImageExtractor()
        for name in ("_recipe", "batch_size", "device", "cache", "on_error"):
            setattr(worker, name, getattr(self, name))
        calls = (delayed(worker._extract)(images[chunk], chunk.start) for chunk in chunks)
        with _without_warnings_of_joblib(), _closing(parallel(calls)) as finished:
            for chunk, done in zip(chunks, finished, strict=True):
                rows[chunk] = done.rows
                errors += done.errors
                remarks += done.remarks
                if errors and self.on_error == "raise":
                    break
                advance(len(done.rows))
        return Extraction(rows, errors, remarks)

    def _extract(
        self, images: list[Any], first_row: int, advance: Callable[[int], object] | None = None
    ) -> Extraction:
        """Compute, or look up, the features of images in this process."""
        # `first_row` is the place of the first one among all, for errors.
        network = self._network
        rows = np.full((len(images), network.width), np.nan, dtype=np.float32)
        errors: list[ImageReadError] = []
        remarks: list[ImageReadError] = []
        cache = self._cache()
        cached = None if cache is None else CachedRows(cache, network.identity, network.width)
        # Threads with a batch and a share of the cores each are nearly as fast as one batch on
        # all cores of an idle machine, and many times as fast on a busy one.
        n_threads, n_cores_each = share_threads(network.device)
        pool = ThreadPoolExecutor(
            n_threads, "images", initializer=use_threads, initargs=(n_cores_each,)
        )
        batches = list(gen_batches(len(images), self._batch_size()))
        extract = partial(_extract_batch, network, images, first_row, cached, rows)
        try:
            for batch, found in zip(batches, pool.map(extract, batches), strict=True):
                errors += found[0]
                remarks += found[1]
                if errors and self.on_error == "raise":
                    break
                if advance is not None:
                    advance(batch.stop - batch.start)
        finally:
            # Also when something stops it early: what is not begun is not begun.
            pool.shutdown(wait=True, cancel_futures=True)
            if cached is not None:
                cached.close()
        return Extraction(rows, errors, remarks)

    def _batch_size(self) -> int:
        if isinstance(self.batch_size, str):
            return _BATCH_ON_CPU if self.device_.type == "cpu" else _BATCH_ELSEWHERE
        return int(self.batch_size)

    def _cache(self) -> FeatureCache | None:
        if self.cache is None or isinstance(self.cache, FeatureCache):
            return self.cache
        return FeatureCache(self.cache)

    @property
    def device_(self) -> torch.device:
        """Where the network is; chosen anew by ``device`` after unpickling."""
        check_is_fitted(self)
        if not self._recipe.device:
            device = str(resolve_device(self.device))
            self._recipe = dataclasses.replace(self._recipe, device=device)
        return torch.device(self._recipe.device)

    @property
    def _network(self) -> Network:
        """The network, loaded again where this process does not keep it ready."""
        return dataclasses.replace(self._recipe, device=str(self.device_)).load()

    def __getstate__(self) -> dict[str, Any]:
        """Return settings and plain values; the network is loaded again at first use."""
        state = {name: _plain(value) for name, value in super().__getstate__().items()}
        if "_recipe" in state:
            state["_recipe"] = {**vars(self._recipe), "device": ""}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_recipe" in state:
            state = {**state, "_recipe": Recipe(**state["_recipe"])}
        super().__setstate__(state)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_recipe")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _extract_batch(
    network: Network,
    images: list[Any],
    first_row: int,
    cached: CachedRows | None,
    rows: np.ndarray,
    batch: slice,
) -> tuple[list[ImageReadError], list[ImageReadError]]:
    """Fill the rows of one batch; return the errors of images that can't be read, and remarks."""
    errors, remarks = [], []
    views: dict[int, torch.Tensor] = {}
    digests: list[bytes] = []
    for i in range(batch.start, batch.stop):
        try:
            content = ImageContent(images[i], row=first_row + i)
            if cached is not None:
                digest = content.digest()
                row = cached.get(digest)
                if row is not None:
                    rows[i] = row
                    continue
            views[i] = view_of(network.preprocess, content)
            remarks += content.remarks
            if cached is not None:
                digests.append(digest)
        except ImageReadError as error:
            errors.append(error)
    if views:
        found = network.features(_stacked(list(views.values()))).numpy()
        rows[list(views)] = found
        if cached is not None:
            cached.put(digests, found)
    return errors, remarks


def _listed(head: str, errors: list[ImageReadError]) -> str:
    lines = [f"{len(errors)} {head}:", *map(str, errors[:_LISTED])]
    if len(errors) > _LISTED:
        lines.append(f"and {len(errors) - _LISTED} more.")
    return "\n  ".join(lines)


def _stacked(views: list[torch.Tensor]) -> torch.Tensor:
    shapes = {tuple(view.shape) for view in views}
    if len(shapes) > 1:
        raise ValueError(
            f"preprocessing gives tensors of different shapes, {sorted(shapes)}; a network takes "
            "images of one size: resize and crop them."
        )
    # Unlike stack, cat keeps the layout of the views: channels last, as the network wants them.
    return torch.cat([view[None] for view in views])


def _plain(value: Any) -> Any:
    """Return a parameter's value as text where it has an equal one."""
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, FeatureCache):
        return str(value.path)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


@contextmanager
def _without_warnings_of_joblib() -> Iterator[None]:
    with warnings.catch_warnings():
        # Loading torch looks like a leak to loky, which then renews the worker.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        # Chunks are cancelled on purpose at the first image that can't be read.
        warnings.filterwarnings("ignore", module="joblib", category=UserWarning)
        yield


def _closing(results: Any) -> Any:
    return closing(results) if hasattr(results, "close") else nullcontext(results)
