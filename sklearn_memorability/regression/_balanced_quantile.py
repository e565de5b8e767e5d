"""The paper's regressor: classify a score into balanced classes, average their values."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from skorch import NeuralNet

from sklearn_memorability._torch import draw_seeds, resolve_device, suitable_threads
from sklearn_memorability._training import OPTIMIZERS, IndexBatches, optimizer_settings
from sklearn_memorability.regression._branches import is_sizes, resolve_branches, width
from sklearn_memorability.regression._network import ACTIVATIONS, BranchedMLP
from sklearn_memorability.regression._score_classes import (
    AGGREGATIONS,
    ScoreClasses,
    resolve_score_range,
)

_PREDICTION_BATCH = 1024


class BalancedQuantileClassifierRegressor(RegressorMixin, BaseEstimator):
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
    branches : tuple of int, mapping of str to columns, or None, default=None
        The feature sets. A tuple gives their widths, such as ``(4096, 1024)``; a
        mapping gives each one's columns as a slice, indices or feature names
        (columns in none of them are not used). None makes one branch of all columns.
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
    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, shuffling and dropout. With an int, fits on the CPU are
        reproducible, in processes as in threads.
    device : str, torch.device or None, default=None
        Where to train and predict. None takes the best there is: CUDA, MPS, then CPU.
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
        Number of training rows of each class. Equal scores share a class, so ties
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
        Loss and duration of each epoch.
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

    References
    ----------
    .. [1] H. Squalli-Houssaini, N. Q. K. Duong, M. Gwenaëlle, C.-H. Demarty, "Deep
       learning for predicting image memorability", ICASSP 2018, section 2.2.

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
        "branches": [tuple, list, Mapping, None],
        "branch_sizes": [tuple, list],
        "hidden_layer_sizes": [tuple, list],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_classes: int = 4,
        *,
        aggregation: str = "upper",
        score_range: str | tuple[float, float] = "auto",
        branches: Sequence[int] | Mapping[str, Any] | None = None,
        branch_sizes: Sequence[int] = (256,),
        hidden_layer_sizes: Sequence[int] = (256,),
        activation: str = "relu",
        dropout: float = 0.5,
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 16,
        max_epochs: int = 10,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_classes = n_classes
        self.aggregation = aggregation
        self.score_range = score_range
        self.branches = branches
        self.branch_sizes = branch_sizes
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Cut the scores into classes and train the network to tell them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features; float32 is used as it is, other types are converted to it.
        y : array-like of shape (n_samples,)
            The scores.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, not negative, in the class thresholds, the class values
            and the loss; for example the number of people who saw the picture. Rows of
            weight zero are left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range, ``X`` or ``y`` is not finite, a score lies
            outside ``score_range``, ``branches`` don't fit ``X``, or training diverges.
        """
        X, y, sample_weight = self._validate_training_data(X, y, sample_weight)
        branch_columns = resolve_branches(
            self.branches, X.shape[1], getattr(self, "feature_names_in_", None)
        )
        for name in ("branch_sizes", "hidden_layer_sizes"):
            sizes = getattr(self, name)
            if not is_sizes(sizes):
                raise ValueError(f"{name}={sizes!r} must be whole numbers above zero.")
        score_range = resolve_score_range(y, self.score_range)
        classes = ScoreClasses.of(y, self.n_classes, sample_weight, top=score_range[1])
        device = resolve_device(self.device)

        # Until the new network is trained there is none: whoever interrupts a refit
        # finds an unfitted estimator, not the old network among new thresholds.
        self.__dict__.pop("net_", None)
        init_seed, dropout_seed, shuffle_seed = draw_seeds(check_random_state(self.random_state), 3)
        columns = list(branch_columns.values())
        net = NeuralNet(
            BranchedMLP,
            module__branches=columns,
            module__widths=[width(c) for c in columns],
            module__branch_sizes=tuple(self.branch_sizes),
            module__hidden_layer_sizes=tuple(self.hidden_layer_sizes),
            module__n_classes=len(classes.thresholds),
            module__activation=self.activation,
            module__dropout=self.dropout,
            module__init_seed=init_seed,
            module__dropout_seed=dropout_seed,
            criterion=torch.nn.CrossEntropyLoss,
            lr=self.lr,
            optimizer__weight_decay=self.weight_decay,
            **optimizer_settings(self.optimizer, device),
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train=IndexBatches,
            iterator_train__seed=shuffle_seed,
            iterator_valid=IndexBatches,
            iterator_valid__batch_size=_PREDICTION_BATCH,
            train_split=None,
            verbose=self.verbose,
            device=str(device),
        )
        _train(net, X, _target_distribution(classes, sample_weight))

        self.score_range_ = score_range
        self.thresholds_ = classes.thresholds
        self.class_counts_ = classes.counts
        self.class_values_ = classes.values(
            y, sample_weight, self.aggregation, bottom=score_range[0]
        )
        self.n_classes_ = len(classes.thresholds)
        self.device_ = device
        self.history_ = net.history
        self.net_ = net
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the score of each row: the sum over classes of p(k) s(k) (Eq. 1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.

        Returns
        -------
        numpy.ndarray of shape (n_samples,)
            Scores between the least and the largest of ``class_values_``.
        """
        score = self.predict_class_proba(X) @ self.class_values_
        # A softmax in single precision sums to 1 only nearly, and 1.0000001 is no score.
        return np.clip(score, self.class_values_[0], self.class_values_[-1])

    def predict_class_proba(self, X: ArrayLike) -> np.ndarray:
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
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self.net_.predict_proba(X)

    def _validate_training_data(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True)
        y = y.astype(np.float64, copy=False)
        sample_weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        counted = sample_weight > 0
        if not counted.any():
            raise ValueError("All of sample_weight is zero; no row is left to learn from.")
        if not counted.all():
            X, y, sample_weight = X[counted], y[counted], sample_weight[counted]
        return X, y, sample_weight

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Upper thresholds shift every prediction upwards: on scikit-learn's check data
        # even a classifier that is always right has R² = -.14 with four classes.
        tags.regressor_tags.poor_score = self.aggregation == "upper"
        return tags


def _target_distribution(classes: ScoreClasses, sample_weight: np.ndarray) -> np.ndarray:
    """Return each row's distribution over classes, scaled by its weight.

    The cross-entropy is linear in the target, so a row's weight can stand in it. The
    weights' mean is made 1, which keeps the learning rate's meaning.
    """
    weight = (sample_weight / sample_weight.mean()).astype(np.float32)
    target = np.zeros((len(weight), len(classes.thresholds)), dtype=np.float32)
    target[np.arange(len(weight)), classes.labels] = weight
    return target


def _train(net: NeuralNet, X: np.ndarray, target: np.ndarray) -> None:
    # The steps of skorch's fit, which would swallow an interrupt from the keyboard and
    # go on as if trained.
    net.initialize()
    n_weights = sum(weight.numel() for weight in net.module_.parameters())
    with suitable_threads(torch.device(net.device), min(net.batch_size, len(X)) * n_weights):
        net.notify("on_train_begin", X=X, y=target)
        net.fit_loop(X, target)
        net.notify("on_train_end", X=X, y=target)
    if not np.isfinite(net.history[-1, "train_loss"]):
        raise ValueError(
            "Training diverged: the loss is not finite. Scale the features (for example with "
            "StandardScaler) or lower lr."
        )
    # What only training needs would triple the size of a pickle, or make it grow with n.
    net.optimizer_.state.clear()
    for epoch in net.history:
        epoch["batches"] = []
