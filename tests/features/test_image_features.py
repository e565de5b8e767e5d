"""What is particular to each transformer of images; what they share is in the checks."""

import io
import pickle

import joblib
import numpy as np
import pytest
import skops.io
import torch
from PIL import Image
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability.datasets import load_image_folder
from sklearn_memorability.features import (
    FeatureCache,
    ImageFeatures,
    VGGFeatures,
)
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


def test_refit_after_set_params_gives_the_new_network(photographs, vgg16_weights):
    transformer = ImageFeatures().fit(photographs)
    transformer.set_params(backbone="vgg16", weights=vgg16_weights)
    # Until it is fitted again, what was fitted stays.
    assert transformer.transform(photographs).shape == (2, 1280)
    assert pickle.loads(pickle.dumps(transformer)).transform(photographs).shape == (2, 1280)
    fc7 = transformer.fit(photographs).transform(photographs)
    assert fc7.shape == (2, 4096)
    fc6 = transformer.set_params(layer="fc6").fit_transform(photographs)
    assert fc6.shape == (2, 4096)
    assert not np.allclose(fc6, fc7)


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


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"backbone": 3}, ValueError, "'backbone' parameter"),
        ({"layer": 3}, ValueError, "'layer' parameter"),
        ({"preprocessing": "tensorflow"}, ValueError, "'preprocessing' parameter"),
        ({"device": "abacus"}, ValueError, "not a device"),
        ({"weights": "nowhere.pth"}, FileNotFoundError, r"nowhere\.pth"),
    ],
)
def test_more_bad_parameters_are_refused_at_fit(photographs, params, error, message):
    with pytest.raises(error, match=message):
        ImageFeatures(**params).fit(photographs)


def test_progress_is_shown_only_when_asked(photographs, capsys):
    ImageFeatures().fit_transform(photographs)
    assert capsys.readouterr().err == ""
    ImageFeatures(verbose=1).fit_transform(photographs)
    assert "2/2" in capsys.readouterr().err


def test_a_grid_search_from_images_runs_the_network_once_an_image(things_images, tmp_path):
    data = load_image_folder(
        things_images / "images",
        things_images / "scores.csv",
        image_column="image_name",
        score_column="memorability",
        group_column="concept",
    )
    chosen = np.linspace(0, len(data.images) - 1, 60).astype(int)
    images, y = [data.images[i] for i in chosen], data.target[chosen]
    regressor = BalancedQuantileClassifierRegressor(random_state=0)
    model = make_pipeline(ImageFeatures(cache=tmp_path), StandardScaler(), regressor)
    grid = {"balancedquantileclassifierregressor__n_classes": [2, 4]}
    search = GridSearchCV(model, grid, scoring=spearman_scorer, cv=GroupKFold(3))
    search.fit(images, y, groups=data.groups[chosen])
    assert len(FeatureCache(tmp_path)) == 60
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    predicted = search.predict(images)
    assert ((predicted > 0) & (predicted <= 1)).all()
    assert search.score(images, y) > 0.5  # it has learnt the images it was trained on
