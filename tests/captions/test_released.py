"""Released weights: read as they were written, and nothing in the files is run."""

import argparse
import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from sklearn_memorability.captions import VisualSemanticEmbedding

read_kiros = VisualSemanticEmbedding.from_kiros
read_vsepp = VisualSemanticEmbedding.from_vsepp

F, D, C, N = 24, 10, 16, 8  # features, dimensions of a word, components, words

# What Python 2.7 itself has written (cPickle, protocols 0, 1 and 2).
PYTHON_2_WORDS = {"a": 2, "it's": 3, "café": 4, 'say "\\x"\t': 5, "naïve": 6, "far": 300, "über": 7}
PYTHON_2 = {
    0: b"ccollections\nOrderedDict\np1\n"
    b"((lp2\n(lp3\nS'a'\naI2\naa(lp4\nS\"it's\"\np5\naI3\naa(lp6\n"
    b"S'caf\\xc3\\xa9'\np7\naI4\naa(lp8\nS'say \"\\\\x\"\\t'\np9\naI5\naa(lp10\nS'na\\xefve'\np11\n"
    b"aI6\naa(lp12\nS'far'\np13\naI300\naa(lp16\nV\xfcber\np17\naI7\naatRp18\n.",
    1: b"ccollections\nOrderedDict\n"
    b"q\x01(]q\x02(]q\x03(U\x01aK\x02e]q\x04(U\x04it'sq\x05K\x03e]q\x06("
    b'U\x05caf\xc3\xa9q\x07K\x04e]q\x08(U\tsay "\\x"\tq\tK\x05e]q\n(U\x05na\xefveq\x0bK\x06e]q\x0c('
    b"U\x03farq\rM,\x01e]q\x10(X\x05\x00\x00\x00\xc3\xbcberq\x11K\x07eetRq\x12.",
    2: b"\x80\x02ccollections\nOrderedDict\n"
    b"q\x01]q\x02(]q\x03(U\x01aK\x02e]q\x04(U\x04it'sq\x05K\x03e]"
    b'q\x06(U\x05caf\xc3\xa9q\x07K\x04e]q\x08(U\tsay "\\x"\tq\tK\x05e]q\n(U\x05na\xefveq\x0bK\x06e]'
    b"q\x0c(U\x03farq\rM,\x01e]q\x10(X\x05\x00\x00\x00\xc3\xbcberq\x11K\x07ee\x85Rq\x12.",
}
FEW_WORDS = b"(dp1\nS'dog'\np2\nI2\nsS'cat'\np3\nI3\nsS'rare'\np4\nI8\ns."


def kiros_arrays(n_features=F, d=D, n=C, n_words=N):
    rng = np.random.default_rng(0)
    shapes = {
        "ff_image_W": (n_features, n),
        "ff_image_b": (n,),
        "Wemb": (n_words, d),
        "encoder_W": (d, 2 * n),
        "encoder_b": (2 * n,),
        "encoder_U": (n, 2 * n),
        "encoder_Wx": (d, n),
        "encoder_Ux": (n, n),
        "encoder_bx": (n,),
    }
    return {k: rng.standard_normal(s).astype(np.float32) / 2 for k, s in shapes.items()}


def write_kiros(folder, arrays, dictionary=FEW_WORDS):
    path = folder / "X.npz"
    np.savez(path, **arrays)
    if dictionary is not None:
        (folder / "X.npz.dictionary.pkl").write_bytes(dictionary)
    return path


def vsepp_checkpoint(n=C):
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator)

    image = OrderedDict({"fc.weight": drawn(n, F), "fc.bias": drawn(n)})
    text = OrderedDict({"embed.weight": drawn(N, D)})
    text |= {f"rnn.{k}": v for k, v in torch.nn.GRU(D, n).state_dict().items()}
    return {
        "epoch": 3,
        "model": [image, text],
        "best_rsum": 400.5,
        "opt": argparse.Namespace(embed_size=n, no_imgnorm=False, data_path="/data"),
        "Eiters": 12,
    }


MARKED = {"<pad>": 0, "<start>": 1, "<end>": 2, "<unk>": 3, "dog": 4, "cat": 5}


def step_by_step(p, ids):
    """The recurrence as that project's Theano code has it."""
    d = p["encoder_bx"].shape[0]
    h = np.zeros(d)
    for i in ids:
        x = p["Wemb"][i].astype(np.float64)
        preact = 1 / (1 + np.exp(-(h @ p["encoder_U"] + x @ p["encoder_W"] + p["encoder_b"])))
        r, u = preact[:d], preact[d:]
        hx = np.tanh(r * (h @ p["encoder_Ux"]) + x @ p["encoder_Wx"] + p["encoder_bx"])
        h = u * h + (1 - u) * hx
    return h


def unit(x):
    return x / np.linalg.norm(x)


@pytest.mark.parametrize("sizes", [(F, D, C, N), (4096, 300, 1024, 50)])
@pytest.mark.parametrize("stored", [np.asarray, lambda v: np.asfortranarray(v.astype(float))])
def test_kiros_space_is_its_formulas(tmp_path, sizes, stored):
    arrays = {k: v * (0.05 if sizes[0] > F else 1) for k, v in kiros_arrays(*sizes).items()}
    space = read_kiros(write_kiros(tmp_path, {k: stored(v) for k, v in arrays.items()}))
    # "rare" is the ninth word of eight, in the small network.
    captions = {
        "Dog cat": [2, 3, 0],
        "xyz": [1, 0],
        "a DOG, a cat .": [1, 2, 1, 1, 3, 1, 0],
        "rare dog": [8 if sizes[3] > 8 else 1, 2, 0],
        "cat " * 30: [3] * 30 + [0],
    }
    expected = [unit(step_by_step(arrays, numbers)) for numbers in captions.values()]
    rows = space.transform_captions(list(captions))
    assert rows.dtype == space.transform(np.ones((1, sizes[0]))).dtype == np.float32
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    X = np.random.default_rng(1).exponential(size=(3, sizes[0]))
    projected = [unit(unit(x) @ arrays["ff_image_W"] + arrays["ff_image_b"]) for x in X]
    np.testing.assert_allclose(space.transform(X), projected, atol=1e-5)
    assert space.network_ == {"backbone": "vgg19", "layer": "fc7", "preprocessing": "caffe"}

    space.save(tmp_path / "kiros.safetensors")
    again = VisualSemanticEmbedding.load(tmp_path / "kiros.safetensors")
    np.testing.assert_array_equal(again.transform_captions(list(captions)), rows)


def test_kiros_without_a_dictionary_is_the_image_side_alone(tmp_path):
    arrays = {k: v for k, v in kiros_arrays().items() if k.startswith("ff_")}
    space = read_kiros(write_kiros(tmp_path, arrays, None))
    assert space.transform(np.ones((1, F))).shape == (1, C)
    with pytest.raises(ValueError, match=r"dictionary\.pkl"):
        space.transform_captions(["a dog"])


def test_headers_that_python_2_wrote_are_read_without_a_warning(tmp_path):
    path = write_kiros(tmp_path, {}, None)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in kiros_arrays().items():
            shape = "(" + "".join(f"{n}L, " for n in array.shape) + ")"
            header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
            header = header.ljust(117) + "\n"
            start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
            archive.writestr(f"{name}.npy", start + header.encode() + array.tobytes())
    assert read_kiros(path).image_weights_.shape == (F, C)


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_dictionaries_of_python_2(tmp_path, protocol):
    path = write_kiros(tmp_path, kiros_arrays(n_words=400), PYTHON_2[protocol])
    assert read_kiros(path).vocabulary_ == PYTHON_2_WORDS


@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_dictionaries_saved_again_with_python_3(tmp_path, kind):
    words = kind({f"wörd{i}": i + 2 for i in range(300)})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = write_kiros(tmp_path, kiros_arrays(n_words=400), pickle.dumps(words, protocol))
        assert read_kiros(path).vocabulary_ == words


HOSTILE = {
    "posix.system": b"cposix\nsystem\n(S'touch RAN'\ntR.",
    "os.system": b"cos\nsystem\np1\n(S'touch RAN'\ntR.",
    "__builtin__.eval": b'c__builtin__\neval\n(S\'open("RAN","w")\'\ntR.',
    "builtins.eval": b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x0fopen('RAN', 'w')\x85R.",
    "builtins.getattr": b"cbuiltins\ngetattr\n(cos\nS'system'\ntR(S'touch RAN'\ntR.",
    "collections.OrderedDict.fromkeys": b"ccollections\nOrderedDict.fromkeys\n(S'a'\ntR.",
    "os.popen": b"(S'touch RAN'\nios\npopen\n.",
    "subprocess.call": b"ccollections\nOrderedDict\n((l(lcsubprocess\ncall\n(S'a'\ntRaI2\natR.",
    "PERSID": b"Pos.system\n.",
    "BUILD": b"ccollections\nOrderedDict\n)R}U\x05itemsK\x02sb.",
    "NEWOBJ": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "EXT1": b"\x82\x01.",
    "words, each with its id": b"(dS'a'\nS'b'\ns.",
    "words and ids must be distinct": b"(dS'a'\nI2\nsS'b'\nI2\ns.",
    "ids count from 2": b"(dS'a'\nI1\ns.",
    "damaged or cut short": b"(dS'a'\nI2\ns",
    "but only": b"\x80\x02}X\xff\xff\xff\xffabcK\x02s.",
    "limit (4300 digits)": b"(dS'a'\nI" + b"9" * 5000 + b"\ns.",
    "not enough data": b"(dr\xff\xff",
    "pop from empty list": b"\x80\x04\x93.",
}


@pytest.mark.parametrize("asked_for", HOSTILE)
def test_a_hostile_dictionary_is_refused_and_not_run(tmp_path, monkeypatch, asked_for):
    monkeypatch.chdir(tmp_path)
    path = write_kiros(tmp_path, kiros_arrays(), HOSTILE[asked_for])
    with pytest.raises(ValueError, match=r"X\.npz\.dictionary\.pkl.*another kind") as caught:
        read_kiros(path)
    if asked_for != "pop from empty list":
        assert asked_for in str(caught.value)
    assert not (tmp_path / "RAN").exists()


def test_a_dictionary_beyond_reason_is_refused(tmp_path):
    path = write_kiros(tmp_path, kiros_arrays())
    with open(f"{path}.dictionary.pkl", "r+b") as file:
        file.truncate(64_000_001)
    with pytest.raises(ValueError, match=r"dictionary\.pkl.*larger than 64000000 bytes"):
        read_kiros(path)


@pytest.mark.parametrize("name", kiros_arrays())
def test_kiros_arrays_that_are_missing_or_wrong_are_named(tmp_path, name):
    good = kiros_arrays()
    if name not in {"ff_image_W", "Wemb"}:  # whose last axis says what the others must be
        with pytest.raises(ValueError, match=rf"'{name}' has shape .* not "):
            read_kiros(write_kiros(tmp_path, good | {name: good[name][..., :-1]}))
    with pytest.raises(ValueError, match=rf"X\.npz.*'{name}' is missing"):
        read_kiros(write_kiros(tmp_path, {k: v for k, v in good.items() if k != name}))
    for bad, why in [
        (good[name].astype(int), "not of real numbers"),
        (good[name][None], "has shape"),
        (good[name][:0], "has shape"),
        (np.full_like(good[name], np.nan), "not finite"),
        (np.full(good[name].shape, 1e300), "not finite"),
    ]:
        with pytest.raises(ValueError, match=rf"X\.npz.*'{name}'.*{why}"):
            read_kiros(write_kiros(tmp_path, good | {name: bad}))


def test_arrays_of_objects_are_not_unpickled(tmp_path, monkeypatch):
    class Touch:
        def __reduce__(self):
            return open, (str(tmp_path / "RAN"), "w")

    bad = np.empty(1, dtype=object)
    bad[0] = Touch()
    path = write_kiros(tmp_path, kiros_arrays() | {"ff_image_b": bad})
    with pytest.raises(ValueError, match=r"X\.npz.*Object arrays"):
        read_kiros(path)
    assert not (tmp_path / "RAN").exists()


def test_a_single_array_or_a_header_beyond_memory_is_no_archive(tmp_path):
    path = tmp_path / "X.npz"
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"X\.npz"):
        read_kiros(path)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 1024), }\n"
    with zipfile.ZipFile(path, "w") as archive:
        start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("ff_image_W.npy", start + header)
    with pytest.raises(ValueError, match=r"X\.npz.*allocate"):
        read_kiros(path)


@pytest.mark.parametrize("read", [read_kiros, read_vsepp])
def test_a_file_that_is_not_there(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="nothing"):
        read(tmp_path / "nothing.npz")


def test_vsepp_without_a_vocabulary_is_the_image_side_alone(tmp_path):
    checkpoint = vsepp_checkpoint()
    torch.save(checkpoint, tmp_path / "model_best.pth.tar")
    space = read_vsepp(tmp_path / "model_best.pth.tar", network="vgg19")
    image = {k: v.numpy() for k, v in checkpoint["model"][0].items()}
    X = np.random.default_rng(0).normal(size=(3, F))
    expected = [unit(image["fc.weight"] @ unit(x) + image["fc.bias"]) for x in X]
    np.testing.assert_allclose(space.transform(X), expected, atol=1e-6)
    assert space.network_ == {"backbone": "vgg19"}
    with pytest.raises(ValueError, match="from_vsepp takes vocabulary="):
        space.transform_captions(["a dog"])


@pytest.mark.parametrize("zipped", [True, False])
def test_vsepp_with_its_vocabulary_has_both_sides(tmp_path, zipped):
    checkpoint = vsepp_checkpoint()
    path = tmp_path / "model_best.pth.tar"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    text = checkpoint["model"][1]
    gru = torch.nn.GRU(D, C, batch_first=True)
    gru.load_state_dict({k[4:]: v for k, v in text.items() if k.startswith("rnn.")})
    with torch.no_grad():
        expected = gru(text["embed.weight"][torch.tensor([[1, 4, 5, 3, 2]])])[1][0, 0].numpy()
    rows = read_vsepp(path, MARKED).transform_captions(["dog cat xyz"])
    np.testing.assert_allclose(rows[0], unit(expected), atol=1e-6)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_vsepp_layer_alone_or_beside_a_network(tmp_path, prefix):
    image = vsepp_checkpoint()["model"][0]
    state = {prefix + k: v for k, v in image.items()} | {"cnn.module.conv.weight": torch.ones(2)}
    for content in (state, {"model": [state, {}]}):
        torch.save(content, tmp_path / "fc.pth")
        assert read_vsepp(tmp_path / "fc.pth").image_weights_.shape == (F, C)


def test_vsepp_weights_and_words_that_are_missing_or_wrong_are_named(tmp_path):
    path = tmp_path / "a.pth"

    def refused(content, why, vocabulary=None):
        torch.save(content, path)
        with pytest.raises(ValueError, match=rf"a\.pth.*{why}"):
            read_vsepp(path, vocabulary)

    bias = torch.zeros(C)
    refused(torch.ones(3), "no 'model'")
    refused({"model": [{}, torch.ones(3)]}, "no 'model'")
    refused({"fc.weight": torch.ones(C, F)}, r"'fc\.bias' is missing")
    refused({"fc.weight": [1.0], "fc.bias": bias}, r"'fc\.weight' is missing, or not of real")
    refused({"fc.weight": torch.ones(C, F).long(), "fc.bias": bias}, "not of real numbers")
    refused({"fc.weight": torch.ones(C, F).to_sparse(), "fc.bias": bias}, "")
    refused({"fc.weight": torch.ones(1).expand(10**6, 10**6), "fc.bias": bias}, "not of real")
    refused({"fc.weight": torch.ones(C + 1, F), "fc.bias": bias}, r"'fc\.bias' has shape")
    refused({"fc.weight": torch.full((C, F), torch.inf), "fc.bias": bias}, "not finite")
    for name in vsepp_checkpoint()["model"][1]:
        checkpoint = vsepp_checkpoint()
        del checkpoint["model"][1][name]
        refused(checkpoint, f"'{name}' is missing", MARKED)
    for wrong in ({"dog": N}, {"dog": -1}, {"dog": 5}, {"dog": "4"}):
        refused(vsepp_checkpoint(), "word2idx", MARKED | wrong)
    refused(vsepp_checkpoint(), "word2idx", {"<pad>": 0, "dog": 4})
    checkpoint = vsepp_checkpoint()
    checkpoint["model"][1]["rnn.weight_ih_l0_reverse"] = torch.ones(3 * C, D)
    refused(checkpoint, "one layer in one direction", MARKED)


@pytest.mark.parametrize("name", ["os.system", "__builtin__.eval"])
def test_vsepp_checkpoint_with_code_is_refused_and_not_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(HOSTILE[name])
    torch.save({"a": 1}, tmp_path / "b.pth")
    with zipfile.ZipFile(tmp_path / "b.pth") as old, zipfile.ZipFile("c.pth", "w") as new:
        for item in old.namelist():
            data = HOSTILE[name] if item.endswith("data.pkl") else old.read(item)
            new.writestr(item, data)
    for file in ("a.pth", "c.pth"):
        with pytest.raises(ValueError, match=file):
            read_vsepp(tmp_path / file)
    assert not (tmp_path / "RAN").exists()


def _written(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


RELEASED = [
    ("X.npz", _written(lambda file: np.savez(file, **kiros_arrays()))),
    *(("X.npz.dictionary.pkl", PYTHON_2[protocol]) for protocol in (0, 1, 2)),
    ("a.pth", _written(lambda file: torch.save(vsepp_checkpoint(), file))),
]


@pytest.mark.parametrize(("name", "good"), RELEASED, ids=lambda value: str(value)[:20])
def test_a_damaged_file_is_read_or_refused_with_a_value_error(tmp_path, name, good):
    kiros = write_kiros(tmp_path, kiros_arrays(n_words=400))
    rng = np.random.default_rng(0)
    n_refused = 0
    for i in range(100):
        data = bytearray(good)
        for place in rng.integers(len(good), size=rng.integers(1, 7)):
            data[place] = rng.integers(256)
        (tmp_path / name).write_bytes(data[: rng.integers(len(good))] if i % 2 else data)
        try:
            read_vsepp(tmp_path / name, MARKED) if name == "a.pth" else read_kiros(kiros)
        except ValueError as error:
            assert name in str(error)  # noqa: PT017
            n_refused += 1
    assert n_refused > 20
