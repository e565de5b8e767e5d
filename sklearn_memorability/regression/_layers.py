"""A head whose layers are given: that of a published model."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import _check_n_features
from torch import nn


class LayersRegressor(RegressorMixin, BaseEstimator):
    """Fully connected layers with given weights, from features to a score between 0 and 1.

    It is fitted as it is made, and ``fit`` changes nothing: in cross-validation, it is
    measured on the folds as it is.

    Parameters
    ----------
    weights : list of ndarray of shape (n_outputs, n_inputs)
        One a layer, the last with one output; between them stands a ReLU.
    biases : list of ndarray of shape (n_outputs,)
        One a layer.
    output : {"sigmoid", "clip"}
        How the last output becomes a score.
    about : mapping, optional
        Facts that go with the layers wherever they are saved, such as their terms.
    """

    def __init__(
        self,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        output: str,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.weights = weights
        self.biases = biases
        self.output = output
        self.about = about

    def fit(self, X: Any, y: Any = None) -> Self:
        """Return itself; the layers are given."""
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return scores of shape (n_samples,); NaN for a row with NaN."""
        x = check_array(X, dtype=np.float32, ensure_all_finite="allow-nan")
        _check_n_features(self, x, reset=False)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight.T + bias
            x = x if i == last else np.maximum(x, 0)
        return expit(x[:, 0]) if self.output == "sigmoid" else np.clip(x[:, 0], 0, 1)

    def as_module(self) -> nn.Module:
        """Return the same as a network, from features to scores of shape (n_samples,)."""
        modules: list[nn.Module] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            linear = nn.utils.skip_init(nn.Linear, *reversed(weight.shape))
            linear.weight = nn.Parameter(torch.tensor(weight), requires_grad=False)
            linear.bias = nn.Parameter(torch.tensor(bias), requires_grad=False)
            modules += [linear, nn.ReLU()]
        modules[-1] = nn.Sigmoid() if self.output == "sigmoid" else nn.Hardtanh(0, 1)
        return nn.Sequential(*modules, nn.Flatten(0))

    @property
    def n_features_in_(self) -> int:
        """How many features go in."""
        return int(self.weights[0].shape[1])

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
