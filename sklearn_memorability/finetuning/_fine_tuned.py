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
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from sklearn_memorability._torch import draw_seeds, resolve_device, resolve_precision
from sklearn_memorability._training import hold_out, optimizer_settings, silence, train
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._families import get_backbone, get_preprocess
from sklearn_memorability.features._preprocessing import Preprocess
from sklearn_memorability.finetuning._crops import Crops, Seen, keep_small
from sklearn_memorability.finetuning._network import (
    Colours,
    Normalized,
    TunedNetwork,
    compact,
    expanded,
    freeze_first,
    one_cycle,
)
from sklearn_memorability.images._collect import as_image_list
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._balanced_quantile import stop_at_best
from sklearn_memorability.regression._network import DistributionLoss
from sklearn_memorability.regression._score_classes import ScoreClasses, resolve_score_range

_GREY = Image.new("RGB", (256, 256), "grey")
# What is known of the scores: attributes of the head, and of this estimator.
_OF_THE_HEAD = frozenset(
    {"thresholds_", "class_values_", "class_counts_", "n_classes_", "score_range_"}
    | {"history_", "device_"}
)


def _constraints(estimator: Any, names: str) -> dict[str, list[Any]]:
    """Return what the parameters of another estimator may be."""
    return {name: estimator._parameter_constraints[name] for name in names.split()}


class FineTunedRegressor(RegressorMixin, BaseEstimator):
    """A pretrained network and its class head, trained together from images to scores.

    The head is that of
    :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`: the
    scores are cut into balanced classes, one linear layer and a softmax behind the
    network's features tell the probability p(k) of each, and the predicted score is the
    sum over classes of p(k) times the class's mean score. The head first learns on the
    features as they are, then network and head learn together [1]_: random square crops
    and mirror images, AdamW with a small learning rate for the network, both rates rising
    in the first fifth of the steps and falling to zero along a cosine.

    It takes what no regressor on frozen features takes: a GPU, or a night. With few
    images, a regressor on :class:`~sklearn_memorability.features.ImageFeatures` is the
    better start, or this one from a fitted model by ``warm_start``.

    Parameters
    ----------
    backbone : str or torch.nn.Module, default="efficientnet_lite0"
        The network, as in :class:`~sklearn_memorability.features.ImageFeatures`; one of
        your own is copied in ``fit``, and must be differentiable.
    layer : str, optional
        The layer that the head reads, as in ImageFeatures; what lies behind it is left out.
    weights : str or path-like, optional
        A file of the weights to begin with. None takes the pretrained ones.
    preprocessing : "caffe" or callable, optional
        As in ImageFeatures; a network of your own needs it. It must scale and shift
        colours and do no more to them.
    n_classes : int, default=16
        Number of classes. The network learns soft targets, which tell it which classes
        are near each other, so many do no harm.
    score_range : "auto" or tuple of two floats, default="auto"
        The least and the largest score there can be. ``"auto"`` is (0, 1) where the
        training scores lie in it, else their own range, with a ``UserWarning``.
    dropout : float in [0, 1), default=0.3
        Share of the features left out in training in front of the head.
    lr : float, default=3e-3
        Highest learning rate of the head.
    backbone_lr : float, default=3e-4
        Highest learning rate of the network.
    weight_decay : float, default=0.01
        Weight decay of both.
    max_epochs : int, default=4
        Passes over the training images.
    batch_size : int, default=32
        Images a step.
    frozen : float in [0, 1], default=0.0
        Share of the network's layers to be kept as they are: of those that hold weights,
        the first, in their order in the network. They cost no backward pass. With 1 the
        head alone is trained, on crops.
    crop : float in (0, 1], default=0.7
        Side of the smallest random crop, in shorter sides of the image.
    early_stopping : bool or float in (0, 1), default=False
        Share of the images (of the groups, if ``fit`` is given ``groups``) to hold out, at
        least two; True holds out a tenth. Training stops when the Spearman correlation
        on them has not risen for five epochs, and the weights of the best epoch are
        restored. Classes are made from the other images.
    net_callbacks : list of skorch callbacks, optional
        Passed to the net; they are copied first.
    warm_start : bool, default=False
        Whether ``fit`` on a fitted estimator goes on from it, for example from a loaded
        model to some hundred images of one's own. Kept are the classes and
        ``score_range_``; training starts from the present weights. Scores that were
        measured in another way need ``recalibrate`` first. The network, ``layer``,
        ``preprocessing`` and ``n_classes`` must not change.
    random_state : int, RandomState instance or None, default=None
        Seeds the head's first weights, crops, shuffling, dropout and what is held out.
    device : str, torch.device or None, default=None
        Where to train and predict. None takes the best there is: CUDA, MPS, then CPU.
    precision : {"float32", "bfloat16", "auto"}, default="auto"
        What the network computes in, in training and in prediction. ``"auto"`` takes
        bfloat16 where the hardware is made for it (recent GPUs, CPUs with AMX), which
        changes predictions in the third digit. Weights are float32 always.
    verbose : int, default=0
        Above 0, progress bars, and skorch prints the loss after each epoch.

    Attributes
    ----------
    features_ : ImageFeatures
        The tuned network's features.
    head_ : BalancedQuantileClassifierRegressor
        The head, from these features to scores.
    net_ : skorch.NeuralNet
        Network and head as they were trained.
    thresholds_, class_values_ : numpy.ndarray of shape (n_classes_,)
        Upper thresholds of the classes, and their mean scores.
    class_counts_ : numpy.ndarray of shape (n_classes_,)
        Number of images of each class in the last fit.
    n_classes_ : int
        Number of classes; fewer than ``n_classes`` where the scores have too few distinct
        values, with a ``UserWarning``.
    score_range_ : tuple of two floats
        The range in use.
    history_ : skorch.history.History
        Loss and duration of each epoch; ``"valid_spearman"`` with ``early_stopping``.
    device_ : torch.device
        Where the network is.

    See Also
    --------
    sklearn_memorability.pipelines.recommended_regressor : For frozen features; minutes
        instead of hours.

    Notes
    -----
    Images are read once in ``fit`` and kept with a shorter side of 256/224 of the network's
    input: about 0.3 MB each, in memory up to 4 GB, beyond in a temporary file.

    BatchNorm keeps its statistics and the network's own dropout is off: what is trained is
    the function that predicts.

    What ``pickle``, ``joblib`` and :func:`~sklearn_memorability.persistence.save` keep is
    settings and arrays, the tuned network's among them: a loaded estimator needs no
    pretrained weights. Arrays whose values all fit half precision are kept in it.

    Training interrupted from the keyboard leaves the estimator unfitted.

    References
    ----------
    .. [1] A. Kumar, A. Raghunathan, R. Jones, T. Ma, P. Liang, "Fine-tuning can distort
       pretrained features and underperform out-of-distribution", ICLR 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.finetuning import FineTunedRegressor
    >>> images, scores = load_sample_images().images, [0.6, 0.8]
    >>> model = FineTunedRegressor(n_classes=2, max_epochs=1, random_state=0)
    >>> model.fit(images, scores).predict(images).shape
    (2,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_constraints(ImageFeatures, "backbone layer weights preprocessing device precision"),
        **_constraints(
            BalancedQuantileClassifierRegressor,
            "n_classes score_range dropout lr batch_size early_stopping net_callbacks warm_start "
            "random_state verbose",
        ),
        "backbone_lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "frozen": [Interval(Real, 0, 1, closed="both")],
        "crop": [Interval(Real, 0, 1, closed="right")],
    }
    features_: ImageFeatures
    head_: BalancedQuantileClassifierRegressor
    net_: NeuralNet
    _source: list[Any]

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
        self.early_stopping = early_stopping
        self.net_callbacks = net_callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Read the images, cut the scores into classes, and train network and head.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            Paths, bytes, open files, PIL images, arrays or tensors; see
            :func:`~sklearn_memorability.images.read_image`.
        y : array-like of shape (n_images,)
            The scores.
        sample_weight : array-like of shape (n_images,), optional
            Weight of each image, not negative, in the classes and the loss. Images of
            weight zero are not read.
        groups : array-like of shape (n_images,), optional
            What ``early_stopping`` must not split; not used otherwise.

        Returns
        -------
        FineTunedRegressor
            Itself, fitted.

        Raises
        ------
        ImageReadError
            At the first image that can't be read; names its row and its file.
        WeightsUnavailableError, ImportError
            If the pretrained network can't be had; as for ImageFeatures.
        ValueError
            If a parameter is out of range, ``y`` is not finite or of another length, a
            score lies outside ``score_range``, training diverges, or ``warm_start`` can't
            go on from the last fit.
        """
        goes_on = self.warm_start and hasattr(self, "net_")
        images, rows, y, weight, groups = _validated(X, y, sample_weight, groups)
        known_range = self.head_.score_range_ if goes_on else self.score_range
        score_range = resolve_score_range(y, known_range)
        device = resolve_device(self.device)
        seeds = draw_seeds(check_random_state(self.random_state), 3)
        callbacks = list(copy.deepcopy(self.net_callbacks or []))
        backbone = get_backbone(self.backbone)
        source: list[Any] = [self.backbone, backbone.layer(self.layer), self.preprocessing]
        if not goes_on:
            network = backbone.load(source[1], self.weights)
        elif source == self._source:
            network = self.net_.module_.backbone
        else:
            raise ValueError(
                "warm_start=True goes on with the fitted network, whose backbone, layer and "
                f"preprocessing are {self._source}; now they are {source}. Set them back, or set "
                "warm_start=False to begin anew."
            )
        preprocess = get_preprocess(self.preprocessing, backbone)
        size = min(Colours(preprocess).size)
        small = keep_small(images, rows, size, self.verbose)
        held_out = None
        if self.early_stopping:
            kept, held = hold_out(len(y), groups, self.early_stopping, seeds[0])
            held_out = small[held], y[held]
            small, y, weight = small[kept], y[kept], weight[kept]

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
        head.fit(self._features(preprocess, network, device).transform(list(small)), y, weight)
        classes = ScoreClasses.within(head.thresholds_, y)
        cycle = partial(one_cycle, n_steps=self.max_epochs * -(-len(y) // self.batch_size))
        schedule = LRScheduler(LambdaLR, step_every="batch", lr_lambda=cycle)
        stops = [] if held_out is None else stop_at_best(*held_out, head.class_values_)
        freeze_first(network, self.frozen)
        net = self._new_net(
            preprocess,
            network,
            head,
            callbacks=[("schedule", schedule), *stops, *callbacks],
            iterator_train__seed=seeds[2],
            verbose=self.verbose,
            **silence(self.verbose),
        )
        train(net, small, classes.targets(y, weight, soft=True))
        head.net_.history_ = head.history_ = net.history
        self._source, self.head_, self.net_ = source, head, net
        self.features_ = self._features(preprocess, network, device)
        return self

    def predict(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the score of each image: the sum over classes of p(k) s(k).

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            As for ``fit``.
        return_std : bool, default=False
            Whether to return the standard deviation of each image's score too.

        Returns
        -------
        numpy.ndarray of shape (n_images,), or a pair of such
            The scores; with ``return_std`` the standard deviations beside them.

        Raises
        ------
        ImageReadError
            At the first image that can't be read; names its row and its file.
        """
        features = self.transform(X)
        return self.head_.predict(features, return_std)

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

        Raises
        ------
        ImageReadError
            At the first image that can't be read; names its row and its file.
        """
        check_is_fitted(self)
        return self.features_.transform(X)

    def predict_class_proba(self, X: Any) -> np.ndarray:
        """Predict the probability p(k) of each class.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            As for ``fit``.

        Returns
        -------
        numpy.ndarray of shape (n_images, n_classes_)
            Rows sum to 1; columns go from the least to the most memorable class.
        """
        features = self.transform(X)
        return self.head_.predict_class_proba(features)

    def predict_quantiles(
        self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)
    ) -> np.ndarray:
        """Predict quantiles of each image's score.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            As for ``fit``.
        quantiles : sequence of float in [0, 1], default=(0.05, 0.5, 0.95)
            The levels.

        Returns
        -------
        numpy.ndarray of shape (n_images, n_quantiles)
            One column a level; within a row they rise with the level.
        """
        features = self.transform(X)
        return self.head_.predict_quantiles(features, quantiles)

    def recalibrate(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the level and the spread of the predictions to other scores.

        See :meth:`BalancedQuantileClassifierRegressor.recalibrate
        <sklearn_memorability.regression.BalancedQuantileClassifierRegressor.recalibrate>`.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            The new images; some dozens are enough.
        y : array-like of shape (n_images,)
            Their scores, within ``score_range_``.
        sample_weight : array-like of shape (n_images,), optional
            Weight of each image.

        Returns
        -------
        FineTunedRegressor
            Itself, recalibrated.
        """
        features = self.transform(X)
        self.head_.recalibrate(features, y, sample_weight)
        return self

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
        module = TunedNetwork(Colours(preprocess), network, head.net_.module_, precision)
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
            iterator_train__size=module.colours.size,
            iterator_train__crop=self.crop,
            iterator_valid=Seen,
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
        name, layer, preprocessing = self._source
        backbone = get_backbone(name)
        network = backbone.load(layer, {k: expanded(array) for k, array in weights.items()})
        preprocess = get_preprocess(preprocessing, backbone)
        self.features_ = self._features(preprocess, network, self.device_)
        self.net_ = self._new_net(preprocess, network, self.head_, **silence(0)).initialize()
        self.net_.history_ = self.history_

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
