import pickle
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
)
from skorch.callbacks import Callback

from sklearn_memorability.captions import VisualSemanticEmbedding, _net

NOUNS = ["dog", "car", "boat", "horse", "tree", "child"]


@pytest.fixture(scope="module")
def pairs():
    """Pictures of six kinds, with two captions each."""
    chance = np.random.default_rng(0)
    kinds = chance.integers(6, size=240)
    X = (chance.normal(size=(240, 12)) + 4 * np.eye(6, 12)[kinds]).astype(np.float32)
    captions = [[f"A {NOUNS[kind]} there .", f"the {NOUNS[kind]}"] for kind in kinds]
    return X, captions, kinds


def small(**params):
    settings = {"text_encoder": "bow", "word_dim": 8, "lr": 0.02, "batch_size": 32}
    return VisualSemanticEmbedding(16, random_state=0, **{**settings, **params})


def _tells_kinds(space, X, kinds):
    captions = space.transform_captions([f"a {noun}" for noun in NOUNS])
    return ((space.transform(X) @ captions.T).argmax(axis=1) == kinds).mean() > 0.9


def sentence_model(captions):
    return np.array([[noun in caption for noun in NOUNS] for caption in captions], dtype=float)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"text_encoder": "gru"},
        {"text_encoder": "lstm"},
        {"text_encoder": sentence_model},
        {"negatives": "hardest"},
        {"negatives": "softmax"},
        {"tokenizer": "words_and_pairs", "text_dropout": 0.2, "dropout": 0.2},
        {"early_stopping": False, "optimizer": "adamw", "weight_decay": 0.1},
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


def test_defaults_are_those_of_the_paper_and_of_kiros():
    params = VisualSemanticEmbedding().get_params()
    assert params["n_components"] == 1024
    assert params["text_encoder"] == "lstm"
    assert (params["margin"], params["word_dim"], params["batch_size"]) == (0.2, 300, 128)
    assert (params["lr"], params["max_epochs"], params["max_grad_norm"]) == (2e-4, 15, 2.0)


def test_it_keeps_to_scikit_learns_conventions():
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


def test_the_weights_of_the_best_epoch_are_restored(pairs, monkeypatch):
    X, captions, _ = pairs
    figures = iter([10.0, 30.0, 20.0, 5.0])
    at_best = []

    def recall(net, rows, held):
        figure = next(figures)
        if figure == 30:
            at_best.append(net.module_.image.weight.detach().numpy().T.copy())
        return type("Recall", (), {"sum": figure})

    monkeypatch.setattr(_net, "recall_on", recall)
    space = small(patience=2).fit(X, captions)
    assert len(space.history_) == 4
    np.testing.assert_array_equal(space.image_weights_, at_best[0])


def test_held_out_pictures_are_not_learned_from(pairs):
    # The words of held-out pictures alone are unknown.
    X, captions, _ = pairs
    captions = [[f"word{i} thing"] for i in range(len(X))]
    space = small(max_epochs=1, validation_fraction=0.25).fit(X, captions)
    assert len(space.vocabulary_) == 0.75 * len(X) + 1


def test_word_vectors_are_where_words_start(pairs):
    X, captions, _ = pairs
    vectors = {"dog": np.array([1.0, -1, 1, -1]), "car": np.array([-1.0, 1, 1, -1])}
    space = small(word_vectors=vectors, lr=1e-12, max_epochs=1).fit(X, captions)
    table = space.text_side_.words.weight.numpy()
    found = table[[space.vocabulary_["dog"], space.vocabulary_["car"]]]
    np.testing.assert_allclose(found, 0.1 * np.stack(list(vectors.values())), atol=1e-6)
    assert table.shape[1] == 4


def test_recall_rank_and_score_agree(pairs):
    X, captions, _ = pairs
    X, captions = X[:40], [[f"picture number {i}"] for i in range(40)]
    space = small(early_stopping=False, max_epochs=60).fit(X, captions)
    texts = [c[0] for c in captions]
    order = space.rank(X, texts)
    assert order.shape == (40, 40)
    recall = space.recall(X, captions, k=(1, 5))
    hits = [(order[:, :k] == np.arange(40)[:, None]).any(axis=1).mean() for k in (1, 5)]
    np.testing.assert_allclose(recall.image_to_text, hits)
    assert hits[0] > 0.5
    assert space.rank(X, texts, k=3).shape == (40, 3)
    assert space.score(X, captions) == pytest.approx(space.recall(X, captions).sum / 600)


def test_a_stale_space_does_not_survive_a_refit(pairs):
    X, captions, _ = pairs
    space = small(max_epochs=1).fit(X, captions)
    space.set_params(text_encoder=sentence_model, n_components=4).fit(X[:, :7], captions)
    assert space.transform(X[:, :7]).shape == (240, 4)
    assert space.vocabulary_ is None


def test_a_pickle_gives_the_same_space(pairs):
    X, captions, _ = pairs
    space = small(max_epochs=1, text_encoder=sentence_model).fit(X, captions)
    again = pickle.loads(pickle.dumps(space))
    np.testing.assert_array_equal(again.transform(X), space.transform(X))
    np.testing.assert_array_equal(
        again.transform_captions(["a dog"]), space.transform_captions(["a dog"])
    )


def test_an_interrupted_refit_leaves_an_unfitted_space(pairs, monkeypatch):
    X, captions, _ = pairs

    class Interrupts(Callback):
        def __init__(self, **kwargs):
            pass

        def on_epoch_end(self, net, **kwargs):
            _from_the_keyboard()

    space = small(max_epochs=2).fit(X, captions)
    monkeypatch.setattr(_net, "ProgressBar", Interrupts)
    with pytest.raises(KeyboardInterrupt):
        space.set_params(verbose=1).fit(X, captions)
    with pytest.raises(NotFittedError):
        space.transform(X)


def _from_the_keyboard():
    raise KeyboardInterrupt


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
        ({"text_encoder": lambda captions: np.ones(3)}, "one finite row a caption"),
    ],
)
def test_a_wrong_parameter_is_named(pairs, params, message):
    X, captions, _ = pairs
    with pytest.raises(ValueError, match=message):
        small().set_params(**params).fit(X, captions)


def test_a_missing_extra_is_named(pairs, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    X, captions, _ = pairs
    with pytest.raises(ImportError, match=r"sklearn-memorability\[sentences\]"):
        small(text_encoder="sentence:all-MiniLM-L6-v2").fit(X, captions)


def test_wrong_input_is_named(pairs):
    X, captions, _ = pairs
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
        space = small(text_encoder=encoder, device="cuda").fit(X, captions)
        assert space.device_.type == "cuda"
        assert _tells_kinds(space, X, kinds)
