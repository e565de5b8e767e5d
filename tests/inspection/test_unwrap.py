import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn
from torchvision import transforms

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.inspection import class_proba, quantiles
from sklearn_memorability.inspection._unwrap import predict_images
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor, svr_regressor

SMALL = {"branch_sizes": (8,), "hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
INPUT = transforms.Compose([transforms.CenterCrop(32), transforms.ToTensor()])


class Colours(nn.Module):
    def forward(self, x):
        return torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3))], dim=1)


@pytest.fixture
def pipeline():
    return mlp_regressor(**SMALL)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Eight files, the second and the last of which are no images."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(8)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    paths[1].write_bytes(b"no image")
    paths[7].write_bytes(b"")
    return paths


@pytest.fixture(scope="module")
def good(images):
    return [image for i, image in enumerate(images) if i not in (1, 7)]


def test_alike_through_every_wrapping(scores, pipeline):
    X, y = scores
    search = GridSearchCV(pipeline, {"model__n_classes": [3]}, cv=2, scoring=spearman_scorer)
    search.fit(X, y)
    best = search.best_estimator_
    scaled = best[:-1].transform(X)
    expected = best[-1].predict_class_proba(scaled)
    levels = best[-1].predict_quantiles(scaled, [0.1, 0.9])
    for model, data in (
        (best[-1], scaled),
        (best, X),
        (search, X),
        (FrozenEstimator(search), X),
        (make_pipeline(StandardScaler(with_mean=False, with_std=False).fit(X), best), X),
    ):
        assert np.array_equal(class_proba(model, data), expected)
        assert np.array_equal(quantiles(model, data, [0.1, 0.9]), levels)
        result = predict_images(model, data, [0.1, 0.9])
        assert np.array_equal(result.class_proba, expected)
        assert np.array_equal(result.quantiles, levels)
        assert np.array_equal(result.score, search.predict(X))
        assert result.errors == []
    assert quantiles(best, X).shape == (150, 3)


def test_models_without_classes_are_refused(scores):
    with pytest.raises(TypeError, match="Pipeline holds no estimator with predict_class_proba"):
        class_proba(svr_regressor().fit(*scores), scores[0])
    with pytest.raises(TypeError, match="predict_quantiles"):
        quantiles(StandardScaler().fit(scores[0]), scores[0])


def test_unfitted_models_say_so(scores, pipeline):
    for model in (
        pipeline,
        pipeline[-1],
        GridSearchCV(pipeline, {"model__n_classes": [3]}),
        RandomizedSearchCV(pipeline, {"model__n_classes": [3]}),
    ):
        for predict in (class_proba, quantiles, predict_images):
            with pytest.raises(NotFittedError):
                predict(model, scores[0])


def test_an_unreadable_image_costs_its_own_row(images, good):
    y = np.linspace(0.5, 0.9, 6)
    model = mlp_regressor(ImageFeatures(Colours(), preprocessing=INPUT), n_classes=2, **SMALL)
    model.fit(good, y)
    search = FrozenEstimator(model)
    result = predict_images(search, images)
    assert [error.row for error in result.errors] == [1, 7]
    assert [error.path for error in result.errors] == [str(images[1]), str(images[7])]
    bad = np.isin(np.arange(8), [1, 7])
    for values in (result.score, result.class_proba, result.quantiles):
        assert np.isnan(values[bad]).all()
    assert result.score[~bad] == pytest.approx(model.predict(good), abs=1e-5)
    assert result.class_proba[~bad] == pytest.approx(class_proba(model, good), abs=1e-5)
    assert model[0].on_error == "raise"
    nothing = predict_images(model, images[1:2])
    assert np.isnan(nothing.score).all()
    assert nothing.class_proba.shape == (1, 2)


def test_unions_and_models_without_classes_are_predicted_too(images, good):
    class Noisy(FunctionTransformer):
        def transform(self, X):
            warnings.warn("noise", RuntimeWarning, stacklevel=2)
            return X

    def network():
        return ImageFeatures(Colours(), preprocessing=INPUT)

    union = FeatureUnion([("a", network()), ("b", network())])
    model = make_pipeline(union, Noisy(), svr_regressor())
    with pytest.warns(RuntimeWarning, match="noise"):
        model.fit(good, np.linspace(0.5, 0.9, 6))
    with pytest.warns(RuntimeWarning, match="noise") as record:
        result = predict_images(model, images)
    assert len(record) == 1
    assert [error.row for error in result.errors] == [1, 7]
    assert result.class_proba is None
    assert result.quantiles is None
    assert np.isfinite(result.score).sum() == 6
