"""A fitted model of pictures as one torch function, from networks' inputs to a score."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.features._joint_space import ClipSpace
from sklearn_memorability.features._networks import Network
from sklearn_memorability.inspection._unwrap import fitted_steps
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

Function = Callable[[torch.Tensor], torch.Tensor]


class DifferentiableModel:
    """A model's networks, and its score as a function of what goes into them.

    Parameters
    ----------
    model : estimator
        Fitted; from pictures to scores.

    Attributes
    ----------
    networks : list of Network
        One for each transformer of pictures.

    Raises
    ------
    TypeError
        If one of its steps can't be differentiated here.
    sklearn.exceptions.NotFittedError
        If one of its steps is not fitted.
    """

    def __init__(self, model: Any) -> None:
        first, *steps = fitted_steps(model)
        weighted = _extractors(first)
        self.networks: list[Network] = []
        self._parts: list[tuple[float, Function]] = []
        for weight, extractor in weighted:
            # What is kept in the process, or the user's own.
            recipe = extractor._available_recipe()
            self.networks.append(extractor._network or recipe.load())
            self._parts.append((weight, _finish(extractor)))
        if not steps or not isinstance(steps[-1], BalancedQuantileClassifierRegressor):
            raise _refusal((steps or [first])[-1])
        self._steps = [*map(_scale, steps[:-1]), _head(steps[-1])]

    def score(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the scores of pictures from what goes into the networks.

        Parameters
        ----------
        inputs : sequence of torch.Tensor
            For each network, its normalised views of the same pictures, of shape
            (n_pictures, crops, channels, height, width).

        Returns
        -------
        torch.Tensor of shape (n_pictures,)
        """
        found = []
        for network, (weight, finish), views in zip(
            self.networks, self._parts, inputs, strict=True
        ):
            # A copy, as a network may work in place.
            rows = network.module(views.flatten(0, 1).clone()).float().flatten(1)
            rows = rows.view(len(views), views.shape[1], -1).mean(dim=1)
            found.append(weight * finish(rows).to(self.networks[0].device))
        x = torch.cat(found, dim=1)
        for step in self._steps:
            x = step(x)
        return x


def _extractors(step: Any) -> list[tuple[float, ImageExtractor]]:
    if isinstance(step, ImageExtractor):
        return [(1.0, step)]
    if not isinstance(step, FeatureUnion):
        raise _refusal(step)
    weights = step.transformer_weights or {}
    found = []
    for name, transformer in step.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        inner = fitted_steps(transformer)
        if len(inner) != 1 or not isinstance(inner[0], ImageExtractor):
            raise _refusal(transformer)
        found.append((float(weights.get(name, 1.0)), inner[0]))
    return found


def _finish(extractor: Any) -> Function:
    """Return what the transformer makes of its network's features."""
    if not hasattr(extractor, "embedding_"):
        return lambda rows: rows
    space = extractor.embedding_
    if isinstance(space, ClipSpace):
        project: Function = functional.normalize
    elif hasattr(space, "image_weights_"):
        project = _projection(space.image_weights_, space.image_bias_)
    else:
        raise _refusal(space)
    if not extractor._with_cnn:
        return project
    return lambda rows: torch.cat([rows, project(rows)], dim=1)


def _projection(weights: Any, bias: Any) -> Function:
    weights, bias = torch.as_tensor(weights), torch.as_tensor(bias)

    def project(rows: torch.Tensor) -> torch.Tensor:
        unit = functional.normalize(rows)
        return functional.normalize(unit @ weights.to(rows.device) + bias.to(rows.device))

    return project


def _scale(step: Any) -> Function:
    if not isinstance(step, StandardScaler):
        raise _refusal(step)
    mean = torch.as_tensor(step.mean_ if step.with_mean else 0.0, dtype=torch.float32)
    scale = torch.as_tensor(step.scale_ if step.with_std else 1.0, dtype=torch.float32)
    return lambda x: (x - mean.to(x.device)) / scale.to(x.device)


def _head(regressor: Any) -> Function:
    module = regressor.net_.module_
    values = torch.as_tensor(regressor.class_values_, dtype=torch.float32)

    def head(x: torch.Tensor) -> torch.Tensor:
        x = x.to(regressor.net_.device)
        # As for every prediction; without it dropout would draw.
        proba = module.eval()(x).softmax(dim=-1)
        return proba @ values.to(x.device)

    return head


def _refusal(step: Any) -> TypeError:
    return TypeError(
        f"gradient_map can't differentiate {type(step).__name__}. It takes models of "
        "ImageFeatures, VGGFeatures or CaptionEmbedding (or a FeatureUnion of them), then "
        "StandardScaler, then BalancedQuantileClassifierRegressor. occlusion_map takes every model "
        "from pictures to scores."
    )
