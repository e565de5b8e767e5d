"""What is particular to each transformer of images; what they share is in the checks."""

import io
import pickle

import joblib
import numpy as np
import pytest
import skops.io
import torch
from PIL import Image

from sklearn_memorability.features import FeatureCache, ImageFeatures, VGGFeatures


def test_vgg_fc7_is_torchvisions(photographs, vgg16_weights):
    from torchvision.models import VGG16_Weights, vgg16

    with torch.random.fork_rng():
        network = vgg16(weights=None)
    network.load_state_dict(torch.load(vgg16_weights, weights_only=True))
    network.eval()
    transforms = VGG16_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        batch = torch.stack([transforms(Image.open(path).convert("RGB")) for path in photographs])
        expected = network.avgpool(network.features(batch)).flatten(1)
        expected = network.classifier[:5](expected).numpy()
    found = VGGFeatures(weights=vgg16_weights).fit_transform(photographs)
    assert found.shape == (2, 4096)
    assert found.min() == 0  # after its ReLU
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    same = ImageFeatures("vgg16", weights=vgg16_weights).fit_transform(photographs)
    np.testing.assert_array_equal(same, found)


def _skops(transformer):
    name = f"{type(transformer).__module__}.{type(transformer).__name__}"
    return skops.io.loads(skops.io.dumps(transformer), trusted=[name])


def _joblib(transformer):
    file = io.BytesIO()
    joblib.dump(transformer, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "copied",
    [lambda t: pickle.loads(pickle.dumps(t)), _joblib, _skops],
    ids=["pickle", "joblib", "skops"],
)
def test_what_is_stored_is_plain_and_gives_equal_rows(copied, photographs, tmp_path):
    device = torch.device("cpu")
    fitted = ImageFeatures(device=device, cache=FeatureCache(tmp_path / "kept")).fit(photographs)
    expected = fitted.set_params(cache=None).transform(photographs)
    fitted.set_params(cache=FeatureCache(tmp_path / "kept"))
    found = copied(fitted)
    assert found.device == "cpu"
    assert found.cache == str(tmp_path / "kept" / "features.sqlite")
    assert len(pickle.dumps(fitted)) < 2000
    np.testing.assert_array_equal(found.transform(photographs), expected)
    assert list(found.get_feature_names_out()) == list(fitted.get_feature_names_out())
    assert (fitted.device, found.device_, found.precision_) == (device, device, "float32")
    unfitted = copied(ImageFeatures(batch_size=3))
    assert unfitted.get_params() == ImageFeatures(batch_size=3).get_params()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without the device")
def test_a_pickle_from_a_gpu_works_where_there_is_none(photographs, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.nn.Module, "to", lambda self, *_, **__: self)
        fitted = ImageFeatures().fit(photographs)
        assert fitted.device_.type == "cuda"
        stored = pickle.dumps(fitted)
    found = pickle.loads(stored)
    expected = ImageFeatures().fit_transform(photographs)
    np.testing.assert_allclose(found.transform(photographs), expected, rtol=1e-4, atol=1e-4)
    assert found.device_ == ImageFeatures().fit(photographs).device_


@pytest.mark.parametrize("bad", [{"backbone": 3}, {"layer": 3}, {"preprocessing": "tensorflow"}])
def test_more_bad_parameters_are_refused_at_fit(photographs, bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))!r} parameter"):
        ImageFeatures(**bad).fit(photographs)


def test_progress_is_shown_only_when_asked(photographs, capsys):
    ImageFeatures().fit_transform(photographs)
    assert capsys.readouterr().err == ""
    ImageFeatures(verbose=1).fit_transform(photographs)
    assert "2/2" in capsys.readouterr().err
