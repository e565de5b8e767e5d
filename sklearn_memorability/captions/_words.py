"""From captions to the numbers of their words."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np

# Kiros's numbers: every caption ends in 0, which is what shorter ones are filled up with
# too; 1 stands for all words that are not in the vocabulary.
END, UNKNOWN, FIRST_WORD = 0, 1, 2

Tokenizer = Callable[[str], list[str]]

_PATTERNS = {
    "words": re.compile(r"\w+(?:'\w+)*"),
    "words_and_marks": re.compile(r"\w+(?:'\w+)*|[^\w\s]"),
}
TOKENIZERS = frozenset({*_PATTERNS, "words_and_pairs"})


def get_tokenizer(tokenizer: str | Tokenizer) -> Tokenizer:
    """Return the function that cuts a caption into words.

    Parameters
    ----------
    tokenizer : {"words", "words_and_pairs", "words_and_marks"} or callable
        Lower-cased words without punctuation; these, and every two that stand side by
        side; words and marks; or a function of the user's own.

    Returns
    -------
    callable
        From a string to a list of strings.
    """
    if callable(tokenizer):
        return tokenizer
    if tokenizer == "words_and_pairs":
        return _words_and_pairs
    pattern = _PATTERNS[tokenizer]
    return lambda caption: pattern.findall(caption.lower())


def _words_and_pairs(caption: str) -> list[str]:
    words = _PATTERNS["words"].findall(caption.lower())
    return words + [" ".join(pair) for pair in pairwise(words)]


def count_words(
    captions: Iterable[Sequence[str]], max_words: int | None, min_count: int
) -> dict[str, int]:
    """Give numbers to the words of captions, the most frequent first.

    Parameters
    ----------
    captions : iterable of list of str
        Captions, cut into words.
    max_words : int or None
        How many words to number at the most.
    min_count : int
        How often a word must be there to be numbered.

    Returns
    -------
    dict of str to int
        Numbers from 2 on; equally frequent words in the order of the alphabet, so that
        the order of the captions does not matter.
    """
    counts = Counter(chain.from_iterable(captions))
    words = sorted(counts, key=lambda word: (-counts[word], word))
    words = [word for word in words if counts[word] >= min_count][:max_words]
    return {word: number for number, word in enumerate(words, FIRST_WORD)}


def number_words(captions: Sequence[Sequence[str]], vocabulary: Mapping[str, int]) -> np.ndarray:
    """Return the numbers of the words of captions.

    Parameters
    ----------
    captions : sequence of list of str
        Captions, cut into words.
    vocabulary : mapping of str to int
        The number of each known word.

    Returns
    -------
    numpy.ndarray of shape (n_captions, most_words + 1), int64
        Each row ends in at least one ``END``.
    """
    numbers = np.full((len(captions), max(map(len, captions), default=0) + 1), END, np.int64)
    for row, words in zip(numbers, captions, strict=True):
        row[: len(words)] = [vocabulary.get(word, UNKNOWN) for word in words]
    return numbers


def find_vectors(word_vectors: Any, vocabulary: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors that are given for words of a vocabulary.

    Parameters
    ----------
    word_vectors : mapping of str to array-like, or gensim.models.KeyedVectors
        The vectors; anything with ``in`` and ``[]`` by word.
    vocabulary : mapping of str to int
        The words that are asked for.

    Returns
    -------
    numbers : numpy.ndarray of shape (n_found,), int64
        The numbers of the words that have a vector.
    vectors : numpy.ndarray of shape (n_found, word_dim), float32
        Their vectors.

    Raises
    ------
    ValueError
        If no word has a vector, or the vectors are not finite rows of one length.
    """
    numbers, vectors = [], []
    for word, number in vocabulary.items():
        if word in word_vectors:
            numbers.append(number)
            vectors.append(np.asarray(word_vectors[word], dtype=np.float32))
    if not vectors:
        raise ValueError(
            "word_vectors has a vector for none of the words of the captions, of which the most "
            f"frequent are {list(vocabulary)[:5]}. Are they in the same language, in lower case?"
        )
    shapes = {vector.shape for vector in vectors}
    if len(shapes) > 1 or vectors[0].ndim != 1 or not all(np.isfinite(v).all() for v in vectors):
        raise ValueError(
            f"word_vectors must be finite vectors of one length; their shapes are {sorted(shapes)}."
        )
    return np.array(numbers), np.stack(vectors)


def as_captions(captions: Any, n_rows: int) -> tuple[list[str], np.ndarray]:
    """Return the captions of all rows in one list.

    Parameters
    ----------
    captions : sequence of n_rows str or sequences of str
        One or several captions for each row.
    n_rows : int
        How many rows there are.

    Returns
    -------
    texts : list of n_captions str
        The captions.
    rows : numpy.ndarray of shape (n_captions,), int64
        The row of each.

    Raises
    ------
    ValueError
        If a row has no caption, or something is not a string that says something.
    """
    if isinstance(captions, str) or not hasattr(captions, "__iter__"):
        raise ValueError(
            "captions must hold a caption, or a list of them, for each row of X; got "
            f"{captions!r:.60}."
        )
    groups = [[group] if isinstance(group, str) else group for group in captions]
    if len(groups) != n_rows:
        raise ValueError(
            f"captions has {len(groups)} rows and X has {n_rows}: give one caption, or one list "
            "of captions, for each row of X."
        )
    texts: list[str] = []
    rows: list[int] = []
    for row, group in enumerate(groups):
        try:
            found = list(group)
        except TypeError:
            found = [group]
        if not found:
            raise ValueError(f"Row {row} of captions is empty: each row needs a caption.")
        for text in found:
            if not isinstance(text, str) or not text.strip():
                raise ValueError(
                    f"Row {row} of captions holds {text!r}, which is not a caption: captions are "
                    "strings with at least one word."
                )
        texts += found
        rows += [row] * len(found)
    return texts, np.array(rows, dtype=np.int64)
