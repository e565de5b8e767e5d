"""Images in, scores out: a pretrained network and its class head trained together."""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import (
    Tags,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from sklearn_memorability._torch import draw_seeds, resolve_device, resolve_precision
from sklearn_memorability._training import hold_out, optimizer_settings, silence, stop_early, train
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._families import get_backbone, get_preprocess
from sklearn_memorability.features._preprocessing import Preprocess
from sklearn_memorability.finetuning._crops import Crops, keep_small
from sklearn_memorability.finetuning._network import (
    Averaging,
    Normalized,
    TunedNetwork,
    compact,
    expanded,
    freeze_first,
    one_cycle,
)
from sklearn_memorability.images._collect import as_image_list
from sklearn_memorability.metrics._rank import rank_correlation
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._network import DistributionLoss
from sklearn_memorability.regression._score_classes import ScoreClasses, resolve_score_range

_PATIENCE = 3


_GREY = Image.new("RGB", (256, 256), "grey")
# What is known of the scores: attributes of the head, and of this estimator.
_OF_THE_HEAD = frozenset(
    {"thresholds_", "class_values_", "class_counts_", "n_classes_", "score_range_"}
    | {"history_", "device_"}
)


class FineTunedRegressor(RegressorMixin, BaseEstimator):
    """A pretrained network and a class head, trained together from images to scores."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "backbone": [str, nn.Module],
        "layer": [str, None],
        "weights": [str, os.PathLike, None],
        "preprocessing": [StrOptions({"caffe"}), callable, None],
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "score_range": [StrOptions({"auto"}), tuple, list],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "backbone_lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "frozen": [Interval(Real, 0, 1, closed="both")],
        "crop": [Interval(Real, 0, 1, closed="right")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean", Interval(Real, 0, 1, closed="neither")],
        "net_callbacks": [list, tuple, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
        "precision": [StrOptions({"float32", "bfloat16", "auto"})],
        "verbose": ["verbose"],
    }
    features_: ImageFeatures
    head_: BalancedQuantileClassifierRegressor
    net_: NeuralNet

    def __init__(
        self,
        backbone: str | nn.Module = "efficientnet_lite0",
        *,
        layer: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        preprocessing: str | Callable[..., Any] | None = None,
        n_classes: int = 16,
        score_range: str | tuple[float, float] = "auto",
        dropout: float = 0.3,
        lr: float = 3e-3,
        backbone_lr: float = 3e-4,
        weight_decay: float = 0.01,
        max_epochs: int = 4,
        batch_size: int = 32,
        frozen: float = 0.0,
        crop: float = 0.7,
        averaging: float = 0.0,
        early_stopping: bool | float = False,
        net_callbacks: Sequence[Any] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device | None = None,
        precision: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.weights = weights
        self.preprocessing = preprocessing
        self.n_classes = n_classes
        self.score_range = score_range
        self.dropout = dropout
        self.lr = lr
        self.backbone_lr = backbone_lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.frozen = frozen
        self.crop = crop
        self.averaging = averaging
        self.early_stopping = early_stopping
        self.net_callbacks = net_callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train."""
        goes_on = self.warm_start and hasattr(self, "net_")
        images, rows, y, sample_weight, groups = _validated(X, y, sample_weight, groups)
        known = self.head_.score_range_ if goes_on else self.score_range
        score_range = resolve_score_range(y, known)
        source = self._choose_source(goes_on)
        device = resolve_device(self.device)
        seeds = draw_seeds(check_random_state(self.random_state), 3)
        callbacks = list(copy.deepcopy(self.net_callbacks or []))
        backbone = get_backbone(self.backbone)
        preprocess = get_preprocess(self.preprocessing, backbone)
        if goes_on:
            network = self.net_.module_.backbone
        else:
            network = backbone.load(source["layer"], self.weights)
        size = min(preprocess.view(_GREY).shape[-2:])
        small = keep_small(images, rows, size, self.verbose)
        held_out = None
        if self.early_stopping:
            by_default = isinstance(self.early_stopping, bool | np.bool_)
            share = 0.1 if by_default else float(self.early_stopping)
            kept, held = hold_out(len(y), groups, share, seeds[0])
            held_out = small[held], y[held]
            small, y, sample_weight = small[kept], y[kept], sample_weight[kept]

        head = copy.deepcopy(self.head_) if goes_on else BalancedQuantileClassifierRegressor()
        # Until the new network is trained there is none: whoever interrupts a refit finds
        # an unfitted estimator.
        for name in ("net_", "features_", "head_"):
            self.__dict__.pop(name, None)
        head.set_params(
            n_classes=self.n_classes,
            aggregation="mean",
            score_range=score_range,
            target="soft",
            branch_sizes=(),
            hidden_layer_sizes=(),
            input_dropout=self.dropout,
            batch_size=self.batch_size,
            warm_start=goes_on,
            random_state=seeds[1],
            device=device,
        )
        features = self._features(preprocess, network, device)
        head.fit(features.transform(list(small)), y, sample_weight)
        classes = ScoreClasses.within(head.thresholds_, y)
        cycle = partial(one_cycle, n_steps=self.max_epochs * -(-len(y) // self.batch_size))
        added: list[Any] = [
            ("schedule", LRScheduler(LambdaLR, step_every="batch", lr_lambda=cycle))
        ]
        if self.averaging:
            added.append(("averaging", Averaging(self.averaging)))
        if held_out is not None:
            added += _stop_at_best(*held_out, head.class_values_)
        freeze_first(network, self.frozen)
        net = self._new_net(
            preprocess,
            network,
            head,
            iterator_train__seed=seeds[2],
            callbacks=[*added, *callbacks],
            verbose=self.verbose,
            **silence(self.verbose),
        )
        train(net, small, classes.targets(y, sample_weight, soft=True))
        head.net_.history_ = head.history_ = net.history
        self._source, self.head_, self.net_ = source, head, net
        self.features_ = self._features(preprocess, network, device)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the score of each image: the sum over classes of p(k) s(k).

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            As for ``fit``.

        Returns
        -------
        numpy.ndarray of shape (n_images,)
            The scores.
        """
        return self.head_.predict(self.transform(X))

    def transform(self, X: Any) -> np.ndarray:
        """Compute the tuned network's features, for example for another head.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            As for ``fit``.

        Returns
        -------
        numpy.ndarray of shape (n_images, n_features), float32
            One row an image.
        """
        check_is_fitted(self)
        return self.features_.transform(X)

    def predict_class_proba(self, X: Any) -> np.ndarray:
        """Predict the probability p(k) of each class."""
        features = self.transform(X)
        return self.head_.predict_class_proba(features)

    def predict_quantiles(
        self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)
    ) -> np.ndarray:
        """Predict quantiles of each image's score."""
        features = self.transform(X)
        return self.head_.predict_quantiles(features, quantiles)

    def recalibrate(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the level and the spread of the predictions to other scores."""
        self.head_.recalibrate(self.transform(X), y, sample_weight)
        return self

    def _choose_source(self, goes_on: bool) -> dict[str, Any]:
        """Return what the network is built from; a warm start can't change it."""
        source = {
            "backbone": self.backbone,
            "layer": get_backbone(self.backbone).layer(self.layer),
            "preprocessing": self.preprocessing,
        }
        if goes_on and source != self._source:
            raise ValueError(
                f"warm_start=True goes on with the fitted network, of {self._source}; now it is "
                f"{source}. Set it back, or set warm_start=False to begin anew."
            )
        return source

    def _features(
        self, preprocess: Preprocess, network: nn.Module, device: torch.device
    ) -> ImageFeatures:
        """Return a network's features as a fitted transformer."""
        features = ImageFeatures(
            Normalized(preprocess, network),
            preprocessing=preprocess.view,
            device=device,
            precision=self.precision,
            verbose=self.verbose,
        )
        return features.fit([_GREY])

    def _new_net(
        self,
        preprocess: Preprocess,
        network: nn.Module,
        head: BalancedQuantileClassifierRegressor,
        **settings: Any,
    ) -> NeuralNet:
        """Return the skorch net, not initialised, of a network and its head."""
        device = head.device_
        precision = resolve_precision(self.precision, device)
        module = TunedNetwork(network, head.net_.module_, preprocess, precision)
        return NeuralNet(
            module.to(memory_format=torch.channels_last),
            criterion=DistributionLoss,
            lr=self.lr,
            **optimizer_settings("adamw", device),
            optimizer__weight_decay=self.weight_decay,
            optimizer__param_groups=[("backbone.*", {"lr": self.backbone_lr})],
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train=Crops,
            iterator_train__size=module.size,
            iterator_train__crop=self.crop,
            iterator_valid=Crops,
            iterator_train__preprocess=preprocess,
            iterator_valid__preprocess=preprocess,
            train_split=None,
            device=str(device),
            **settings,
        )

    def __getattr__(self, name: str) -> Any:
        # What the head knows of the scores: thresholds_, class_values_, history_ and so on.
        if name in _OF_THE_HEAD and "head_" in self.__dict__:
            return getattr(self.head_, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        # Settings and arrays alone. The tuned weights are in it, so the pretrained ones
        # are not needed when it is loaded.
        state = dict(super().__getstate__())
        if isinstance(self.device, torch.device):
            state["device"] = str(self.device)
        if "net_" in state:
            tensors = state.pop("net_").module_.backbone.state_dict()
            state["_weights"] = {name: compact(tensor) for name, tensor in tensors.items()}
            state.pop("features_", None)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is None:
            return
        source, head = self._source, self.head_
        backbone = get_backbone(source["backbone"])
        network = backbone.load(source["layer"], {k: expanded(v) for k, v in weights.items()})
        preprocess = get_preprocess(source["preprocessing"], backbone)
        self.features_ = self._features(preprocess, network, head.device_)
        self.net_ = self._new_net(preprocess, network, head, callbacks__print_log=None, verbose=0)
        self.net_.initialize()
        self.net_.history_ = head.history_

    def __sklearn_is_fitted__(self) -> bool:
        return "net_" in self.__dict__

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def _validated(
    X: Any, y: Any, sample_weight: Any, groups: Any
) -> tuple[list[Any], np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Check the data; return the images, and of those whose weight is not zero the rest."""
    images = as_image_list(X)
    if y is None:
        raise ValueError("FineTunedRegressor requires y to be passed, but the target y is None.")
    y = column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"))
    weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
    groups = None if groups is None else np.asarray(groups)
    check_consistent_length(images, y, groups)
    rows = np.flatnonzero(weight)
    if not len(rows):
        raise ValueError("All of sample_weight is zero; no row is left to learn from.")
    return images, rows, y[rows], weight[rows], None if groups is None else groups[rows]


def _stop_at_best(images: np.ndarray, y: np.ndarray, class_values: np.ndarray) -> list[Any]:
    """Return skorch callbacks that stop by, and restore, the best epoch on held-out images."""

    def valid_spearman(net: NeuralNet) -> float:
        # Nothing to order on the held-out rows is no reason to stop or go on.
        return float(np.nan_to_num(rank_correlation(y, net.predict_proba(images) @ class_values)))

    return stop_early("valid_spearman", valid_spearman, _PATIENCE)
