"""The paper's regressor: classify a score into balanced classes, average their values."""

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from skorch import NeuralNet

from sklearn_memorability._torch import draw_seeds, resolve_device
from sklearn_memorability._training import (
    hold_out,
    optimizer_settings,
    silence,
    stop_early,
    train,
)
from sklearn_memorability.metrics._rank import rank_correlation
from sklearn_memorability.regression._branches import is_sizes, resolve_branches
from sklearn_memorability.regression._kernel_path import (
    KernelPath,
    KernelRidge,
    ridge_input_dropout,
)
from sklearn_memorability.regression._network import (
    ACTIVATIONS,
    BranchedMLP,
    build_net,
    plain_net,
    rebuilt_net,
)
from sklearn_memorability.regression._rows import refuse_bfloat16, refuse_nan
from sklearn_memorability.regression._score_classes import (
    ClassDistributions,
    ScoreClasses,
    resolve_score_range,
)

# What gives the classes and the network's weights their meaning: a warm start can't change it.
_FIXED = (
    "n_classes",
    "aggregation",
    "score_range",
    "target",
    "branch_sizes",
    "hidden_layer_sizes",
    "activation",
    "n_members",
)
_PATIENCE = 5
# Passes and steps of max_epochs="auto". Few rows are learnt in fewer steps: more make them no
# better, as measured by `benchmarks/rows.py --few`.
_LEAST_EPOCHS, _LEAST_STEPS, _STEPS_A_ROW = 10, 500, 1


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
    aggregation : {"upper", "mean"}, default="upper"
        The value s(k) of a class: its upper threshold, the last being the top of
        ``score_range`` (the paper), or the mean of its training scores. ``"upper"`` orders
        as well as ``"mean"`` but is biased upwards, by about .07 on LaMem: choose
        ``"mean"`` where the predicted values matter, not their order alone.
    score_range : "auto" or tuple of two floats, default="auto"
        The least and the largest score there can be. ``"auto"`` is (0, 1) where the
        training scores lie in it, else their own range, with a
        ``UserWarning``.
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
    kernel_weight : float in [0, 1], default=0.0
        Weight of a kernel path in the class probabilities. Above 0, a kernel ridge
        regression is fitted in closed form. Its kernel is exp(-distance). It predicts
        normal scores: what the scores would be if they had, in the same order, the
        standard normal distribution. Its penalty is the best by leave-one-out error. A
        normal distribution of that error around the prediction gives each class a
        probability; the mixture with the network's is what is predicted. With more
        than 2,000 rows, the kernel compares all rows with a random 2,000 of them
        (Nyström's approximation [4]_). The fitted model keeps the rows compared with.
    optimizer : {"adam", "rmsprop", "sgd"}, default="adam"
        The optimiser.
    lr : float, default=1e-3
        Learning rate.
    batch_size : int, default=16
        Rows a batch in training (the paper's).
    max_epochs : int or "auto", default=10
        Passes over the training rows (10 in the paper). ``"auto"`` makes ten, and more
        where the rows are few: at least 2,000 steps, or four a row where that is less.
    n_members : int, default=1
        Networks trained side by side in one pass, whose probabilities are averaged.
    early_stopping : bool or float in (0, 1), default=False
        Share of the rows (of the groups, if ``fit`` is given ``groups``) to hold out, at
        least two rows; True holds out a tenth. Training stops when the Spearman
        correlation on them has not risen for five epochs, and the weights of the best
        epoch are restored. Classes are made from the other rows.
    net_callbacks : list of skorch callbacks, optional
        Passed to the net; they are copied first.
    warm_start : bool, default=False
        Whether ``fit`` on a fitted estimator goes on from it, for example from a model
        of many rows to a small set of one's own. Kept are the classes (``thresholds_``,
        ``class_values_``, what quantiles come from), ``score_range_`` and
        ``input_dropout_`` by ``"ridge"``; training starts from the present weights,
        with a new optimiser; the kernel path becomes a regression of what its last fit
        leaves over, whose penalty, chosen anew, holds it to that fit. Scores
        that were measured in another way need ``recalibrate`` first. The features and
        what defines classes and network must not change.
    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, shuffling, dropout and what is held out. With an int,
        fits on the CPU are reproducible, in processes as in threads.
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
        Number of rows of each class in the last fit. Equal scores share a class, so ties
        make the classes only nearly balanced.
    n_classes_ : int
        Number of classes. Fewer than ``n_classes`` where the scores have too few
        distinct values, with a ``UserWarning``; with one distinct score it
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

    A row with NaN stands for an image that could not be read. It is predicted as NaN: its
    score, its quantiles, its class probabilities; ``fit`` refuses it and says how to leave
    it out. Infinity is always refused.

    Training interrupted from the keyboard leaves the estimator unfitted.

    What ``pickle``, ``joblib`` and ``skops`` keep is settings and NumPy arrays. A loaded
    estimator predicts on ``device``, or on the best there is where that is missing.

    References
    ----------
    .. [1] H. Squalli-Houssaini, N. Q. K. Duong, M. Gwenaëlle, C.-H. Demarty, "Deep
       learning for predicting image memorability", ICASSP 2018, section 2.2.
    .. [2] E. Imani, M. White, "Improving regression performance with distributional
       losses", ICML 2018.
    .. [3] X. Geng, "Label distribution learning", IEEE Transactions on Knowledge and
       Data Engineering 28(7), 2016.
    .. [4] C. Williams, M. Seeger, "Using the Nyström method to speed up kernel
       machines", NIPS 2000.

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
        "aggregation": [StrOptions({"upper", "mean"})],
        "score_range": [StrOptions({"auto"}), tuple, list],
        "target": [StrOptions({"hard", "soft"})],
        "branches": [tuple, list, Mapping, StrOptions({"auto"}), None],
        "branch_sizes": [tuple, list],
        "hidden_layer_sizes": [tuple, list],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"ridge"})],
        "kernel_weight": [Interval(Real, 0, 1, closed="both")],
        "optimizer": [StrOptions({"adam", "rmsprop", "sgd"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean", Interval(Real, 0, 1, closed="neither")],
        "net_callbacks": [list, tuple, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
        "verbose": ["verbose"],
    }
    thresholds_: np.ndarray
    class_values_: np.ndarray
    score_range_: tuple[float, float]
    _distributions: ClassDistributions
    _fixed: dict[str, Any]

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
        kernel_weight: float = 0.0,
        optimizer: str = "adam",
        lr: float = 1e-3,
        batch_size: int = 16,
        max_epochs: int | str = 10,
        n_members: int = 1,
        early_stopping: bool | float = False,
        net_callbacks: Sequence[Any] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device | None = None,
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
        self.kernel_weight = kernel_weight
        self.optimizer = optimizer
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.n_members = n_members
        self.early_stopping = early_stopping
        self.net_callbacks = net_callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Cut the scores into classes and train the network to tell them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features; float32 is used as it is (also a read-only ``numpy.memmap``),
            other types are converted to it.
        y : array-like of shape (n_samples,)
            The scores.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, not negative, in the class thresholds, the class values
            and the loss; for example the number of people who saw the image. Rows of
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
        X, y, sample_weight, groups = self._validate(X, y, sample_weight, groups, reset=not goes_on)
        fixed = self._fix_settings(goes_on)
        score_range = resolve_score_range(y, self.score_range_ if goes_on else self.score_range)
        device = resolve_device(self.device)
        seeds = draw_seeds(check_random_state(self.random_state), 5)
        callbacks = list(copy.deepcopy(self.net_callbacks or []))
        held_out = None
        if self.early_stopping:
            kept, held = hold_out(len(y), groups, self.early_stopping, seeds[3])
            held_out = X[held], y[held]
            X, y, sample_weight = X[kept], y[kept], sample_weight[kept]

        if goes_on:
            classes, fitted = self._keep_classes(X, y, sample_weight)
        else:
            classes, fitted = self._make_classes(X, y, sample_weight, score_range)
        fitted |= {"device_": device, "_fixed": fixed}
        weights_before = self.net_.module_ if goes_on else None
        path = self._kernel_path(X, y, sample_weight, fitted, seeds[4], weights_before)
        # Until the new network is trained there is none: whoever interrupts a refit
        # finds an unfitted estimator, not the old network among new thresholds.
        self.__dict__.pop("net_", None)

        max_epochs = self.max_epochs
        if isinstance(max_epochs, str):
            n_batches = math.ceil(len(X) / self.batch_size)
            least_steps = min(_LEAST_STEPS, _STEPS_A_ROW * len(X))
            max_epochs = max(_LEAST_EPOCHS, math.ceil(least_steps / n_batches))
        if held_out is not None:
            callbacks += stop_at_best(*held_out, fitted["class_values_"])
        net = build_net(
            {
                "branches": fixed["branches"],
                "branch_sizes": fixed["branch_sizes"],
                "hidden_layer_sizes": fixed["hidden_layer_sizes"],
                "n_classes": len(classes.thresholds),
                "activation": self.activation,
                "dropout": self.dropout,
                "input_dropout": fitted["input_dropout_"],
                "n_members": self.n_members,
                "kernel_path": path,
                "init_seed": seeds[0],
                "dropout_seed": seeds[1],
            },
            device,
            iterator_train__seed=seeds[2],
            lr=self.lr,
            **optimizer_settings(self.optimizer, device),
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            callbacks=callbacks,
            verbose=self.verbose,
            **silence(self.verbose),
        )
        fitted["net_"] = net
        target = classes.targets(y, sample_weight, soft=self.target == "soft")
        train(net, X, target, weights_before)
        self.__dict__.update(fitted, history_=net.history)
        return self

    def predict(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the score of each row: the sum over classes of p(k) s(k) (Eq. 1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.
        return_std : bool, default=False
            Whether to return the standard deviation of each row's score too: that of
            the classes' training scores, mixed as for ``predict_quantiles``. It counts
            how scores spread within a class, whatever the aggregation.

        Returns
        -------
        numpy.ndarray of shape (n_samples,), or a pair of such
            Scores between the least and the largest of ``class_values_``; with
            ``return_std`` the standard deviations beside them.
        """
        proba = self.predict_class_proba(X)
        scores = self._scores_of(proba)
        return (scores, self._distributions.std(proba)) if return_std else scores

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
        refuse_bfloat16(X)
        # A row of NaN leaves the network as NaN.
        X = validate_data(self, X, dtype=np.float32, ensure_all_finite="allow-nan", reset=False)
        return self.net_.predict_proba(X)

    def predict_class(self, X: Any) -> np.ndarray:
        """Predict the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.

        Returns
        -------
        numpy.ndarray of shape (n_samples,), int
            From 0, the least memorable class, to ``n_classes_ - 1``; -1 for a row with
            NaN.
        """
        proba = self.predict_class_proba(X)
        return np.where(np.isnan(proba).any(axis=1), -1, proba.argmax(axis=1))

    def predict_quantiles(
        self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)
    ) -> np.ndarray:
        """Predict quantiles of each row's score.

        They are those of the classes' training scores, mixed by the class
        probabilities; between .05 and .95 nine of ten new scores are expected. With
        ``target="soft"`` the known spread of the targets, which the probabilities have
        learnt, is first taken out of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.
        quantiles : sequence of float in [0, 1], default=(0.05, 0.5, 0.95)
            The levels.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_quantiles)
            One column a level; within a row they rise with the level.

        Raises
        ------
        ValueError
            If a level lies outside [0, 1].
        """
        levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
        if levels.ndim != 1 or not ((levels >= 0) & (levels <= 1)).all():
            raise ValueError(f"quantiles={quantiles!r} must be levels in [0, 1].")
        return self._quantiles_of(self.predict_class_proba(X), levels)

    def recalibrate(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the level and the spread of the predictions to other scores.

        For a model learnt elsewhere and a small set of one's own, measured in another
        way: ``class_values_``, ``thresholds_`` and the quantiles are moved and stretched
        so that the predictions fit the new scores best (least squares). The network, and
        so the order of the predictions, stays as it is; some dozens of rows are enough.
        Where the predictions do not rise with the new scores, only their level is moved,
        with a warning.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of the new rows.
        y : array-like of shape (n_samples,)
            Their scores, within ``score_range_``.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row.

        Returns
        -------
        BalancedQuantileClassifierRegressor
            Itself, recalibrated.

        Raises
        ------
        ValueError
            If a score lies outside ``score_range_``.
        """
        check_is_fitted(self)
        X, y, sample_weight, _ = self._validate(X, y, sample_weight, None, reset=False)
        resolve_score_range(y, self.score_range_)
        proba = self.predict_class_proba(X)
        # Upper thresholds lie above the scores they stand for, so the line that suits the
        # predictions is not the one that suits the scores in the classes.
        predicted = proba @ self.class_values_, proba @ self._distributions.mean
        slopes = [_slope(x, y, sample_weight) for x in predicted]
        if min(slopes) <= 0:
            warnings.warn(
                "The predictions do not rise with the new scores, so only their level is fitted; "
                "look whether the model suits these data.",
                UserWarning,
                stacklevel=2,
            )
            slopes = [1.0, 1.0]
        mean = np.average(y, weights=sample_weight)
        for_values, for_scores = (
            (mean - slope * np.average(x, weights=sample_weight), slope)
            for x, slope in zip(predicted, slopes, strict=True)
        )
        self.class_values_ = np.clip(
            for_values[0] + for_values[1] * self.class_values_, *self.score_range_
        )
        offset, slope = for_scores
        # The last threshold is the top of the range, whatever the scores.
        inner = np.clip(offset + slope * self.thresholds_[:-1], *self.score_range_)
        self.thresholds_ = np.append(inner, self.thresholds_[-1])
        self._distributions = self._distributions.moved(offset, slope)
        return self

    def _scores_of(self, proba: np.ndarray) -> np.ndarray:
        """Return the scores that class probabilities stand for (Eq. 1)."""
        # A softmax in single precision sums to 1 only nearly, and 1.0000001 is no score.
        return np.clip(proba @ self.class_values_, self.class_values_[0], self.class_values_[-1])

    def _quantiles_of(self, proba: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return quantiles of the scores that class probabilities stand for."""
        return self._distributions.quantiles(proba, levels)

    def _validate(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, reset: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """Check the rows, and leave out those of weight zero."""
        refuse_nan(X)
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True, reset=reset)
        y = y.astype(np.float64, copy=False)
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

    def _fix_settings(self, goes_on: bool) -> dict[str, Any]:
        """Return what a later fit must not change if it is to go on; check it if this one does."""
        for name in ("branch_sizes", "hidden_layer_sizes"):
            sizes = getattr(self, name)
            if not is_sizes(sizes):
                raise ValueError(f"{name}={sizes!r} must be whole numbers above zero.")
        names = getattr(self, "feature_names_in_", None)
        fixed = {name: getattr(self, name) for name in _FIXED}
        fixed = {n: tuple(v) if isinstance(v, list | tuple) else v for n, v in fixed.items()}
        fixed["branches"] = resolve_branches(self.branches, self.n_features_in_, names)
        for name, before in self._fixed.items() if goes_on else ():
            if fixed[name] != before:
                raise ValueError(
                    f"warm_start=True goes on with the fitted classes and network, for which "
                    f"{name} was {before!r}; now it is {fixed[name]!r}. Set it back, or set "
                    "warm_start=False to begin anew."
                )
        return fixed

    def _make_classes(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        score_range: tuple[float, float],
    ) -> tuple[ScoreClasses, dict[str, Any]]:
        """Return the classes of the scores, and the attributes fitted with them."""
        classes = ScoreClasses.of(y, self.n_classes, sample_weight, top=score_range[1])
        input_dropout = self.input_dropout
        if input_dropout == "ridge":
            input_dropout = ridge_input_dropout(X, y, sample_weight)
        return classes, {
            "score_range_": score_range,
            "thresholds_": classes.thresholds,
            "class_counts_": classes.counts,
            "class_values_": classes.values(y, sample_weight, self.aggregation),
            "n_classes_": len(classes.thresholds),
            "input_dropout_": float(input_dropout),
            "_distributions": ClassDistributions.of(
                classes, y, sample_weight, self.target == "soft", 1 - self.kernel_weight
            ),
        }

    def _keep_classes(
        self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray
    ) -> tuple[ScoreClasses, dict[str, Any]]:
        """Sort the scores into the classes of the last fit.

        Some dozens of rows say little about sixteen classes or a thousand coefficients;
        what many rows have said before is the better start.
        """
        expected = self.net_.predict_proba(X) @ self._distributions.mean
        mean, predicted = (np.average(v, weights=sample_weight) for v in (y, expected))
        if (mean - predicted) ** 2 > np.average((y - mean) ** 2, weights=sample_weight):
            warnings.warn(
                f"The new scores are {mean:.3g} on average, the predictions {predicted:.3g}; the "
                "scores differ less among each other. If they were measured in another way, call "
                "recalibrate(X, y) before fit, which moves the classes to their level.",
                UserWarning,
                stacklevel=4,
            )
        classes = ScoreClasses.within(self.thresholds_, y)
        by_ridge = self.input_dropout == "ridge"
        names = ("score_range_", "thresholds_", "class_values_", "n_classes_")
        return classes, {
            **{name: getattr(self, name) for name in names},
            "class_counts_": classes.counts,
            "input_dropout_": self.input_dropout_ if by_ridge else float(self.input_dropout),
            "_distributions": replace(self._distributions, soft_share=1 - self.kernel_weight),
        }

    def _kernel_path(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        fitted: dict[str, Any],
        seed: int,
        before: BranchedMLP | None,
    ) -> KernelPath | None:
        """Return the kernel path, which goes on from that of the network before."""
        if self.kernel_weight == 0:
            return None
        path = None if before is None else before.kernel_path
        start = None if path is None else path.ridge
        distributions = fitted["_distributions"]
        target = distributions.normal_scores(y)
        ridge = KernelRidge.of(X, target, sample_weight, seed, start)
        return KernelPath(ridge, distributions.thresholds, self.kernel_weight)

    def __getstate__(self) -> dict[str, Any]:
        # Settings and NumPy arrays alone, so that pickle, joblib and skops can keep it.
        state = dict(super().__getstate__())
        if isinstance(self.device, torch.device):
            state["device"] = str(self.device)
        if "net_" in state:
            state["net_"] = plain_net(self.net_)
            state["device_"] = str(self.device_)
            state["_distributions"] = asdict(self._distributions)
            del state["history_"]
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(dict(state))
        if "net_" not in state:
            return
        self._distributions = ClassDistributions(**state["_distributions"])
        try:
            self.device_ = resolve_device(self.device)
        except ValueError:  # it was trained on another machine
            self.device_ = resolve_device(None)
        self.net_ = rebuilt_net(state["net_"], self.n_features_in_, self.device_)
        self.history_ = self.net_.history

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Upper thresholds shift every prediction upwards: on scikit-learn's check data
        # even a classifier that is always right has R² = -.14 with four classes.
        tags.regressor_tags.poor_score = self.aggregation == "upper"
        return tags


def stop_at_best(X: np.ndarray, y: np.ndarray, class_values: np.ndarray) -> list[Any]:
    """Return skorch callbacks that stop by, and restore, the best epoch on held-out rows."""

    def valid_spearman(net: NeuralNet) -> float:
        # Nothing to order on the held-out rows is no reason to stop or go on.
        correlation = rank_correlation(y, net.predict_proba(X) @ class_values)
        return float(np.nan_to_num(correlation))

    return stop_early("valid_spearman", valid_spearman, _PATIENCE)


def _slope(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Return the slope of the least-squares line through weighted points; 1 if x is constant."""
    x = x - np.average(x, weights=weight)
    spread = np.average(x**2, weights=weight)
    return float(np.average(x * y, weights=weight) / spread) if spread > 0 else 1.0
