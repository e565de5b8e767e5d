"""From captions to what a text encoder takes: numbers of words, or sentence embeddings."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from sklearn_memorability._utils._extras import import_extra

# Kiros's numbers: 0 ends every caption and fills up shorter ones; 1 stands for every word
# that is not in the vocabulary.
END, UNKNOWN, FIRST_WORD = 0, 1, 2

TOKENIZERS = {
    "words": re.compile(r"\w+(?:'\w+)*"),
    "words_and_marks": re.compile(r"\w+(?:'\w+)*|[^\w\s]"),
}
SENTENCES = "sentence:"


def as_captions(captions: Any, n_rows: int) -> tuple[list[str], np.ndarray]:
    """Return the captions of all rows in one list, and the row of each."""
    if isinstance(captions, str) or not hasattr(captions, "__iter__"):
        raise ValueError(
            "captions must hold a caption, or a list of them, for each row of X; got "
            f"{captions!r:.60}."
        )
    groups = [
        list(group) if hasattr(group, "__iter__") and not isinstance(group, str) else [group]
        for group in captions
    ]
    if len(groups) != n_rows:
        raise ValueError(
            f"captions has {len(groups)} rows and X has {n_rows}: give one caption, or one list "
            "of captions, for each row of X."
        )
    for row, group in enumerate(groups):
        if not group:
            raise ValueError(f"Row {row} of captions is empty: each row needs a caption.")
        for text in group:
            if not isinstance(text, str) or not text.strip():
                raise ValueError(
                    f"Row {row} of captions holds {text!r}, which is not a caption: captions are "
                    "strings with at least one word."
                )
    return list(chain(*groups)), np.repeat(np.arange(n_rows), [len(group) for group in groups])


def split_words(caption: str, tokenizer: str) -> list[str]:
    """Return the lower-cased words of a caption, with or without punctuation marks."""
    return TOKENIZERS[tokenizer].findall(caption.lower())


def count_words(captions: Sequence[str], tokenizer: str, min_count: int) -> dict[str, int]:
    """Give words numbers, the most frequent first, equally frequent ones by the alphabet."""
    counts = Counter(chain.from_iterable(split_words(text, tokenizer) for text in captions))
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return {w: i for i, w in enumerate((w for w in words if counts[w] >= min_count), FIRST_WORD)}


def number_words(
    captions: Sequence[str],
    tokenizer: str,
    vocabulary: Mapping[str, int],
    prefix: Sequence[str] = (),
) -> np.ndarray:
    """Return the numbers of each caption's words, of shape (n_captions, most_words + 1)."""
    rows = [[*prefix, *split_words(caption, tokenizer)] for caption in captions]
    numbers = np.full((len(rows), max(map(len, rows), default=0) + 1), END, np.int64)
    for row, words in zip(numbers, rows, strict=True):
        row[: len(words)] = [vocabulary.get(word, UNKNOWN) for word in words]
    return numbers


def find_vectors(word_vectors: Any, vocabulary: Mapping[str, int]) -> dict[int, np.ndarray]:
    """Return the given vectors of the words of a vocabulary, by the word's number."""
    vectors = {
        number: np.asarray(word_vectors[word], dtype=np.float32)
        for word, number in vocabulary.items()
        if word in word_vectors
    }
    if not vectors:
        raise ValueError(
            "word_vectors has a vector for none of the words of the captions, of which the most "
            f"frequent are {list(vocabulary)[:5]}. Are they in the same language, in lower case?"
        )
    shapes = {vector.shape for vector in vectors.values()}
    is_finite = all(np.isfinite(vector).all() for vector in vectors.values())
    if len(shapes) > 1 or len(min(shapes)) != 1 or not is_finite:
        raise ValueError(
            f"word_vectors must be finite vectors of one length; their shapes are {sorted(shapes)}."
        )
    return vectors


def embed_sentences(text_encoder: str, captions: Sequence[str]) -> np.ndarray:
    """Return what ``"sentence:NAME"`` gives for captions, one row each."""
    model = _open_sentence_model(text_encoder.removeprefix(SENTENCES))
    return np.asarray(model.encode(list(captions)), dtype=np.float32)


@lru_cache(maxsize=1)
def _open_sentence_model(name: str) -> Any:
    what = f"text_encoder='{SENTENCES}{name}'"
    return import_extra("sentence_transformers", what, "sentences").SentenceTransformer(name)
