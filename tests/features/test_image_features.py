"""What users of the image transformers rely on.

scikit-learn's generator of checks yields a single one for a transformer whose X is not
a table of numbers, so the contract is stated here.
"""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklearn_memorability.datasets import load_image_folder
from sklearn_memorability.features import ImageFeatures, VGGFeatures, WeightsUnavailableError
from sklearn_memorability.images import ImageReadError
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


@pytest.fixture(scope="module")
def pictures(photographs):
    """Five pictures of three kinds: files, PIL pictures, arrays."""
    with Image.open(photographs[0]) as china:
        half = china.resize((320, 213))
        mirrored = np.asarray(china)[:, ::-1]
    return [*photographs, half, mirrored, str(photographs[1])]


@pytest.fixture(scope="module")
def features(pictures):
    return ImageFeatures().fit_transform(pictures)


def test_one_float32_row_an_image_in_their_order(pictures, features):
    assert features.shape == (5, 1280)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features[1], features[4])
    assert not np.allclose(features[0], features[1])


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batch_size_changes_no_feature(pictures, features, batch_size):
    found = ImageFeatures(batch_size=batch_size).fit_transform(pictures)
    np.testing.assert_allclose(found, features, rtol=1e-4, atol=1e-4)


def test_permuted_pictures_give_permuted_rows(pictures, features):
    order = [3, 0, 4, 2, 1]
    found = ImageFeatures().fit_transform([pictures[i] for i in order])
    np.testing.assert_allclose(found, features[order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("container", [pd.Series, pl.Series, tuple, np.array])
def test_containers_of_paths(photographs, features, container):
    paths = container([str(path) for path in photographs])
    np.testing.assert_allclose(
        ImageFeatures().fit_transform(paths), features[:2], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("transformer", "prefix", "width"),
    [(ImageFeatures(), "imagefeatures", 1280), (VGGFeatures(), "vggfeatures", 4096)],
)
def test_feature_names(transformer, prefix, width, photographs, vgg16_weights):
    if prefix == "vggfeatures":
        transformer.set_params(weights=vgg16_weights)
    names = transformer.fit(photographs).get_feature_names_out()
    assert names[0] == f"{prefix}0"
    assert names[-1] == f"{prefix}{width - 1}"
    assert len(names) == width


@pytest.mark.parametrize(("kind", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output(photographs, features, kind, frame):
    found = ImageFeatures().set_output(transform=kind).fit_transform(photographs)
    assert isinstance(found, frame)
    assert list(found.columns)[:2] == ["imagefeatures0", "imagefeatures1"]
    np.testing.assert_allclose(found.to_numpy(), features[:2], rtol=1e-4, atol=1e-4)


def test_a_pickle_is_small_and_works(photographs, features):
    blob = pickle.dumps(ImageFeatures().fit(photographs))
    assert len(blob) < 2000
    found = pickle.loads(blob).transform(photographs)
    np.testing.assert_allclose(found, features[:2], rtol=1e-4, atol=1e-4)


def test_clone_forgets_what_was_fitted(photographs):
    fitted = ImageFeatures(batch_size=3).fit(photographs)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.transform(photographs)


@pytest.mark.parametrize("transformer", [ImageFeatures(), VGGFeatures()])
def test_unfitted_use_is_an_error(transformer, photographs):
    with pytest.raises(NotFittedError):
        transformer.transform(photographs)


@pytest.mark.parametrize("transformer", [ImageFeatures(), VGGFeatures()])
def test_what_scikit_learn_checks_of_it(transformer):
    # It says itself that it skips the others, about fifty, which feed tables of numbers.
    with pytest.warns(SkipTestWarning, match="requires input"):
        results = check_estimator(transformer, on_fail=None)
    assert [result["check_name"] for result in results] == ["check_estimator_cloneable"]
    assert {result["status"] for result in results} == {"passed"}


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


def test_missing_vgg_weights_say_the_way_out(photographs, monkeypatch, tmp_path):
    from sklearn_memorability.features import _backbones
    from sklearn_memorability.features._weights import DownloadedWeights

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    unreachable = DownloadedWeights("http://127.0.0.1:9/vgg16-397923af.pth")
    monkeypatch.setitem(vars(_backbones.BACKBONES["vgg16"]), "weights", unreachable)
    with pytest.raises(WeightsUnavailableError, match="works offline"):
        VGGFeatures().fit(photographs)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"backbone": "abacus"}, ValueError, "'abacus' is not known"),
        ({"backbone": 3}, ValueError, "'backbone' parameter"),
        ({"layer": "fc7"}, ValueError, r"\['pool'\]"),
        ({"batch_size": 0}, ValueError, "'batch_size' parameter"),
        ({"batch_size": 2.5}, ValueError, "'batch_size' parameter"),
        ({"device": "abacus"}, ValueError, "not a device"),
        ({"weights": "nowhere.pth"}, FileNotFoundError, r"nowhere\.pth"),
    ],
)
def test_bad_parameters_are_refused_at_fit(photographs, params, error, message):
    with pytest.raises(error, match=message):
        ImageFeatures(**params).fit(photographs)


def test_a_failed_fit_after_a_good_one_leaves_the_good_one(photographs, features):
    transformer = ImageFeatures().fit(photographs)
    with pytest.raises(ValueError, match="not known"):
        transformer.set_params(backbone="abacus").fit(photographs)
    assert transformer.transform(photographs).shape == (2, 1280)


def test_bad_pictures_are_named_and_no_images_refused(photographs, tmp_path):
    transformer = ImageFeatures(batch_size=2).fit(photographs)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageReadError, match=r"row 3, '.*bad\.jpg'"):
        transformer.transform([*photographs, photographs[0], tmp_path / "bad.jpg"])
    for empty in ([], np.empty((0, 4, 4, 3))):
        with pytest.raises(ValueError, match="minimum of 1 sample"):
            transformer.transform(empty)
        with pytest.raises(ValueError, match="minimum of 1 sample"):
            transformer.fit(empty)
    with pytest.raises(TypeError, match="Put it in a list"):
        transformer.transform(photographs[0])


def test_one_picture(photographs, features):
    np.testing.assert_allclose(
        ImageFeatures().fit(photographs).transform(photographs[:1]),
        features[:1],
        rtol=1e-4,
        atol=1e-4,
    )


def test_threads_may_share_a_transformer(pictures, features):
    transformer = ImageFeatures().fit(pictures)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(transformer.transform, [pictures] * 4):
            np.testing.assert_allclose(found, features, rtol=1e-4, atol=1e-4)


def test_no_global_state_is_changed(photographs):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
    ImageFeatures().fit_transform(photographs)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, grad)


def test_progress_is_shown_only_when_asked(photographs, capsys):
    ImageFeatures().fit_transform(photographs)
    assert capsys.readouterr().err == ""
    ImageFeatures(verbose=1).fit_transform(photographs)
    assert "2/2" in capsys.readouterr().err


def _search(features, folder, n_pictures, grid):
    data = load_image_folder(
        folder / "images",
        folder / "scores.csv",
        image_column="image_name",
        score_column="memorability",
        group_column="concept",
    )
    chosen = np.linspace(0, len(data.images) - 1, n_pictures).astype(int)
    pipeline = Pipeline(
        [
            ("features", features),
            ("scale", StandardScaler()),
            ("model", BalancedQuantileClassifierRegressor(random_state=0)),
        ]
    )
    images = [data.images[i] for i in chosen]
    search = GridSearchCV(pipeline, grid, scoring=spearman_scorer, cv=GroupKFold(5))
    search.fit(images, data.target[chosen], groups=data.groups[chosen])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    predicted = search.predict(images)
    assert predicted.shape == (n_pictures,)
    assert ((predicted > 0) & (predicted <= 1)).all()
    return search


@pytest.mark.slow
def test_pipeline_from_pictures_in_a_grid_search(things_images):
    search = _search(ImageFeatures(), things_images, 200, {"model__n_classes": [2, 4]})
    # It has learnt the pictures it was trained on.
    assert search.score(*_training_part(things_images, 200)) > 0.5


def _training_part(folder, n_pictures):
    images, target = load_image_folder(
        folder / "images",
        folder / "scores.csv",
        image_column="image_name",
        score_column="memorability",
        return_X_y=True,
    )
    chosen = np.linspace(0, len(images) - 1, n_pictures).astype(int)
    return [images[i] for i in chosen], target[chosen]


@pytest.mark.slow
def test_pipeline_with_vgg_in_a_grid_search(things_images, vgg16_weights):
    _search(VGGFeatures(weights=vgg16_weights), things_images, 40, {"model__n_classes": [4]})
