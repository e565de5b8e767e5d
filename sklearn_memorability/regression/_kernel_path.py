"""A kernel ridge regression turned into class probabilities: the path beside the network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from sklearn.linear_model import RidgeCV
from sklearn.utils import gen_batches
from torch import nn

# Wide enough that neither end is ever the best: from no penalty to a constant prediction, for
# features of unit variance and for a kernel that is 1 at no distance.
_LINEAR_PENALTIES = np.logspace(-2, 7, 37)
_KERNEL_PENALTIES = np.logspace(-3, 5, 33)

# Of more rows a sample stands for all: the time grows with the cube of this number.
_MOST_LANDMARKS = 2000

# The kernel is exp(-_DECAY) at the typical distance of a row from the mean. It was chosen on inner
# folds, where a quarter to 1 made next to no difference.
_DECAY = 0.5

_ROWS_AT_A_TIME = 1024


def ridge_input_dropout(X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> float:
    """Return the rate of input dropout that penalises a linear model as the best ridge does.

    Leaving out inputs at rate p adds noise of variance p / (1 - p) times an
    input's own; to a linear model that is a ridge penalty of n p / (1 - p)
    (Wager, Wang, Liang 2013, section 3).
    """
    weight = sample_weight / sample_weight.mean()
    if X.shape[0] > X.shape[1]:
        penalty = _ridge(X, y, weight, _LINEAR_PENALTIES).penalty
    else:
        ridge = RidgeCV(alphas=_LINEAR_PENALTIES)
        penalty = float(ridge.fit(X.astype(np.float64), y, sample_weight=weight).alpha_)
    return penalty / (penalty + len(X))


@dataclass(frozen=True)
class KernelRidge:
    """Kernel ridge regression of normal scores; the penalty is the best by leave-one-out error.

    Attributes
    ----------
    landmarks : numpy.ndarray of shape (n_landmarks, n_features)
        The training rows, or a sample of them (Nyström's approximation).
    decay : float
        The kernel is exp(-decay * distance).
    coef : numpy.ndarray of shape (n_landmarks,)
        Weight of each landmark.
    intercept : float
        The intercept.
    error : float
        Root mean square of the leave-one-out errors.
    """

    landmarks: np.ndarray
    decay: float
    coef: np.ndarray
    intercept: float
    error: float

    @classmethod
    def of(
        cls,
        X: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray,
        seed: int,
        start: "KernelRidge | None" = None,
    ) -> "KernelRidge":
        """Fit it; with ``start``, its landmarks are kept and the weights are held to its own."""
        weight = sample_weight / sample_weight.mean()
        if start is None:
            landmarks = X
            if len(X) > _MOST_LANDMARKS:
                rng = np.random.default_rng(seed)
                landmarks = X[rng.choice(len(X), _MOST_LANDMARKS, replace=False)]
            # The distance of two rows is, in the root mean square, sqrt(2) of that to the mean.
            spread = float(np.sqrt(landmarks.var(axis=0, dtype=np.float64).sum()))
            decay = _DECAY / (spread or 1.0)
        else:
            landmarks, decay = start.landmarks, start.decay
        gram = _kernel(landmarks, landmarks, decay)
        # Equal rows would make it singular.
        gram[np.diag_indices_from(gram)] += 1e-6
        root = scipy.linalg.cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
        features = np.empty((len(X), len(landmarks)), dtype=np.float32)
        for rows, block in _blocks(X):
            near = _kernel(landmarks, block, decay)
            features[rows] = scipy.linalg.solve_triangular(
                root, near, lower=True, overwrite_b=True, check_finite=False
            ).T
        known = np.zeros(len(X))
        if start is not None:
            known = features @ (root.T @ start.coef) + start.intercept
        found = _ridge(features, target - known, weight, _KERNEL_PENALTIES)
        coef = scipy.linalg.solve_triangular(root.T, found.coef, check_finite=False)
        intercept = found.intercept
        if start is not None:
            coef, intercept = coef + start.coef, intercept + start.intercept
        return cls(landmarks, decay, coef, intercept, found.error)


class KernelPath(nn.Module):
    """Class probabilities of a normal distribution around a kernel regression's prediction.

    ``thresholds`` are the normal scores between the classes, of shape (n_classes - 1,);
    ``weight`` is that of the path beside the network.
    """

    landmarks: torch.Tensor
    decay: torch.Tensor
    coef: torch.Tensor
    intercept: torch.Tensor
    error: torch.Tensor
    thresholds: torch.Tensor
    weight: torch.Tensor

    def __init__(self, ridge: KernelRidge, thresholds: np.ndarray, weight: float = 0.0) -> None:
        super().__init__()
        for name, value in {
            "landmarks": ridge.landmarks,
            "decay": ridge.decay,
            "coef": ridge.coef,
            "intercept": ridge.intercept,
            "error": max(ridge.error, 1e-6),  # a perfect fit still needs a width
            "thresholds": thresholds,
            "weight": weight,
        }.items():
            # A copy, as the values may be in a read-only file.
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))

    @property
    def ridge(self) -> KernelRidge:
        """The regression it came from."""
        names = ("landmarks", "decay", "coef", "intercept", "error")
        landmarks, decay, coef, *rest = (getattr(self, name).cpu().numpy() for name in names)
        return KernelRidge(landmarks, float(decay), coef, *map(float, rest))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the probabilities, of shape (n_samples, n_classes)."""
        # What is left of the squares is small beside them; only MPS has no double precision.
        dtype = torch.float32 if X.device.type == "mps" else torch.float64
        X, landmarks, coef = X.to(dtype), self.landmarks.to(dtype), self.coef.to(dtype)
        squares = (X**2).sum(dim=1)[:, None] + (landmarks**2).sum(dim=1)
        # A root of exactly zero has no gradient.
        distance = (squares - 2 * X @ landmarks.T).clamp_min(1e-12).sqrt()
        expected = (-self.decay * distance).exp() @ coef + self.intercept
        expected = expected.float()
        below = torch.special.ndtr((self.thresholds - expected[:, None]) / self.error)
        edge = torch.zeros_like(expected)[:, None]
        return torch.cat([edge, below, edge + 1], dim=1).diff(dim=1)


@dataclass(frozen=True)
class _Ridge:
    coef: np.ndarray
    intercept: float
    penalty: float
    error: float


def _ridge(X: np.ndarray, y: np.ndarray, weight: np.ndarray, penalties: np.ndarray) -> _Ridge:
    """Return what RidgeCV would, without its copies of X.

    An error of leaving out row i is the residual over 1 - h_i, where h_i is the row's
    leverage (Rifkin, Lippert 2007, section 3).
    """
    n_rows, n_features = X.shape  # the weights add up to n_rows
    mean = sum(weight[rows] @ block for rows, block in _blocks(X)) / n_rows
    y_mean = weight @ y / n_rows
    gram, moment = np.zeros((n_features, n_features)), np.zeros(n_features)
    for rows, block in _blocks(X):
        block -= mean
        moment += (weight[rows] * (y[rows] - y_mean)) @ block
        block *= np.sqrt(weight[rows])[:, None]
        gram += block.T @ block
    values, vectors = scipy.linalg.eigh(gram, overwrite_a=True, check_finite=False)
    del gram
    # Of features that depend on each other rounding leaves eigenvalues below zero.
    inverse = 1 / (np.maximum(values, 0)[:, None] + penalties)
    coefs = inverse * (vectors.T @ moment)[:, None]
    squares = np.zeros(len(penalties))
    for rows, block in _blocks(X):
        block -= mean
        turned = block @ vectors
        leverage = weight[rows, None] * (1 / n_rows + turned**2 @ inverse)
        errors = (y[rows] - y_mean)[:, None] - turned @ coefs
        errors /= np.maximum(1 - leverage, np.finfo(float).eps)
        squares += weight[rows] @ errors**2
    best = int(squares.argmin())
    coef = vectors @ coefs[:, best]
    error = float(np.sqrt(squares[best] / n_rows))
    return _Ridge(coef, float(y_mean - mean @ coef), float(penalties[best]), error)


def _kernel(A: np.ndarray, B: np.ndarray, decay: float) -> np.ndarray:
    A, B = A.astype(np.float64), B.astype(np.float64)
    squares = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2 * A @ B.T
    return np.exp(-decay * np.sqrt(np.maximum(squares, 0)))


def _blocks(X: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of the rows with a copy of them in double precision."""
    for rows in gen_batches(len(X), _ROWS_AT_A_TIME):
        yield rows, X[rows].astype(np.float64)
