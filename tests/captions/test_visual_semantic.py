import _thread
import pickle
import sys
import threading
from io import BytesIO

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
)

from sklearn_memorability.captions import VisualSemanticEmbedding, caption_recall

NOUNS = ["dog", "car", "boat", "horse", "tree", "child"]


@pytest.fixture(scope="module")
def pairs():
    """Images of six kinds, with two captions each."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(6, size=240)
    X = (rng.normal(size=(240, 12)) + 4 * np.eye(6, 12)[kinds]).astype(np.float32)
    captions = [[f"A {NOUNS[kind]} there .", f"the {NOUNS[kind]}"] for kind in kinds]
    return X, captions, kinds


def small(**params):
    settings = {"text_encoder": "bow", "lr": 0.02, "batch_size": 32}
    return VisualSemanticEmbedding(16, random_state=0, **{**settings, **params})


def _tells_kinds(space, X, kinds):
    captions = space.transform_captions([f"a {noun}" for noun in NOUNS])
    return ((space.transform(X) @ captions.T).argmax(axis=1) == kinds).mean() > 0.9


class SentenceTransformer:
    """Stands in for that of sentence-transformers, which is no part of the tests' machine."""

    def __init__(self, name):
        assert name == "NOUNS"

    def encode(self, captions):
        return np.array([[noun in caption for noun in NOUNS] for caption in captions], dtype=float)


@pytest.fixture(autouse=True)
def sentence_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", sys.modules[__name__])


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"text_encoder": "gru"},
        {"text_encoder": "lstm"},
        {"text_encoder": "sentence:NOUNS"},
        {"negatives": "hardest"},
        {"negatives": "softmax"},
        {"tokenizer": "words_and_marks", "text_dropout": 0.2, "dropout": 0.2},
        {"early_stopping": False},
        {"word_vectors": {noun: np.eye(6)[i] for i, noun in enumerate(NOUNS)}},
    ],
    ids=lambda params: "-".join(map(str, params)) or "default",
)
def test_it_learns_to_tell_what_captions_tell(pairs, params):
    X, captions, kinds = pairs
    space = small(**params).fit(X, captions)
    assert _tells_kinds(space, X, kinds)
    for rows in (space.transform(X), space.transform_captions(["a dog", "xyz !", "!!!"])):
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_projection_is_the_formula(pairs):
    X, captions, _ = pairs
    space = small(max_epochs=1).fit(X, captions)
    unit = X.astype(float) / np.linalg.norm(X, axis=1, keepdims=True)
    rows = unit @ space.image_weights_ + space.image_bias_
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(space.transform(X), rows, atol=1e-6)
    assert space.get_feature_names_out()[0] == "visualsemanticembedding0"
    assert len(space.get_feature_names_out()) == space.n_components_ == 16


def test_it_keeps_to_scikit_learns_conventions_and_kiros_settings():
    params = VisualSemanticEmbedding().get_params()
    assert (params["n_components"], params["batch_size"], params["max_epochs"]) == (1024, 128, 15)
    assert (params["text_encoder"], params["negatives"]) == ("lstm", "sum")
    assert (params["margin"], params["lr"]) == (0.2, 2e-4)
    # Its targets are captions, so checks that make up X and y of numbers can't run.
    name = "VisualSemanticEmbedding"
    check_parameters_default_constructible(name, VisualSemanticEmbedding())
    check_no_attributes_set_in_init(name, VisualSemanticEmbedding())
    with pytest.raises(NotFittedError):
        VisualSemanticEmbedding().transform([[1.0]])
    with pytest.raises(NotFittedError):
        VisualSemanticEmbedding().transform_captions(["a"])


def test_fits_are_reproducible_and_leave_the_global_generators_alone(pairs):
    X, captions, _ = pairs
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    model = small(dropout=0.2, text_dropout=0.2, max_epochs=2)
    first = model.fit(X, captions).transform(X)
    again = clone(model).fit(X, captions).transform(X)
    other = clone(model).set_params(random_state=1).fit(X, captions).transform(X)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])


def test_training_stops_at_the_best_epoch_and_keeps_its_weights(pairs):
    X, captions, _ = pairs
    space = small(lr=0.1, max_epochs=40).fit(X, captions)
    recalls = [epoch["valid_recall"] for epoch in space.history_]
    best = int(np.argmax(recalls)) + 1
    assert len(recalls) == best + 5 < 40
    until_best = small(lr=0.1, max_epochs=best).fit(X, captions)
    np.testing.assert_array_equal(space.image_weights_, until_best.image_weights_)


@pytest.mark.parametrize(("early_stopping", "share"), [(True, 0.1), (0.25, 0.25), (False, 0)])
def test_held_out_images_are_not_learned_from(pairs, early_stopping, share):
    # The words of held-out images alone are unknown.
    X = pairs[0]
    captions = [[f"word{i} thing"] for i in range(len(X))]
    space = small(max_epochs=1, early_stopping=early_stopping).fit(X, captions)
    assert len(space.vocabulary_) == (1 - share) * len(X) + 1


def test_recall_and_score_are_those_of_the_rows(pairs):
    X, captions = pairs[0][:40], [[f"image number {i}"] for i in range(40)]
    space = small(early_stopping=False, max_epochs=60).fit(X, captions)
    rows = space.transform(X), space.transform_captions([text for [text] in captions])
    recall = space.recall(X, captions, k=(1, 5))
    expected = caption_recall(*rows, np.arange(40), k=(1, 5))
    np.testing.assert_array_equal(recall.image_to_text, expected.image_to_text)
    assert recall.image_to_text[0] > 0.5
    assert space.score(X, captions) == pytest.approx(space.recall(X, captions).sum / 600)


def test_word_vectors_are_where_words_start(pairs):
    X, captions, _ = pairs
    vectors = {"dog": np.array([1.0, -1, 1, -1]), "car": np.array([-1.0, 1, 1, -1])}
    space = small(word_vectors=vectors, lr=1e-12, max_epochs=1).fit(X, captions)
    table = space.text_weights_["words.weight"]
    rows = table[[space.vocabulary_["dog"], space.vocabulary_["car"]]]
    np.testing.assert_allclose(rows, 0.1 * np.stack(list(vectors.values())), atol=1e-6)
    assert table.shape[1] == 4


def test_a_stale_space_does_not_survive_a_refit(pairs):
    X, captions, _ = pairs
    space = small(max_epochs=1).fit(X, captions)
    space.set_params(text_encoder="sentence:NOUNS", n_components=4).fit(X[:, :7], captions)
    assert space.transform(X[:, :7]).shape == (240, 4)
    assert space.vocabulary_ is None


@pytest.mark.parametrize("text_encoder", ["bow", "lstm", "sentence:NOUNS"])
def test_its_state_is_plain_and_gives_the_same_space(pairs, text_encoder):
    X, captions, _ = pairs
    space = small(max_epochs=1, text_encoder=text_encoder, device=torch.device("cpu"))
    space.fit(X, captions).transform_captions(["a dog"])
    buffer = BytesIO()
    joblib.dump(space, buffer)
    content = skops.io.dumps(space)
    # Nothing else than plain values and arrays is in it, or skops would refuse it.
    trusted = ["sklearn_memorability.captions._visual_semantic.VisualSemanticEmbedding"]
    for again in (
        pickle.loads(pickle.dumps(space)),
        joblib.load(buffer),
        skops.io.loads(content, trusted=trusted),
    ):
        np.testing.assert_array_equal(again.transform(X), space.transform(X))
        np.testing.assert_array_equal(
            again.transform_captions(["a dog"]), space.transform_captions(["a dog"])
        )
        assert again.history_ == space.history_


def test_an_interrupted_refit_leaves_an_unfitted_space(pairs):
    X, captions, _ = pairs
    space = small(max_epochs=1).fit(X, captions)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        space.set_params(max_epochs=100_000, early_stopping=False).fit(X, captions)
    with pytest.raises(NotFittedError):
        space.transform(X)


def test_progress_is_shown_only_when_asked_for(pairs, capsys):
    X, captions, _ = pairs
    small(max_epochs=1).fit(X, captions)
    assert capsys.readouterr() == ("", "")
    small(max_epochs=2, verbose=1).fit(X, captions)
    out, err = capsys.readouterr()
    assert "valid_recall" in out
    assert "/14 [" in err


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"text_encoder": "transformer"}, "'lstm', 'gru', 'bow'"),
        ({"negatives": "all"}, "negatives"),
        ({"n_components": 0}, "n_components"),
        ({"batch_size": 1}, "batch_size"),
        ({"tokenizer": "letters"}, "tokenizer"),
        ({"early_stopping": 1.5}, "early_stopping"),
    ],
)
def test_a_wrong_parameter_is_named(pairs, params, message):
    X, captions, _ = pairs
    with pytest.raises(ValueError, match=message):
        small().set_params(**params).fit(X, captions)


def test_wrong_input_is_named(pairs, monkeypatch):
    X, captions, _ = pairs
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sentence_transformers", None)
        with pytest.raises(ImportError, match=r"sklearn-memorability\[sentences\]"):
            small(text_encoder="sentence:another").fit(X, captions)
    space = small(max_epochs=1).fit(X, captions)
    with pytest.raises(ValueError, match="X has 5 features"):
        space.transform(X[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        small().fit(np.full_like(X, np.nan), captions)
    with pytest.raises(ValueError, match="Row 0 of captions"):
        space.transform_captions([3])
    assert space.transform_captions([]).shape == (0, 16)
    zero = space.transform(np.zeros((1, 12)))
    assert np.isfinite(zero).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_devices_agree(pairs):
    X, captions, kinds = pairs
    for encoder in ("bow", "lstm"):
        torch.cuda.reset_peak_memory_stats()
        space = small(text_encoder=encoder, device="cuda").fit(X, captions)
        assert torch.cuda.max_memory_allocated() > 0
        assert _tells_kinds(space, X, kinds)
