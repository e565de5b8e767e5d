import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sklearn_memorability.captions import VisualSemanticEmbedding, load_embedding

CAPTIONS = ["a dog runs", "the red car", "a dog and a car"]
X = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)


def sentence_model(captions):
    return np.array([[len(c), c.count("a"), c.count("d")] for c in captions], dtype=float)


def fitted(**params):
    settings = {"text_encoder": "bow", "word_dim": 5, "max_epochs": 1, "random_state": 0}
    return VisualSemanticEmbedding(8, **{**settings, **params}).fit(X, CAPTIONS * 10)


@pytest.mark.parametrize("encoder", ["bow", "gru", "lstm"])
@pytest.mark.parametrize("tokenizer", ["words", "words_and_pairs"])
def test_a_file_gives_the_same_space(tmp_path, encoder, tokenizer):
    network = {"backbone": "vgg16", "layer": "fc6"}
    space = fitted(text_encoder=encoder, tokenizer=tokenizer, network=network)
    space.save(tmp_path / "space.safetensors")
    again = load_embedding(tmp_path / "space.safetensors")
    np.testing.assert_array_equal(again.transform(X), space.transform(X))
    np.testing.assert_array_equal(
        again.transform_captions(CAPTIONS), space.transform_captions(CAPTIONS)
    )
    assert again.network_ == network
    assert again.get_params()["text_encoder"] == encoder
    assert sorted(p.name for p in tmp_path.iterdir()) == ["space.safetensors"]


def test_half_precision_halves_the_file_and_hardly_moves_rows(tmp_path):
    space = fitted(text_encoder="gru", word_dim=100)
    space.save(tmp_path / "full.safetensors")
    space.save(tmp_path / "half.safetensors", dtype="float16")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    half = load_embedding(tmp_path / "half.safetensors")
    assert (half.transform(X) * space.transform(X)).sum(axis=1).min() > 0.9999
    with pytest.raises(ValueError, match="dtype='int8'"):
        space.save(tmp_path / "x.safetensors", dtype="int8")


def test_a_sentence_model_is_given_again(tmp_path):
    space = fitted(text_encoder=sentence_model)
    path = tmp_path / "space.safetensors"
    space.save(path)
    again = VisualSemanticEmbedding.load(path, text_encoder=sentence_model)
    np.testing.assert_array_equal(
        again.transform_captions(CAPTIONS), space.transform_captions(CAPTIONS)
    )
    pictures_only = VisualSemanticEmbedding.load(path)
    np.testing.assert_array_equal(pictures_only.transform(X), space.transform(X))
    with pytest.raises(ValueError, match="no language side"):
        pictures_only.transform_captions(CAPTIONS)


def test_what_a_file_cannot_hold_is_said(tmp_path):
    with pytest.raises(ValueError, match="tokenizer is a function"):
        fitted(tokenizer=str.split).save(tmp_path / "space.safetensors")
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        fitted().save(tmp_path / "space.pkl")
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        load_embedding(tmp_path / "missing.safetensors")
    with pytest.raises(FileNotFoundError, match="bundled one .*flickr8k"):
        load_embedding("flickr30k")
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.ones(2)}, other)
    with pytest.raises(ValueError, match=r"other\.safetensors.*VisualSemanticEmbedding\.save"):
        load_embedding(other)


def _altered(path, **changes):
    with safe_open(path, framework="pt") as file:
        # safetensors gives no iterator of its own.
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    settings = json.loads(metadata["settings"])
    for name, value in changes.items():
        if isinstance(value, torch.Tensor):
            tensors[name.replace("__", ".")] = value
        else:
            settings[name] = value
    save_file(tensors, path, {**metadata, "settings": json.dumps(settings)})


@pytest.mark.parametrize(
    "changes",
    [
        {"image__weight": torch.full((6, 8), torch.nan)},
        {"image__weight": torch.ones(6)},
        {"image__bias": torch.ones(3)},
        {"text__words__weight": torch.ones(2, 5)},
        {"text__words__weight": torch.ones(5)},
        {"words": ["a"]},
        {"numbers": [10**9] * 7},
        {"numbers": ["2"] * 7},
        {"text_encoder": "transformer"},
        {"text_encoder": "gru"},
        {"text_encoder": 3},
        {"parameters": {"no_such": 1}},
        {"parameters": [1]},
        {"parameters": {"margin": "x"}},
        {"network": 3},
        {"tokenizer": "letters"},
    ],
    ids=str,
)
def test_damaged_files_are_an_error_that_names_them(tmp_path, changes):
    path = tmp_path / "space.safetensors"
    fitted().save(path)
    _altered(path, **changes)
    with pytest.raises(ValueError, match=r"space\.safetensors"):
        load_embedding(path)


def test_cut_and_mutated_files_never_raise_anything_else(tmp_path):
    path = tmp_path / "space.safetensors"
    fitted().save(path)
    content = path.read_bytes()
    chance = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        mutated = bytearray(content)
        for place in chance.integers(min(len(content), 1500), size=3):
            mutated[place] = chance.integers(256)
        path.write_bytes(mutated[: chance.integers(1, len(content) + 1)])
        try:
            load_embedding(path)
        except ValueError as error:
            assert "space.safetensors" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 200


def _kiros(folder, n_features=24, n_components=16, word_dim=5):
    """Write files as released, with few units, and return their arrays."""
    chance = np.random.default_rng(0)
    d = n_components
    shapes = {
        "ff_image_W": (n_features, d),
        "ff_image_b": (d,),
        "Wemb": (6, word_dim),
        "encoder_W": (word_dim, 2 * d),
        "encoder_b": (2 * d,),
        "encoder_U": (d, 2 * d),
        "encoder_Wx": (word_dim, d),
        "encoder_Ux": (d, d),
        "encoder_bx": (d,),
    }
    # As large as weights are, so that no step blows up what rounding leaves.
    arrays = {
        name: (chance.normal(size=s) / np.sqrt(s[0])).astype(np.float32)
        for name, s in shapes.items()
    }
    np.savez(folder / "X.npz", **arrays)
    pairs = b"".join(
        b"(lp%d\nS'%s'\np%d\naI%d\naa" % (10 * i + 5, word, 10 * i + 6, i)
        for i, word in enumerate([b"a", b"dog", b".", b"car"], 2)
    )
    # What cPickle of Python 2 writes of an OrderedDict in its protocol 0.
    (folder / "X.npz.dictionary.pkl").write_bytes(
        b"ccollections\nOrderedDict\np1\n((lp2\n" + pairs + b"tp3\nRp4\n."
    )
    return arrays


def _gru_by_hand(arrays, numbers):
    """The code of Kiros et al., in NumPy: one caption, one step at a time."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    a = {name: value.astype(float) for name, value in arrays.items()}
    d = a["ff_image_b"].shape[0]
    h = np.zeros(d)
    for number in [*numbers, 0]:
        x = a["Wemb"][number]
        gates = sigmoid(h @ a["encoder_U"] + x @ a["encoder_W"] + a["encoder_b"])
        r, u = gates[:d], gates[d:]
        new = np.tanh(r * (h @ a["encoder_Ux"]) + x @ a["encoder_Wx"] + a["encoder_bx"])
        h = u * h + (1 - u) * new
    return h / np.linalg.norm(h)


@pytest.mark.parametrize("sizes", [(24, 16, 5), (4096, 1024, 300)])
def test_kiros_released_embedding_is_its_formulas(tmp_path, sizes):
    arrays = _kiros(tmp_path, *sizes)
    space = VisualSemanticEmbedding.from_kiros(tmp_path / "X.npz")
    pictures = np.random.default_rng(1).exponential(size=(3, sizes[0]))
    unit = pictures / np.linalg.norm(pictures, axis=1, keepdims=True)
    rows = unit @ arrays["ff_image_W"] + arrays["ff_image_b"]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(space.transform(pictures), rows, atol=1e-5)
    found = space.transform_captions(["A dog .", "the car", "dog"])
    for row, numbers in zip(found, ([2, 3, 4], [1, 5], [3]), strict=True):
        np.testing.assert_allclose(row, _gru_by_hand(arrays, numbers), atol=1e-5)
    assert space.network_ == {"backbone": "vgg19", "layer": "fc7", "preprocessing": "caffe"}

    space.save(tmp_path / "kiros.safetensors")
    again = load_embedding(tmp_path / "kiros.safetensors")
    np.testing.assert_allclose(again.transform_captions(["a dog ."]), found[:1], atol=1e-6)


def test_without_its_dictionary_kiros_embedding_is_the_pictures_side(tmp_path):
    _kiros(tmp_path)
    (tmp_path / "X.npz.dictionary.pkl").unlink()
    space = VisualSemanticEmbedding.from_kiros(tmp_path / "X.npz")
    assert space.transform(np.ones((1, 24))).shape == (1, 16)
    with pytest.raises(ValueError, match=r"dictionary\.pkl"):
        space.transform_captions(["a dog"])


def test_vsepp_checkpoints_are_read(tmp_path):
    chance = torch.Generator().manual_seed(0)
    gru = torch.nn.GRU(5, 8, batch_first=True)
    table = torch.randn(6, 5, generator=chance)
    image = {
        "fc.weight": torch.randn(8, 12, generator=chance),
        "fc.bias": torch.randn(8, generator=chance),
    }
    text = {"embed.weight": table} | {f"rnn.{k}": v for k, v in gru.state_dict().items()}
    torch.save({"model": [image, text], "epoch": 3}, tmp_path / "model_best.pth.tar")
    words = {"<pad>": 0, "<start>": 1, "<end>": 2, "<unk>": 3, "dog": 4, "car": 5}
    space = VisualSemanticEmbedding.from_vsepp(
        tmp_path / "model_best.pth.tar", vocabulary=words, network="vgg19"
    )
    with torch.no_grad():
        expected = gru(table[torch.tensor([[1, 3, 4, 2]])])[0][0, -1]
    found = space.transform_captions(["xyz dog"])[0]
    np.testing.assert_allclose(found, expected / expected.norm(), atol=1e-6)
    pictures = torch.randn(2, 12, generator=chance)
    rows = torch.nn.functional.normalize(pictures) @ image["fc.weight"].T + image["fc.bias"]
    rows = torch.nn.functional.normalize(rows)
    np.testing.assert_allclose(space.transform(pictures.numpy()), rows, atol=1e-6)
    assert space.network_ == {"backbone": "vgg19"}


def test_parameters_of_a_search_are_kept_as_plain_numbers(tmp_path):
    space = fitted(margin=np.float64(0.3), batch_size=np.int64(16))
    space.save(tmp_path / "space.safetensors")
    again = load_embedding(tmp_path / "space.safetensors")
    assert (again.margin, again.batch_size) == (0.3, 16)
