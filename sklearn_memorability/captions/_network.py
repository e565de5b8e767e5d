"""The network of the joint space: a projection of pictures, an encoder of captions."""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sklearn_memorability.captions._words import END

RECURRENT = {"lstm": nn.LSTM, "gru": nn.GRU}


class JointNetwork(nn.Module):
    """Pictures and captions into one space.

    Parameters
    ----------
    n_features : int
        Width of a picture's feature.
    n_components : int
        Dimension of the space.
    text : torch.nn.Module
        From captions to (n_captions, n_components), before their norm.
    dropout : float
        Share of a picture's features left out in training.
    init_seed, dropout_seed : int
        Seeds of its own generators; torch's global one is not touched.
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        text: nn.Module,
        dropout: float,
        init_seed: int,
        dropout_seed: int,
    ) -> None:
        super().__init__()
        self.image = own_linear(n_features, n_components, init_seed)
        self.text = text
        self.drop = Dropout(dropout, dropout_seed)

    def forward(
        self, features: torch.Tensor, text: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the unit rows of pictures and of their captions."""
        pictures = self.image(self.drop(functional.normalize(features)))
        return functional.normalize(pictures), functional.normalize(self.text(text))


class RecurrentEncoder(nn.Module):
    """The last state of a recurrent network over the words, the end mark included.

    Parameters
    ----------
    n_words : int
        Words in the vocabulary, the two special ones included.
    word_dim : int
        Dimension of a word's vector.
    n_components : int
        Dimension of the state.
    kind : {"lstm", "gru"}
        The cell.
    dropout : float
        Share of the entries of word vectors left out in training.
    seeds : pair of int
        Of initialisation and dropout.
    """

    def __init__(
        self,
        n_words: int,
        word_dim: int,
        n_components: int,
        kind: str = "lstm",
        dropout: float = 0.0,
        seeds: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(seeds[0])
        self.words = own_table(n_words, word_dim, chance)
        cell = RECURRENT[kind]
        # Made without drawing from the global generator, then drawn from ours.
        self.recurrent = cell(word_dim, n_components, batch_first=True, device="meta")
        self.recurrent.to_empty(device="cpu")
        for name, weight in self.recurrent.named_parameters():
            if "weight_hh" in name:
                # Orthogonal for each gate, as Kiros's code has it.
                for part in weight.data.split(n_components):
                    nn.init.orthogonal_(part, generator=chance)
            elif "weight_ih" in name:
                limit = math.sqrt(6 / (word_dim + n_components))
                nn.init.uniform_(weight, -limit, limit, generator=chance)
            else:
                nn.init.zeros_(weight)
        self.drop = Dropout(dropout, seeds[1])

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the state behind the first end mark of each row."""
        states, _ = self.recurrent(self.drop(self.words(numbers)))
        last = (numbers != END).sum(dim=1)
        return states[torch.arange(len(states), device=states.device), last]


class BagEncoder(nn.Module):
    """The mean over the words of their rows.

    Parameters
    ----------
    n_words : int
        Words in the vocabulary, the two special ones included.
    word_dim : int
        Dimension of a word's vector; where it is not ``n_components``, a matrix takes
        the mean there.
    n_components : int
        Dimension of the space.
    dropout : float
        Share of the words of a caption left out in training.
    seeds : pair of int
        Of initialisation and dropout.
    """

    def __init__(
        self,
        n_words: int,
        word_dim: int,
        n_components: int,
        dropout: float = 0.0,
        seeds: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(seeds[0])
        self.words = own_table(n_words, word_dim, chance)
        self.project: nn.Module = nn.Identity()
        if word_dim != n_components:
            self.project = own_linear(word_dim, n_components, seeds[0] + 1)
        self.drop = Dropout(dropout, seeds[1])

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the mean of each row's words; a row without words has the end mark's."""
        is_word = (numbers != END).float()
        is_word[:, 0] = is_word[:, 0].clamp_min(torch.finfo(torch.float32).tiny)
        kept = self.drop(is_word)
        # As weights of an embedding bag the words are never laid out side by side.
        total = functional.embedding_bag(
            numbers, self.words.weight, per_sample_weights=kept, mode="sum"
        )
        return self.project(total / is_word.sum(dim=1, keepdim=True))


class SentenceEncoder(nn.Module):
    """A linear map of sentence embeddings that are computed beforehand.

    Parameters
    ----------
    n_inputs : int
        Width of a sentence embedding.
    n_components : int
        Dimension of the space.
    dropout : float
        Share of the inputs left out in training.
    seeds : pair of int
        Of initialisation and dropout.
    """

    def __init__(
        self,
        n_inputs: int,
        n_components: int,
        dropout: float = 0.0,
        seeds: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.project = own_linear(n_inputs, n_components, seeds[0])
        self.drop = Dropout(dropout, seeds[1])

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the mapped embeddings."""
        return self.project(self.drop(functional.normalize(embeddings)))


class RankingLoss(nn.Module):
    """The loss of a batch of pictures with a caption each, in both directions.

    Parameters
    ----------
    negatives : {"sum", "hardest", "softmax"}
        The wrong ones that count: all, by a hinge each (Kiros et al. 2014); the worst
        one alone (Faghri et al. 2018); all, by a softmax.
    margin : float
        By how much the right one must be nearer than a wrong one.
    temperature : float
        What cosines are divided by in the softmax.
    """

    def __init__(self, negatives: str, margin: float, temperature: float) -> None:
        super().__init__()
        self.negatives = negatives
        self.margin = margin
        self.temperature = temperature

    def forward(self, rows: tuple[torch.Tensor, torch.Tensor], owner: torch.Tensor) -> torch.Tensor:
        """Return the loss: the sum of hinges, or the mean over the batch of a softmax.

        Parameters
        ----------
        rows : pair of torch.Tensor of shape (n, n_components)
            Unit rows of pictures and captions.
        owner : torch.Tensor of shape (n,)
            Which picture each row is of: captions of the same one are not wrong.

        Returns
        -------
        torch.Tensor
            A scalar.
        """
        pictures, captions = rows
        nearness = pictures @ captions.T
        right = nearness.diagonal()
        same = owner[:, None] == owner[None, :]
        if self.negatives == "softmax":
            same = same.fill_diagonal_(False)
            logits = (nearness / self.temperature).masked_fill(same, -torch.inf)
            where = torch.arange(len(logits), device=logits.device)
            both = (
                functional.cross_entropy(logits, where),
                functional.cross_entropy(logits.T, where),
            )
            return both[0] + both[1]
        wrong = nearness.masked_fill(same, -torch.inf) + self.margin
        captions_lost = (wrong - right[:, None]).clamp_min(0)
        pictures_lost = (wrong - right[None, :]).clamp_min(0)
        if self.negatives == "hardest":
            total = captions_lost.amax(dim=1).sum() + pictures_lost.amax(dim=0).sum()
        else:
            total = captions_lost.sum() + pictures_lost.sum()
        return total


class Dropout(nn.Module):
    """Dropout that draws from a generator of its own.

    Parameters
    ----------
    rate : float
        Share of the entries left out in training.
    seed : int
        Its seed.
    """

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__()
        self.rate = rate
        self.seed = seed
        self._generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Leave out entries, and scale up the others."""
        if not self.training or self.rate == 0:
            return x
        if self._generator is None or self._generator.device != x.device:
            self._generator = torch.Generator(x.device).manual_seed(self.seed)
        kept = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self._generator)
        return x * kept.div_(1 - self.rate)

    def __getstate__(self) -> dict[str, Any]:
        # Generators can't be pickled or copied everywhere; it comes back from its seed.
        return {**self.__dict__, "_generator": None}


def own_linear(n_in: int, n_out: int, seed: int) -> nn.Linear:
    """Return a linear layer as Glorot starts it, drawn without the global generator."""
    chance = torch.Generator().manual_seed(seed)
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
    nn.init.xavier_uniform_(layer.weight, generator=chance)
    nn.init.zeros_(layer.bias)
    return layer


def own_table(n_rows: int, width: int, chance: torch.Generator) -> nn.Embedding:
    """Return a table of small word vectors, drawn without the global generator."""
    return nn.Embedding(
        n_rows, width, _weight=torch.empty(n_rows, width).normal_(0, 0.1, generator=chance)
    )
