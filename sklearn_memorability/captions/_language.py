"""What a fit learns of the language before it trains, and captions as numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_memorability.captions._text import get_sentence_model, is_worded
from sklearn_memorability.captions._words import (
    FIRST_WORD,
    Tokenizer,
    count_words,
    find_vectors,
    get_tokenizer,
    number_words,
)


class Language:
    """What a fit knows of the language before it trains.

    Parameters
    ----------
    embedding : VisualSemanticEmbedding
        Its parameters are the settings.
    texts : list of str
        The captions to learn from.

    Attributes
    ----------
    vocabulary : dict of str to int or None
        The numbers of the words; None with a sentence model.
    vectors : pair of numpy.ndarray or None
        The numbers of the words that start from given vectors, and these.
    sentence_model : callable or None
        From captions to their embeddings.
    word_dim : int
        Length of the vectors of words.
    """

    def __init__(self, embedding: Any, texts: list[str]) -> None:
        self.vocabulary: dict[str, int] | None = None
        self.vectors: tuple[np.ndarray, np.ndarray] | None = None
        self.sentence_model: Callable[[Sequence[str]], np.ndarray] | None = None
        self.word_dim = embedding.word_dim
        self.tokenizer = embedding.tokenizer
        if not is_worded(embedding.text_encoder):
            self.sentence_model = get_sentence_model(embedding.text_encoder)
            return
        if embedding.text_encoder not in {"lstm", "gru", "bow"}:
            get_sentence_model(embedding.text_encoder)  # which says what there is
        cut = get_tokenizer(self.tokenizer)
        self.vocabulary = count_words(map(cut, texts), embedding.max_words, embedding.min_count)
        if embedding.word_vectors is not None:
            self.vectors = find_vectors(embedding.word_vectors, self.vocabulary)
            self.word_dim = self.vectors[1].shape[1]

    def encode(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what the language side is given for captions, and their lengths."""
        if self.sentence_model is not None:
            return self.sentence_model(texts), None
        assert self.vocabulary is not None  # noqa: S101 # for the type checker
        return numbered(texts, self.tokenizer, self.vocabulary, ())

    def n_inputs(self, text: np.ndarray) -> int:
        """Return how many words there are, or how wide a sentence embedding is."""
        return text.shape[1] if self.vocabulary is None else len(self.vocabulary) + FIRST_WORD


def numbered(
    texts: Sequence[str],
    tokenizer: str | Tokenizer,
    vocabulary: Mapping[str, int],
    prefix: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the words of captions, and how many words each has."""
    cut = get_tokenizer(tokenizer)
    words = [[*prefix, *cut(text)] for text in texts]
    return number_words(words, vocabulary), np.array([len(w) for w in words])
