import json
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability import CaptionEmbedding, ImageFeatures
from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.inspection import class_proba
from sklearn_memorability.persistence import _onnx, export_onnx, onnx_input
from sklearn_memorability.pipelines import recommended_regressor, svr_regressor

onnxruntime = pytest.importorskip("onnxruntime")
IMAGES = load_sample_images().images
TURNED = [np.rot90(image, i) for image in IMAGES for i in range(4)]
SCORES = np.linspace(0.5, 0.9, 8)


def run(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    score, proba = session.run(["score", "class_proba"], {taken.name: X})
    return taken.name, score, proba, session.get_modelmeta().custom_metadata_map


def test_the_head_gives_the_same_scores_for_any_number_of_rows(tmp_path):
    X, y = (part[:100] for part in load_things_photographs(return_X_y=True))
    small = {"branch_sizes": (64,), "max_epochs": 1}
    model = recommended_regressor(score_range=(-1, 1), random_state=0, device="cpu", **small)
    model.fit(X, y)
    model["model"].recalibrate(model[:-1].transform(X), np.clip(y + 0.1, -1, 1))
    path = tmp_path / "head.onnx"
    export_onnx(model, path)
    assert [file.name for file in tmp_path.iterdir()] == ["head.onnx"]
    for n_rows in (1, 2, 7, len(X)):
        name, score, proba, facts = run(path, X[:n_rows])
        np.testing.assert_allclose(score, model.predict(X[:n_rows]), atol=1e-4)
        np.testing.assert_allclose(proba, class_proba(model, X[:n_rows]), atol=1e-4)
    assert name == "features"
    np.testing.assert_allclose(json.loads(facts["values"]), model["model"].class_values_)


def test_pixels_go_in_and_the_same_scores_come_out(tiny, tmp_path, squeezenet_weights):
    features = ImageFeatures(
        "squeezenet1_1", weights=squeezenet_weights, device="cpu", layer=["features", "penultimate"]
    )
    model = make_pipeline(features, StandardScaler(), PCA(2, whiten=True), tiny())
    search = GridSearchCV(model, {"pca__whiten": [True]}, cv=2).fit(TURNED, SCORES)
    path = tmp_path / "all.onnx"
    export_onnx(search, path)
    pixels = onnx_input(search, IMAGES)
    name, score, _, facts = run(path, pixels)
    np.testing.assert_allclose(score, search.predict(IMAGES), atol=1e-4)
    assert name == "pixels"
    assert pixels.dtype == np.uint8
    assert pixels.shape == (2, 3, 224, 224)
    assert "resize=" in facts["preprocessing"]
    # Of one image, too.
    np.testing.assert_allclose(run(path, pixels[:1])[1], score[:1], atol=1e-6)


@pytest.mark.parametrize("with_cnn", [True, False])
def test_features_and_scalers_are_exported_as_they_were_set(
    with_cnn, tiny, tmp_path, squeezenet_weights
):
    features = CaptionEmbedding(with_cnn=True, device="cpu")
    if not with_cnn:
        caffe = ImageFeatures(
            "squeezenet1_1", weights=squeezenet_weights, preprocessing="caffe", device="cpu"
        )
        features = FeatureUnion([("a", caffe), ("b", clone(caffe))])
    settings = {"with_mean": with_cnn, "with_std": not with_cnn}
    images, targets = TURNED[::2], SCORES[::2]
    model = make_pipeline(features, StandardScaler(**settings), tiny()).fit(images, targets)
    export_onnx(model, tmp_path / "model.onnx")
    score = run(tmp_path / "model.onnx", onnx_input(model, images))[1]
    expected = model.predict(images)
    np.testing.assert_allclose(score, expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3


def test_parts_that_cannot_be_exported_are_named_with_the_way_out(tiny, rows, tmp_path):
    path = tmp_path / "model.onnx"
    X, y = rows
    with pytest.raises(ValueError, match=r"SVR can't be exported.*skl2onnx"):
        export_onnx(svr_regressor().fit(X, y), path)
    with pytest.raises(ValueError, match="TransformedTargetRegressor can't be exported"):
        export_onnx(TransformedTargetRegressor(Ridge()).fit(X, y), path)
    union = make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", PCA(2))]), tiny())
    with pytest.raises(ValueError, match="FeatureUnion can't be exported"):
        export_onnx(union.fit(X, y), path)
    with pytest.raises(NotFittedError):
        export_onnx(tiny(), path)
    fitted = tiny().fit(X, y)
    with pytest.raises(ValueError, match="part='tail'"):
        export_onnx(fitted, path, part="tail")
    with pytest.raises(ValueError, match=r"must end in \.onnx"):
        export_onnx(fitted, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="takes no images"):
        onnx_input(fitted, IMAGES)
    with pytest.raises(ValueError, match="Nothing is left"):
        export_onnx(ImageFeatures(device="cpu").fit(IMAGES), path, part="head")
    assert not list(tmp_path.iterdir())


def test_weights_too_large_for_one_file_lie_beside_it(tiny, rows, tmp_path, monkeypatch):
    X, y = rows
    model = tiny(branch_sizes=(64,)).fit(X, y)
    monkeypatch.setattr(_onnx, "_LARGEST_FILE", 0)
    export_onnx(model, tmp_path / "model.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    np.testing.assert_allclose(run(tmp_path / "model.onnx", X)[1], model.predict(X), atol=1e-4)


def test_missing_onnx_is_said_with_its_extra(tiny, rows, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"sklearn-memorability\[onnx\]"):
        export_onnx(tiny().fit(*rows), tmp_path / "model.onnx")
