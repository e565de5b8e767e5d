"""Published models by their names: files of their true format, with weights drawn by a seed."""

import hashlib
import sys
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from torchvision import transforms

from sklearn_memorability.features._weights import DownloadedWeights
from sklearn_memorability.inspection import gradient_map, occlusion_map, write_report
from sklearn_memorability.persistence import (
    ModelCard,
    export_onnx,
    load,
    onnx_input,
    read_facts,
    save,
)
from sklearn_memorability.persistence._ready import READY

SIGLIP = "ViT-SO400M-14-SigLIP-384"
TINY = {
    "embed_dim": 1152,
    "custom_text": True,
    "vision_cfg": {"image_size": 64, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 64, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module", autouse=True)
def siglip(tmp_path_factory):
    """A network of the true name, of one layer, and its file."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setitem(open_clip.factory._MODEL_CONFIGS, SIGLIP, TINY)
        torch.manual_seed(0)
        whole = open_clip.create_model(SIGLIP, pretrained=None).eval()
        path = tmp_path_factory.mktemp("weights") / "open_clip_model.pth"
        torch.save(whole.state_dict(), path)
        yield whole, path


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A file as MemCoach's, and its layers."""
    generator = torch.Generator().manual_seed(0)
    layers = {
        "fc1.weight": torch.randn(256, 1152, generator=generator) / 30,
        "fc1.bias": torch.zeros(256),
        "fc2.weight": torch.randn(1, 256, generator=generator) / 30,
        "fc2.bias": torch.full((1,), 0.5),
    }
    path = tmp_path_factory.mktemp("served") / "model_weights.pth"
    torch.save({"model": layers, "input_dim": 1152, "backbone_model": SIGLIP}, path)
    return path, layers


def row_of(address, head):
    """The registry's row, with another address and another file's hash."""
    digest = hashlib.sha256(head.read_bytes()).hexdigest()
    served = DownloadedWeights(f"{address}/{head.name}", "memcoach-head.pth", digest)
    return replace(READY["memcoach"], head=served)


@pytest.fixture(scope="module")
def model(siglip, head):
    return row_of("http://127.0.0.1:9", head[0]).load("cpu", [siglip[1], head[0]])


def formula(features, layers):
    hidden = torch.relu(features @ layers["fc1.weight"].T + layers["fc1.bias"])
    return (hidden @ layers["fc2.weight"].T + layers["fc2.bias"])[:, 0].clamp(0, 1).numpy()


def memcoach(whole, layers, paths):
    """MemCoach as its authors compute it: squashed to the square, features as they are."""
    size = whole.visual.image_size
    pixels = [np.array(Image.open(p).convert("RGB").resize(size, Image.BICUBIC)) for p in paths]
    inputs = (torch.tensor(np.array(pixels)).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.inference_mode():
        return formula(whole.encode_image(inputs), layers)


def test_memcoach_is_its_network_and_its_head(siglip, head, model, photographs):
    expected = memcoach(siglip[0], head[1], photographs)
    np.testing.assert_allclose(model.predict(photographs), expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3
    X = np.random.default_rng(0).normal(size=(50, 1152)).astype(np.float32)
    scores = model["head"].predict(3 * X)
    np.testing.assert_allclose(scores, formula(torch.tensor(3 * X), head[1]), atol=1e-5)
    assert (scores == 0).any()
    assert (scores == 1).any()
    X[1, 5] = np.nan
    assert np.flatnonzero(np.isnan(model["head"].predict(X))).tolist() == [1]


def test_memcoachs_own_file_is_recognised_by_its_hash(siglip, published, photographs):
    path = published / "memcoach_head.pth"
    layers = torch.load(path, weights_only=True)["model"]
    expected = memcoach(siglip[0], layers, photographs)
    for files in ([siglip[1], path], [path, siglip[1]]):
        model = load("memcoach", device="cpu", weights=files)
        np.testing.assert_allclose(model.predict(photographs), expected, atol=1e-5)


def test_a_head_is_downloaded_at_first_use_into_one_place(
    server, hub, siglip, head, photographs, tmp_path, monkeypatch
):
    folder, address = server
    (folder / head[0].name).write_bytes(head[0].read_bytes())
    row = row_of(address, head[0])
    assert row.where() == "downloaded at first use"
    first = row.load("cpu", [siglip[1]])
    (folder / head[0].name).unlink()
    assert [path.name for path in hub.iterdir()] == ["memcoach-head.pth"]
    assert row.where() == "downloaded at first use"
    # Where the Hub's client keeps the network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / f"models--timm--{SIGLIP}" / "snapshots" / "a"
    kept.mkdir(parents=True)
    (kept / "open_clip_model.safetensors").touch()
    (tmp_path / f"models--timm--{SIGLIP}" / "refs").mkdir()
    (tmp_path / f"models--timm--{SIGLIP}" / "refs" / "main").write_text("a")
    assert row.where() == "here"
    again = row.load("cpu", [siglip[1]])
    np.testing.assert_array_equal(again.predict(photographs), first.predict(photographs))


def test_files_that_cannot_be_had_are_named_with_their_source_and_place(hub, siglip, head):
    with pytest.raises(OSError, match="could not be downloaded") as caught:
        row_of("http://127.0.0.1:9", head[0]).load("cpu", [siglip[1]])
    for told in ("http://127.0.0.1:9/model_weights.pth", str(hub / "memcoach-head.pth"), "weights"):
        assert told in str(caught.value)
    with pytest.raises(ValueError, match=r"takes one file of its network.*head, 2ac0"):
        load("memcoach", weights=[siglip[1], head[0]])
    with pytest.raises(FileNotFoundError, match=r"'vitmen'.*embedded, vitmem, memcoach, resmem"):
        load("vitmen")


def test_a_saved_one_is_the_same_to_the_last_bit_and_keeps_its_terms(
    model, siglip, photographs, tmp_path
):
    save(model, tmp_path, card=ModelCard(title="Mine"), weights=[siglip[1]])
    loaded = load(tmp_path, device="cpu")
    np.testing.assert_array_equal(loaded.predict(photographs), model.predict(photographs))
    assert read_facts(tmp_path).items() >= read_facts("memcoach").items()
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Terms: Apache-2.0" in text
    assert "Laiti, Talon" in text
    save(model[1:], tmp_path / "head.skops")
    X = model[:1].transform(photographs)
    np.testing.assert_array_equal(load(tmp_path / "head.skops").predict(X), model[1:].predict(X))


def test_it_is_measured_on_folds_as_it_is(model, photographs):
    images = [*photographs, *photographs]
    fitted = clone(model).fit(images, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(fitted.predict(images), model.predict(images))
    scores = cross_val_score(model, images, model.predict(images), cv=2)
    np.testing.assert_allclose(scores, 1)


def test_it_goes_through_cache_maps_and_report(model, photographs, tmp_path):
    expected = model.predict(photographs)
    cached = clone(model).set_params(features__cache=tmp_path / "features.sqlite")
    for _ in range(2):
        cached.fit(photographs)
        np.testing.assert_allclose(cached.predict(photographs), expected, atol=1e-6)
    shares = gradient_map(model, photographs[0], n_steps=64, smoothing=0)
    assert shares.score == pytest.approx(expected[0], abs=1e-5)
    gap = shares.score - shares.fill_score
    assert shares.map.sum() == pytest.approx(gap, abs=0.1 * abs(gap) + 1e-4)
    assert occlusion_map(model, photographs[0], window=200).score == pytest.approx(expected[0])
    page = write_report(model, photographs, path=tmp_path / "r.html").read_text(encoding="utf-8")
    assert "LayersRegressor" in page


def test_it_is_exported_as_onnx(model, photographs, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    export_onnx(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["score"]
    for images in (photographs, photographs[:1]):
        (score,) = session.run(None, {"pixels": onnx_input(model, images)})
        np.testing.assert_allclose(score, model.predict(images), atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["terms"] == "Apache-2.0"


@pytest.mark.filterwarnings("ignore:Mapping deprecated model name")
def test_vitmem_is_its_own_code(photographs, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = timm.create_model("vit_base_patch16_224_miil", pretrained=False, num_classes=1)
    path = tmp_path / "vitmem.pth"
    torch.save({f"vit.{name}": value for name, value in vit.state_dict().items()}, path)
    transform = transforms.Compose(
        [transforms.Resize((256, 256)), transforms.CenterCrop(224), transforms.ToTensor()]
    )
    with torch.inference_mode():
        inputs = [transform(Image.open(path).convert("RGB")) for path in photographs]
        expected = vit.eval()(torch.stack(inputs)).sigmoid()[:, 0].numpy()
    model = load("vitmem", device="cpu", weights=path)
    np.testing.assert_allclose(model.predict(photographs), expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3
    assert model[:1].transform(photographs).shape == (2, 768)
    classes = {"vit.head.weight": torch.zeros(9, 768), "vit.head.bias": torch.zeros(9)}
    torch.save({f"vit.{k}": v for k, v in vit.state_dict().items()} | classes, path)
    with pytest.raises(ValueError, match=r"vitmem\.pth' is not the file of 'vitmem'.*'head'"):
        load("vitmem", device="cpu", weights=path)


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than")
def test_resmem_is_its_package(photographs):
    resmem = pytest.importorskip("resmem")
    theirs = resmem.ResMem(pretrained=True).eval()
    with torch.inference_mode():
        inputs = [resmem.transformer(Image.open(path).convert("RGB")) for path in photographs]
        expected = theirs(torch.stack(inputs))[:, 0].numpy()
    model = load("resmem", device="cpu")
    np.testing.assert_allclose(model.predict(photographs), expected, atol=1e-4)
    assert model[:1].transform(photographs).shape == (2, 256)
    assert "non-commercial" in read_facts("resmem")["terms"]


def test_without_its_package_resmem_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "resmem", None)
    with pytest.raises(ImportError, match="pip install resmem"):
        load("resmem")
