"""The network of the joint space, the loss that trains it, and the batches it is given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from skorch.dataset import Dataset
from torch import nn
from torch.nn import functional

from sklearn_memorability.captions._words import END

RECURRENT = {"lstm": nn.LSTM, "gru": nn.GRU}
WORD_ENCODERS = frozenset({*RECURRENT, "bow"})
# Captions of like length are put in one batch, so that few steps are spent on padding. They
# are sorted within this many batches at a time, which leaves most of the random order.
_SORTED_TOGETHER = 16


class Dropout(nn.Module):
    """Dropout that draws from a generator of its own, not from torch's global one."""

    def __init__(self, rate: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        self.rate = rate
        self.seed = seed
        self._generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Leave out entries in training, and scale up the others."""
        if not self.training or self.rate == 0:
            return x
        if self._generator is None:
            self._generator = torch.Generator(x.device).manual_seed(self.seed)
        kept = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self._generator)
        return x * kept.div_(1 - self.rate)


class RecurrentEncoder(nn.Module):
    """The last state of an LSTM or a GRU over the words, the end mark included."""

    def __init__(
        self, kind: str, n_words: int, word_dim: int, n_components: int, drop: Dropout
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, word_dim, device="meta")
        self.recurrent = RECURRENT[kind](word_dim, n_components, batch_first=True, device="meta")
        self.drop = drop

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the state behind the first end mark of each row."""
        states, _ = self.recurrent(self.drop(self.words(numbers)))
        last = (numbers != END).sum(dim=1)
        return states[torch.arange(len(states), device=states.device), last]


class BagEncoder(nn.Module):
    """The mean of the words' vectors; dropout leaves out words."""

    def __init__(self, n_words: int, word_dim: int, n_components: int, drop: Dropout) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, word_dim, device="meta")
        self.project: nn.Module = nn.Identity()
        if word_dim != n_components:
            self.project = nn.Linear(word_dim, n_components, device="meta")
        self.drop = drop

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the mean of each row's words; a row without words has the end mark's."""
        is_word = (numbers != END).float()
        is_word[:, 0] = is_word[:, 0].clamp_min(torch.finfo(torch.float32).tiny)
        # As weights of an embedding bag, so that the words' vectors are never laid out.
        total = functional.embedding_bag(
            numbers, self.words.weight, per_sample_weights=self.drop(is_word), mode="sum"
        )
        return self.project(total / is_word.sum(dim=1, keepdim=True))


class SentenceEncoder(nn.Module):
    """A linear map of sentence embeddings that are computed beforehand."""

    def __init__(self, n_inputs: int, n_components: int, drop: Dropout) -> None:
        super().__init__()
        self.project = nn.Linear(n_inputs, n_components, device="meta")
        self.drop = drop

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the mapped embeddings."""
        return self.project(self.drop(functional.normalize(embeddings)))


def build_encoder(
    kind: str, n_inputs: int, word_dim: int, n_components: int, drop: Dropout | None = None
) -> nn.Module:
    """Return a text encoder without weights; ``n_inputs`` are words, or a sentence's width."""
    drop = drop or Dropout()
    if kind not in WORD_ENCODERS:
        return SentenceEncoder(n_inputs, n_components, drop)
    if kind == "bow":
        return BagEncoder(n_inputs, word_dim, n_components, drop)
    return RecurrentEncoder(kind, n_inputs, word_dim, n_components, drop)


def encoder_of(kind: str, weights: Mapping[str, np.ndarray], n_components: int) -> nn.Module:
    """Return the text encoder with these weights, for prediction on the CPU."""
    words = weights.get("words.weight")
    n_inputs, word_dim = weights["project.weight"].T.shape if words is None else words.shape
    encoder = build_encoder(kind, n_inputs, word_dim, n_components)
    encoder.load_state_dict({k: torch.tensor(v) for k, v in weights.items()}, assign=True)
    return encoder.eval().requires_grad_(False)


def draw_weights(module: nn.Module, n_components: int, seed: int) -> None:
    """Draw first weights: words' vectors small, states orthogonal, other matrices Glorot."""
    rng = torch.Generator().manual_seed(seed)
    module.to_empty(device="cpu")
    for name, weight in module.named_parameters():
        if weight.ndim == 1:
            nn.init.zeros_(weight)
        elif name == "words.weight":
            nn.init.normal_(weight, std=0.1, generator=rng)
        else:
            # A recurrent cell's gates stand below each other; each is drawn on its own.
            fill = nn.init.orthogonal_ if "weight_hh" in name else nn.init.xavier_uniform_
            for gate in weight.data.split(n_components):
                fill(gate, generator=rng)


class JointNetwork(nn.Module):
    """Images and captions into one space; ``text`` comes with its weights."""

    def __init__(
        self, n_features: int, n_components: int, text: nn.Module, seed: int, drop: Dropout
    ) -> None:
        super().__init__()
        self.image = nn.Linear(n_features, n_components, device="meta")
        draw_weights(self.image, n_components, seed)
        self.text = text
        self.drop = drop

    def forward(
        self, features: torch.Tensor, text: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the unit rows of images and of their captions."""
        images = self.image(self.drop(functional.normalize(features)))
        return functional.normalize(images), functional.normalize(self.text(text))


class RankingLoss(nn.Module):
    """The loss of a batch of images with a caption each, in both directions.

    Wrong captions are all others, by a hinge each ("sum", Kiros et al. 2014) or by a
    softmax, or the nearest one ("hardest", Faghri et al. 2018).
    """

    def __init__(self, negatives: str, margin: float, temperature: float) -> None:
        super().__init__()
        self.negatives = negatives
        self.margin = margin
        self.temperature = temperature

    def forward(self, rows: tuple[torch.Tensor, torch.Tensor], owner: torch.Tensor) -> torch.Tensor:
        """Return the sum of hinges, or the mean over the batch of a softmax.

        ``owner`` is the image of each row: captions of the same image are not wrong.
        """
        images, captions = rows
        cosines = images @ captions.T
        same = owner[:, None] == owner[None, :]
        if self.negatives == "softmax":
            logits = cosines / self.temperature
            logits = logits.masked_fill(same.fill_diagonal_(False), -torch.inf)
            own = torch.arange(len(logits), device=logits.device)
            return functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)
        right = cosines.diagonal()
        wrong = cosines.masked_fill(same, -torch.inf) + self.margin
        caption_costs = (wrong - right[:, None]).clamp_min(0)
        image_costs = (wrong - right[None, :]).clamp_min(0)
        if self.negatives == "hardest":
            return caption_costs.amax(dim=1).sum() + image_costs.amax(dim=0).sum()
        return caption_costs.sum() + image_costs.sum()


@dataclass
class CaptionRows:
    """Images' features, what the text encoder takes for each caption, and its image's row."""

    features: np.ndarray
    text: np.ndarray
    owner: np.ndarray

    def __post_init__(self) -> None:
        is_words = self.text.dtype.kind == "i"
        self.lengths = (self.text != END).sum(axis=1) if is_words else None

    def texts(self, rows: np.ndarray) -> torch.Tensor:
        """Return some captions, padded to the longest of them."""
        text = self.text[rows]
        if self.lengths is not None:
            text = text[:, : self.lengths[rows].max() + 1]
        return torch.from_numpy(np.ascontiguousarray(text))

    def batch(self, rows: np.ndarray) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return some captions with their images, and the images' rows."""
        owner = self.owner[rows]
        features = torch.from_numpy(self.features[owner])
        return {"features": features, "text": self.texts(rows)}, torch.from_numpy(owner)


class CaptionBatches:
    """Batches for skorch: every caption of the data set once a pass, with its image."""

    def __init__(self, dataset: Dataset, batch_size: int, rows: CaptionRows, seed: int) -> None:
        self.captions: Sequence[int] = dataset.X
        self.batch_size = batch_size
        self.rows = rows
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.captions) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        """Yield what the network takes and the rows of the images."""
        order = self._rng.permutation(self.captions)
        batches = []
        for start in range(0, len(order), self.batch_size * _SORTED_TOGETHER):
            pool = order[start : start + self.batch_size * _SORTED_TOGETHER]
            if self.rows.lengths is not None:
                pool = pool[np.argsort(self.rows.lengths[pool], kind="stable")]
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        for i in self._rng.permutation(len(batches)):
            yield self.rows.batch(batches[i])
