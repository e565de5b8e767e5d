import numpy as np
import pytest

from sklearn_memorability.captions._words import (
    as_captions,
    count_words,
    find_vectors,
    get_tokenizer,
    number_words,
)


@pytest.mark.parametrize(
    ("tokenizer", "words"),
    [
        ("words", ["a", "dog's", "red", "ball"]),
        ("words_and_marks", ["a", "dog's", "red", "ball", "!"]),
        ("words_and_pairs", ["a", "dog's", "red", "ball", "a dog's", "dog's red", "red ball"]),
        (str.split, ["A", "dog's", "red", "ball", "!"]),
    ],
)
def test_captions_are_cut_into_words(tokenizer, words):
    assert get_tokenizer(tokenizer)("A dog's red ball !") == words


def test_words_are_numbered_by_frequency_whatever_the_order_of_the_captions():
    captions = [["b", "a"], ["c", "a"], ["d"]]
    expected = {"a": 2, "b": 3, "c": 4, "d": 5}
    assert count_words(captions, None, 1) == count_words(captions[::-1], None, 1) == expected
    assert count_words(captions, 2, 1) == {"a": 2, "b": 3}
    assert count_words(captions, None, 2) == {"a": 2}


def test_every_row_ends_and_unknown_words_share_a_number():
    numbers = number_words([["a", "x"], [], ["y"]], {"a": 2})
    assert numbers.tolist() == [[2, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_vectors_of_known_words_are_found_and_odd_ones_refused():
    vocabulary = {"a": 2, "b": 3, "c": 4}
    numbers, vectors = find_vectors({"a": [1, 2], "c": [3, 4], "z": [0, 0]}, vocabulary)
    assert numbers.tolist() == [2, 4]
    assert vectors.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match="none of the words.*'a', 'b', 'c'"):
        find_vectors({"z": [1.0]}, vocabulary)
    for odd in ({"a": [1, 2], "b": [1]}, {"a": [np.nan]}, {"a": 3.0}):
        with pytest.raises(ValueError, match="finite vectors of one length"):
            find_vectors(odd, vocabulary)


def test_one_or_several_captions_a_picture():
    texts, rows = as_captions(["one", ["two", "three"], ("four",)], 3)
    assert texts == ["one", "two", "three", "four"]
    assert rows.tolist() == [0, 1, 1, 2]


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
        as_captions(captions, 2)
