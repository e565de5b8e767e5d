"""The paper's regressor: classify a score into balanced classes, average their values."""

import copy
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from skorch import NeuralNet

from sklearn_memorability._rows import StoredFeatures
from sklearn_memorability._torch import draw_seeds
from sklearn_memorability._training import OPTIMIZERS, EpochTasks, hold_out, stop_early, train
from sklearn_memorability.metrics._rank import rank_correlation
from sklearn_memorability.regression._branches import is_sizes, resolve_branches
from sklearn_memorability.regression._checks import (
    check_features,
    check_features_and_scores,
    finite_blocks,
)
from sklearn_memorability.regression._class_probability import ClassProbabilityMixin
from sklearn_memorability.regression._distributed import Processes
from sklearn_memorability.regression._linear_path import Ridge
from sklearn_memorability.regression._net import PREDICTION_BATCH, build_net
from sklearn_memorability.regression._network import ACTIVATIONS
from sklearn_memorability.regression._score_classes import AGGREGATIONS, resolve_score_range
from sklearn_memorability.regression._start import Start, check_kept, kept_settings

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in that supports none."""


class BalancedQuantileClassifierRegressor(
    CallbackSupportMixin, ClassProbabilityMixin, RegressorMixin, BaseEstimator
):
    """Regression of a bounded score by classification into balanced quantile classes.

    Section 2.2 of Squalli-Houssaini et al. (2018). The training scores are cut into K
    classes of equal size; an MLP, with one branch of layers for each feature set, a
    merge, shared layers and a softmax, learns the probability p(k) of each class; the
    predicted score is the sum over classes of p(k) s(k) (Eq. 1).

    Scale the features first, as for any MLP (for example with
    :class:`~sklearn.preprocessing.StandardScaler`).

    Parameters
    ----------
    n_classes : int, default=4
        Number of classes K. The paper tried 2 to 8 and found 4 best on LaMem.
    aggregation : {"upper", "mean", "median", "midpoint"}, default="upper"
        The value s(k) of a class: its upper threshold, the last being the top of
        ``score_range`` (the paper); the mean or the median of its training scores; the
        middle between its thresholds. ``"upper"`` orders as well as ``"mean"`` but is
        biased upwards, by about .07 on LaMem: choose ``"mean"`` where the predicted
        values matter, not their order alone.
    score_range : "auto" or tuple of two floats, default="auto"
        The least and the largest score there can be. ``"auto"`` is (0, 1) where the
        training scores lie in it, else their own range, with a
        :class:`ScoreRangeWarning`.
    target : {"hard", "soft"}, default="hard"
        What the network learns of a score: the class it falls in (the paper), or a
        share of each class around it. Soft shares are those of a normal distribution
        around the score with half a standard deviation of the training scores
        (HL-Gauss [2]_, a form of label distribution learning [3]_); they tell the
        network which classes are near, so many classes do no harm.
    branches : tuple of int, mapping of str to columns, "auto" or None, default=None
        The feature sets. A tuple gives their widths, such as ``(4096, 1024)``; one of
        them may be -1, the columns that are left, as in ``(-1, 1024)``. A mapping gives
        each one's columns as a slice, indices or feature names (columns in none of them
        are not used); ``"auto"`` makes one of each prefix ``prefix__`` of the feature
        names, as FeatureUnion and ColumnTransformer give them with ``set_output``. None
        makes one branch of all columns.
    branch_sizes : sequence of int, default=(256,)
        Units of each layer of every branch.
    hidden_layer_sizes : sequence of int, default=(256,)
        Units of each shared layer after the merge. With the softmax layer, the
        defaults are the paper's three layers; their widths are not in its text and
        are ours (it searched 32 to 1024).
    activation : {"relu", "tanh", "gelu"}, default="relu"
        Activation behind every layer but the softmax.
    dropout : float in [0, 1), default=0.5
        Share of the units left out in training, behind every layer but the softmax.
    input_dropout : float in [0, 1) or "ridge", default=0.0
        Share of the inputs left out in training. ``"ridge"`` takes the share that
        penalises a linear model as much as the best ridge penalty alpha does,
        alpha / (alpha + n_samples): much where the rows are few and the features
        many, next to nothing where they are not. Inputs must have been scaled.
    linear_weight : float in [0, 1], default=0.0
        Weight of a linear path in the class probabilities. Above 0, a ridge regression
        is fitted in closed form, its penalty the best by leave-one-out error; a normal
        distribution of that error around its prediction gives each class a
        probability, and the mixture with the network's is what is predicted. With more
        rows than features it needs memory for the square of the features' number,
        otherwise for a copy of X in double precision.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        The optimiser.
    lr : float, default=1e-3
        Learning rate.
    weight_decay : float, default=0.0
        The optimiser's weight decay.
    batch_size : int, default=16
        Rows a batch in training (the paper's).
    max_epochs : int, default=10
        Passes over the training rows (the paper's).
    min_steps : int, default=0
        Steps of training to make at the least, by more passes where the rows are few.
    n_members : int, default=1
        Networks trained side by side in one pass, whose probabilities are averaged.
    share_weights : bool, default=True
        Whether the members share the matrices of all layers but the last, each with
        scales and biases of its own (after BatchEnsemble [4]_): quick, also on wide
        features. False gives each member matrices of its own.
    early_stopping : bool, default=False
        Whether to hold out ``validation_fraction`` of the rows, to stop when the
        Spearman correlation on them has not risen for ``patience`` epochs, and to
        restore the weights of the best epoch. Classes are made from the other rows.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows (of the groups, if ``fit`` is given ``groups``) to hold out;
        at least two rows.
    patience : int, default=5
        Epochs without improvement until training stops.
    net_callbacks : list of skorch callbacks, optional
        Passed to the net; they are copied first.
    warm_start : bool, default=False
        Whether ``fit`` on a fitted estimator goes on from it, for example from a model
        of many rows to a small set of one's own. Kept are the classes (``thresholds_``,
        ``class_values_``, what quantiles come from), ``score_range_`` and
        ``input_dropout_`` by ``"ridge"``; training starts from the present weights,
        with a new optimiser; the linear path becomes a ridge regression of what its
        last fit leaves over, whose penalty, chosen anew, holds it to that fit. Scores
        that were measured in another way need ``recalibrate`` first. The features and
        what defines classes and network must not change.
    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, shuffling, dropout and what is held out. With an int,
        fits on the CPU are reproducible, in processes as in threads.
    device : str, torch.device or None, default=None
        Where to train and predict. None takes the best there is: CUDA, MPS, then CPU.
    accelerate : bool, default=False
        Whether to train in all processes of a launch by ``accelerate launch`` or
        ``torchrun``, for example one for each GPU. Each calls ``fit`` with the same
        arguments, computes a share of every batch (``batch_size`` is that of all
        shares together), and ends with the same network. The launch chooses the
        device. Without a launch there is one process, this one. It needs the extra
        ``accelerate``.
    verbose : int, default=0
        Above 0, skorch prints the loss after each epoch.

    Attributes
    ----------
    thresholds_ : numpy.ndarray of shape (n_classes_,)
        Upper thresholds of the classes, right-closed: class k holds the scores above
        the threshold before and up to its own. The last is the top of the range.
    class_values_ : numpy.ndarray of shape (n_classes_,)
        The value s(k) of each class.
    class_counts_ : numpy.ndarray of shape (n_classes_,)
        Number of rows of each class in the last fit. Equal scores share a class, so ties
        make the classes only nearly balanced.
    n_classes_ : int
        Number of classes. Fewer than ``n_classes`` where the scores have too few
        distinct values, with a :class:`FewerClassesWarning`; with one distinct score it
        is 1 and that score is predicted always.
    score_range_ : tuple of two floats
        The range in use.
    net_ : skorch.NeuralNet
        The fitted network. ``net_.predict_proba(X)`` is ``predict_class_proba(X)``.
    history_ : skorch.history.History
        Loss and duration of each epoch; ``"valid_spearman"`` with ``early_stopping``.
    input_dropout_ : float
        The share of the inputs left out in training.
    device_ : torch.device
        Where the network was trained.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : numpy.ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` had names that are all strings.

    See Also
    --------
    sklearn_memorability.pipelines.mlp_regressor : This regressor behind a scaler.

    Notes
    -----
    ``score`` is R², as for every regressor of scikit-learn. The bias of
    ``aggregation="upper"`` makes it low, even negative, for a model that orders well,
    and different for each K: a search by R² would choose K by its bias. Searches pass
    ``scoring=spearman_scorer``.

    Training interrupted from the keyboard leaves the estimator unfitted.

    From ``.npy`` files the batches are those that the same features would give in memory,
    and so is the network. Of a Zarr array single rows can't be read: the chunks are
    put in random order, and rows are shuffled among those that fit in 128 MiB. The order
    depends on ``random_state`` and the size of the chunks alone; the network is another
    than from memory.

    References
    ----------
    .. [1] H. Squalli-Houssaini, N. Q. K. Duong, M. Gwenaëlle, C.-H. Demarty, "Deep
       learning for predicting image memorability", ICASSP 2018, section 2.2.
    .. [2] E. Imani, M. White, "Improving regression performance with distributional
       losses", ICML 2018.
    .. [3] X. Geng, "Label distribution learning", IEEE Transactions on Knowledge and
       Data Engineering 28(7), 2016.
    .. [4] Y. Wen, D. Tran, J. Ba, "BatchEnsemble: an alternative approach to efficient
       ensemble and lifelong learning", ICLR 2020.

    Examples
    --------
    >>> from sklearn_memorability import BalancedQuantileClassifierRegressor, spearman_score
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> model = BalancedQuantileClassifierRegressor(random_state=0).fit(X[::2], y[::2])
    >>> model.thresholds_.round(2)
    array([0.77, 0.79, 0.82, 1.  ])
    >>> bool(spearman_score(y[1::2], model.predict(X[1::2])) > 0.5)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "aggregation": [StrOptions(set(AGGREGATIONS))],
        "score_range": [StrOptions({"auto"}), tuple, list],
        "target": [StrOptions({"hard", "soft"})],
        "branches": [tuple, list, Mapping, StrOptions({"auto"}), None],
        "branch_sizes": [tuple, list],
        "hidden_layer_sizes": [tuple, list],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"ridge"})],
        "linear_weight": [Interval(Real, 0, 1, closed="both")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "min_steps": [Interval(Integral, 0, None, closed="left")],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "share_weights": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "net_callbacks": [list, tuple, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
        "accelerate": ["boolean"],
        "verbose": ["verbose"],
    }
    _ridge: Ridge | None
    _settings: dict[str, Any]

    def __init__(
        self,
        n_classes: int = 4,
        *,
        aggregation: str = "upper",
        score_range: str | tuple[float, float] = "auto",
        target: str = "hard",
        branches: Sequence[int] | Mapping[str, Any] | str | None = None,
        branch_sizes: Sequence[int] = (256,),
        hidden_layer_sizes: Sequence[int] = (256,),
        activation: str = "relu",
        dropout: float = 0.5,
        input_dropout: float | str = 0.0,
        linear_weight: float = 0.0,
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 16,
        max_epochs: int = 10,
        min_steps: int = 0,
        n_members: int = 1,
        share_weights: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 5,
        net_callbacks: Sequence[Any] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device | None = None,
        accelerate: bool = False,
        verbose: int = 0,
    ) -> None:
        self.n_classes = n_classes
        self.aggregation = aggregation
        self.score_range = score_range
        self.target = target
        self.branches = branches
        self.branch_sizes = branch_sizes
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.linear_weight = linear_weight
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.n_members = n_members
        self.share_weights = share_weights
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.net_callbacks = net_callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.accelerate = accelerate
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
    ) -> Self:
        """Cut the scores into classes and train the network to tell them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features; float32 is used as it is, other types are converted to it.
            :class:`~sklearn_memorability.features.StoredFeatures`, a ``numpy.memmap``
            and a ``zarr.Array`` are read from disk batch by batch, so they may be
            larger than memory.
        y : array-like of shape (n_samples,)
            The scores.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, not negative, in the class thresholds, the class values
            and the loss; for example the number of people who saw the picture. Rows of
            weight zero are left out.
        groups : array-like of shape (n_samples,), optional
            What ``early_stopping`` must not split between the rows it trains on and
            those it holds out; not used otherwise.

        Returns
        -------
        BalancedQuantileClassifierRegressor
            Itself, fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, ``X`` or ``y`` is not finite, a score lies
            outside ``score_range``, ``branches`` don't fit ``X``, training diverges, or
            ``warm_start`` can't go on from the last fit.
        """
        # A model of one class has learnt nothing to go on from.
        goes_on = self.warm_start and hasattr(self, "net_") and self.n_classes_ > 1
        X, y, sample_weight, groups = self._validate_training_data(
            X, y, sample_weight, groups, reset=not goes_on
        )
        columns = list(
            resolve_branches(
                self.branches, X.shape[1], getattr(self, "feature_names_in_", None)
            ).values()
        )
        for name in ("branch_sizes", "hidden_layer_sizes"):
            sizes = getattr(self, name)
            if not is_sizes(sizes):
                raise ValueError(f"{name}={sizes!r} must be whole numbers above zero.")
        settings = kept_settings(self, columns)
        if goes_on:
            check_kept(self._settings, settings)
        score_range = resolve_score_range(y, self.score_range_ if goes_on else self.score_range)
        processes = Processes.of_fit(self.device, accelerate=self.accelerate)
        drawn = draw_seeds(check_random_state(self.random_state), 4)
        *seeds, split_seed = (int(seed) for seed in processes.agree(drawn))
        held_out = None
        if self.early_stopping:
            kept, held = hold_out(len(y), groups, self.validation_fraction, split_seed)
            held_out = X[held], y[held]
            X, y, sample_weight = X[kept], y[kept], sample_weight[kept]

        if goes_on:
            start = Start.from_last_fit(self, X, y, sample_weight)
        else:
            start = Start.anew(self, X, y, sample_weight, score_range)
        fitted: dict[str, Any] = {
            **start.attributes,
            "device_": processes.device,
            "_settings": settings,
        }
        weights_before = self.net_.module_ if goes_on else None
        # Until the new network is trained there is none: whoever interrupts a refit
        # finds an unfitted estimator, not the old network among new thresholds.
        self.__dict__.pop("net_", None)

        n_batches = math.ceil(len(X) / self.batch_size)
        max_epochs = max(self.max_epochs, math.ceil(self.min_steps / n_batches))
        callbacks = list(copy.deepcopy(self.net_callbacks or []))
        if held_out is not None:
            valid_X, valid_y = held_out

            def valid_spearman(net: NeuralNet) -> float:
                predicted = net.predict_proba(valid_X) @ fitted["class_values_"]
                # Nothing to order on the held-out rows is no reason to stop or go on.
                correlation = float(np.nan_to_num(rank_correlation(valid_y, predicted)))
                return processes.agree([correlation])[0]

            callbacks += stop_early("valid_spearman", valid_spearman, self.patience)
        if getattr(self, "_skl_callbacks", None) or hasattr(self, "_parent_callback_ctx"):
            context = self._init_callback_context(max_subtasks=max_epochs)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            task = {"X": X, "y": y, "reconstruction_attributes": fitted}
            callbacks.append(("epoch_tasks", EpochTasks(self, context, **task)))
        net = build_net(
            self,
            columns=columns,
            n_classes=fitted["n_classes_"],
            input_dropout=start.input_dropout,
            linear_path=start.linear_path if self.linear_weight > 0 else None,
            seeds=seeds,
            max_epochs=max_epochs,
            processes=processes,
            callbacks=callbacks,
        )
        fitted["net_"] = net
        target = start.classes.targets(y, sample_weight, soft=self.target == "soft")
        train(net, X, target, weights_before)
        self.__dict__.update(fitted, history_=net.history)
        if hasattr(self, "_callback_fit_ctx"):
            self._callback_fit_ctx.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=fitted
            )
        return self

    def predict_class_proba(self, X: Any) -> np.ndarray:
        """Predict the probability p(k) of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_classes_)
            Rows sum to 1; columns go from the least to the most memorable class.
        """
        check_is_fitted(self)
        X = check_features(self, X)
        if not isinstance(X, StoredFeatures):
            return self.net_.predict_proba(X)
        return np.concatenate(
            [self.net_.predict_proba(block) for block in finite_blocks(X, PREDICTION_BATCH)]
        )

    def _validate_training_data(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, reset: bool = True
    ) -> tuple[np.ndarray | StoredFeatures, np.ndarray, np.ndarray, np.ndarray | None]:
        X, y = check_features_and_scores(self, X, y, reset)
        sample_weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        if groups is not None:
            groups = np.asarray(groups)
            check_consistent_length(X, groups)
        counted = sample_weight > 0
        if not counted.any():
            raise ValueError("All of sample_weight is zero; no row is left to learn from.")
        if not counted.all():
            X, y, sample_weight = X[counted], y[counted], sample_weight[counted]
            groups = None if groups is None else groups[counted]
        return X, y, sample_weight, groups

    def _move_scores(self, offset: float, slope: float) -> None:
        super()._move_scores(offset, slope)
        if self._ridge is not None:
            self._ridge = self._ridge.moved(offset, slope)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Upper thresholds shift every prediction upwards: on scikit-learn's check data
        # even a classifier that is always right has R² = -.14 with four classes.
        tags.regressor_tags.poor_score = self.aggregation == "upper"
        return tags
