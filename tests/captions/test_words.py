"""Captions as they are given, their words, and word vectors; through ``fit``."""

import numpy as np
import pytest

from sklearn_memorability.captions import VisualSemanticEmbedding

X = np.eye(4, 6)


def fit(captions, X=X[:2], **params):
    space = VisualSemanticEmbedding(4, text_encoder="bow", max_epochs=1, early_stopping=False)
    return space.set_params(**params).fit(X, captions)


@pytest.mark.parametrize(
    ("tokenizer", "words"),
    [("words", ["a", "ball", "dog's"]), ("words_and_marks", ["!", "a", "ball", "dog's"])],
)
def test_captions_are_split_into_words(tokenizer, words):
    space = fit(["A dog's ball!", "a dog's Ball !"], tokenizer=tokenizer)
    assert list(space.vocabulary_) == words


def test_words_are_numbered_by_frequency_whatever_the_order_of_the_captions():
    captions = ["b a", ["c a"], ("d",)]
    expected = {"a": 2, "b": 3, "c": 4, "d": 5}
    assert fit(captions, X[:3]).vocabulary_ == expected
    assert fit(captions[::-1], X[:3]).vocabulary_ == expected
    assert fit(captions, X[:3], min_count=2).vocabulary_ == {"a": 2}


def test_all_unknown_words_are_one():
    space = fit(["a dog", "a car"])
    rows = space.transform_captions(["a dog", "a xyz", "a zyx"])
    np.testing.assert_array_equal(rows[1], rows[2])
    assert not np.allclose(rows[0], rows[1])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"z": [1.0]}, "none of the words.*'a', 'b', 'c'"),
        ({"a": [1, 2], "b": [1]}, "finite vectors of one length"),
        ({"a": [np.nan]}, "finite vectors of one length"),
    ],
)
def test_odd_word_vectors_are_refused(vectors, message):
    with pytest.raises(ValueError, match=message):
        fit(["a b c", "a b c"], word_vectors=vectors)


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ("a dog", "a caption, or a list of them, for each row"),
        (None, "a caption, or a list of them, for each row"),
        (["a"], "has 1 rows and X has 2"),
        (["a", []], "Row 1 of captions is empty"),
        (["a", "  "], "Row 1 of captions holds '  '"),
        (["a", 3], "Row 1 of captions holds 3"),
        (["a", ["b", None]], "Row 1 of captions holds None"),
        (np.array([1.0, 2.0]), "Row 0 of captions holds"),
    ],
)
def test_what_is_no_caption_is_named(captions, message):
    with pytest.raises(ValueError, match=message):
        fit(captions)
