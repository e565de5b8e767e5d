"""Fine-tuning: the contract of an estimator of images, and what training does to a network."""

import copy
import io
import pickle
import random
from typing import ClassVar

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from torch import nn
from torchvision import transforms

from sklearn_memorability.finetuning import FineTunedRegressor
from sklearn_memorability.images import ImageReadError
from sklearn_memorability.inspection import class_proba, gradient_map, occlusion_map
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.persistence import export_onnx, load, onnx_input, read_facts, save


class Own(nn.Sequential):
    """A network such as a user may have."""

    def __init__(self):
        first, second = nn.Conv2d(3, 12, 5, stride=2), nn.Conv2d(12, 16, 3, stride=2)
        pooled = nn.AdaptiveAvgPool2d(1)
        super().__init__(first, nn.BatchNorm2d(12), nn.ReLU(), second, nn.ReLU(), pooled)
        self.interrupted = False

    def forward(self, x):
        if self.interrupted and torch.is_grad_enabled():
            raise KeyboardInterrupt
        return super().forward(x)


PREPROCESSING = transforms.Compose(
    [transforms.Resize(28), transforms.CenterCrop(24), transforms.ToTensor()]
)


def _own(**params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Own()
    small = {"n_classes": 4, "max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return FineTunedRegressor(network, **{"preprocessing": PREPROCESSING, **small, **params})


def _weights(model):
    return {k: v.detach().clone() for k, v in model.net_.module_.backbone.state_dict().items()}


@pytest.fixture(scope="module")
def data():
    """60 noisy images, whose score is how red their stripes are."""
    rng = np.random.default_rng(0)
    images, y = [], rng.random(60)
    for score in y:
        image = rng.integers(0, 200, (32, int(rng.integers(32, 44)), 3))
        image[::4, :, 0] = 255 * score
        images.append(image.astype(np.uint8))
    return images, y


@pytest.fixture(scope="module")
def fitted(data):
    return _own().fit(*data)


class Record(Callback):
    """Keeps the weights and the learning rates of every step."""

    kept: ClassVar[dict] = {}

    def on_train_begin(self, net, **kwargs):
        self.kept.update(steps=[], rates=[])
        self.on_batch_end(net, training=True)

    def on_batch_begin(self, net, training, **kwargs):
        if training:
            self.kept["rates"].append([group["lr"] for group in net.optimizer_.param_groups])

    def on_batch_end(self, net, training, **kwargs):
        if training:
            self.kept["steps"].append([w.detach().clone() for w in net.module_.parameters()])


def test_it_learns_what_a_frozen_network_does_not_know(data):
    images, y = data
    model = _own(n_classes=8, max_epochs=12, lr=1e-2, backbone_lr=1e-2, dropout=0.0)
    model.fit(images[:40], y[:40])
    assert spearman_score(y[40:], model.predict(images[40:])) > 0.8
    low, high = model.predict_quantiles(images[40:], (0.05, 0.95)).T
    assert np.mean((low <= y[40:]) & (y[40:] <= high)) > 0.75
    assert model.predict_class_proba(images[:3]).shape == (3, model.n_classes_)
    assert model.transform(images[:3]).shape == (3, 16)
    recalibrated = copy.deepcopy(model).recalibrate(images, 0.4 + y / 5).predict(images)
    assert abs(recalibrated.mean() - (0.4 + y / 5).mean()) < 0.01


def test_the_same_seed_gives_the_same_and_global_state_is_left_alone(data, fitted):
    def state():
        threads = torch.get_num_threads(), torch.is_grad_enabled()
        numpy = np.random.get_state()[1].tolist()
        return torch.get_rng_state().tolist(), numpy, random.getstate(), threads

    images, y = data
    before, own = state(), _own()
    params, weights = own.get_params(), copy.deepcopy(own.backbone.state_dict())
    assert own.fit(images, y) is own
    assert state() == before
    assert own.get_params() == params
    torch.testing.assert_close(own.backbone.state_dict(), weights, rtol=0, atol=0)
    expected = fitted.predict(images)
    assert np.array_equal(own.predict(images), expected)
    own.set_params(random_state=1).fit(images, y)
    assert not np.array_equal(own.predict(images), expected)
    own.set_params(random_state=0)
    frame = pd.DataFrame({"image": [Image.fromarray(image) for image in images]})
    assert np.array_equal(own.fit(frame, list(y)).predict(frame), expected)


def test_files_are_read_and_a_bad_one_is_named_unless_its_weight_is_zero(data, tmp_path):
    images, y = data[0][:20], data[1][:20]
    paths = [tmp_path / f"{i}.png" for i in range(20)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    expected = _own().fit(images, y).predict(images)
    assert np.array_equal(_own().fit(paths, y).predict(paths), expected)
    paths.insert(3, tmp_path / "none.png")
    y = np.insert(y, 3, 0.5)
    with pytest.raises(ImageReadError, match=r"row 3, .*none\.png': the file does not exist"):
        _own().fit(paths, y)
    weighted = _own().fit(paths, y, sample_weight=np.arange(21) != 3)
    assert np.array_equal(weighted.predict(images), expected)
    with pytest.raises(ImageReadError, match="row 3"):
        weighted.predict(paths)


@pytest.mark.parametrize(
    ("params", "fit", "message"),
    [
        ({"crop": 0.0}, {}, "'crop' parameter"),
        ({"backbone": "no_such"}, {}, "'no_such' is not known"),
        ({"preprocessing": None}, {}, "preprocessing= must say"),
        ({"score_range": (0, 0.5)}, {}, "outside score_range"),
        ({"preprocessing": lambda image: PREPROCESSING(image) ** 2}, {}, "scale and shift"),
        ({}, {"y": [0.1, 0.2]}, "inconsistent numbers of samples"),
        ({}, {"sample_weight": np.zeros(60)}, "zero"),
    ],
)
def test_what_can_not_be_fitted_says_why_and_leaves_what_was(data, fitted, params, fit, message):
    model = copy.deepcopy(fitted).set_params(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(**{"X": data[0], "y": data[1], **fit})
    assert np.array_equal(model.predict(data[0][:3]), fitted.predict(data[0][:3]))
    with pytest.raises(NotFittedError):
        clone(model).predict(data[0])


def test_an_interrupted_fit_leaves_it_unfitted_and_one_score_is_predicted(data, fitted):
    images, y = data
    model = copy.deepcopy(fitted)
    model.backbone.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        model.fit(images, y)
    with pytest.raises(NotFittedError):
        model.predict(images)
    model.backbone.interrupted = False
    with pytest.warns(UserWarning, match="distinct"):
        model.fit(images[:8], np.full(8, 0.7))
    assert np.allclose(model.predict(images[:2]), 0.7)


def test_the_first_layers_stay_and_so_do_the_statistics_of_batch_norm(data):
    start = _own().backbone.state_dict()
    for frozen, changed in ((0, ["0", "1", "3"]), (0.6, ["3"]), (1, [])):
        found = _weights(_own(frozen=frozen).fit(*data))
        differing = [k for k in start if not torch.equal(start[k], found[k])]
        assert differing == [f"{layer}.{kind}" for layer in changed for kind in ("weight", "bias")]


def test_rates_go_up_and_down_and_the_weights_of_the_best_epoch_are_restored(data):
    settings = {"max_epochs": 6, "lr": 0.3, "backbone_lr": 0.03}
    model = _own(early_stopping=0.3, net_callbacks=[Record()], **settings)
    model.fit(*data, groups=np.arange(60) // 2)
    best = int(np.argmax(model.history_[:, "valid_spearman"])) + 1
    assert model.class_counts_.sum() == 42
    expected = Record.kept["steps"][3 * best]
    found = list(model.net_.module_.parameters())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6, check_stride=False)
    rates = np.array(Record.kept["rates"])
    np.testing.assert_allclose(rates[:, 1] / rates[:, 0], 10)
    assert 0.25 < rates[3, 1] == rates[:, 1].max() <= 0.3
    assert rates[0, 1] < 0.03


def test_a_warm_start_goes_on_with_the_classes_and_the_weights(data, fitted):
    images, y = data
    loaded = pickle.loads(pickle.dumps(fitted)).set_params(warm_start=True, max_epochs=6, lr=1e-2)
    before = spearman_score(y[:40], loaded.predict(images[:40]))
    loaded.set_params(backbone_lr=1e-2).fit(images[:40], y[:40])
    assert spearman_score(y[:40], loaded.predict(images[:40])) > before
    assert np.array_equal(loaded.thresholds_, fitted.thresholds_)
    for changed in ({"n_classes": 5}, {"preprocessing": None}):
        with pytest.raises(ValueError, match="warm_start"):
            copy.deepcopy(loaded).set_params(**changed).fit(images, y)


def test_copies_predict_the_same_and_half_weights_are_kept_in_half_the_space(data, fitted):
    file = io.BytesIO()
    joblib.dump(fitted, file)
    for copied in (joblib.load(file), pickle.loads(pickle.dumps(fitted))):
        assert np.array_equal(copied.predict(data[0]), fitted.predict(data[0]))
        assert copied.history_ == fitted.history_
    halved = copy.deepcopy(fitted)
    for weight in halved.net_.module_.backbone.parameters():
        weight.data = weight.data.half().float()
    assert halved.__getstate__()["_weights"]["3.weight"].dtype == np.float16
    again = pickle.loads(pickle.dumps(halved))
    torch.testing.assert_close(_weights(again), _weights(halved), rtol=0, atol=0)


def _of_family(name, tiny_clip, tmp_path):
    if name == "efficientnet_lite0":
        return FineTunedRegressor()
    if name == "clip":
        return FineTunedRegressor("clip:tiny-clip", weights=tiny_clip[1])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("test_vit", pretrained=False)
    torch.save(network.state_dict(), tmp_path / "vit.pth")
    return FineTunedRegressor("timm:test_vit", weights=tmp_path / "vit.pth")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "timm", "clip"])
def test_networks_by_name_are_saved_inspected_and_exported(name, data, tiny_clip, tmp_path):
    images, y = data[0][:12], data[1][:12]
    model = _of_family(name, tiny_clip, tmp_path)
    model.set_params(n_classes=3, max_epochs=1, random_state=0, device="cpu", precision="float32")
    model.fit(images, y)
    expected = model.predict(images)
    other = make_pipeline(FrozenEstimator(model), Ridge()).fit(images, y)
    save(other, tmp_path / "other.skops")
    save(model, tmp_path / "model.skops")
    for weights in tmp_path.glob("*.p*"):
        weights.unlink()
    loaded = load(tmp_path / "model.skops")
    assert np.array_equal(loaded.predict(images), expected)
    assert np.array_equal(load(tmp_path / "other.skops").predict(images), other.predict(images))
    assert loaded.weights is None
    assert read_facts(tmp_path / "model.skops")["n_samples"] == 12
    n_weights = sum(w.numel() for w in model.net_.module_.parameters())
    assert (tmp_path / "model.skops").stat().st_size < 4.4 * n_weights + 100_000  # no optimiser
    np.testing.assert_array_equal(class_proba(loaded, images), model.predict_class_proba(images))
    assert gradient_map(loaded, images[0], n_steps=1).score == pytest.approx(expected[0], abs=1e-5)
    assert occlusion_map(loaded, images[0], window=32).score == pytest.approx(expected[0])
    export_onnx(loaded, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (score,) = session.run(["score"], {"pixels": onnx_input(loaded, images)})
    np.testing.assert_allclose(score, expected, atol=1e-4)
