import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn
from torchvision import transforms

from sklearn_memorability.features import ImageFeatures, UnreadableImagesWarning
from sklearn_memorability.inspection import class_proba, quantiles, write_report
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


def test_alike_through_every_wrapping(scores, pipeline):
    X, y = scores
    search = GridSearchCV(pipeline, {"model__n_classes": [3]}, cv=2, scoring=spearman_scorer)
    for predict in (class_proba, quantiles):
        for model in (pipeline, pipeline[-1], search):
            with pytest.raises(NotFittedError):
                predict(model, X)
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
    assert quantiles(best, X).shape == (150, 3)
    with pytest.raises(TypeError, match="Pipeline holds no estimator with predict_class_proba"):
        class_proba(svr_regressor().fit(X, y), X)
    with pytest.raises(TypeError, match="predict_quantiles"):
        quantiles(StandardScaler().fit(X), X)


def test_unreadable_images_cost_their_own_rows_in_a_union_too(tmp_path):
    class Noisy(FunctionTransformer):
        def transform(self, X):
            warnings.warn("noise", RuntimeWarning, stacklevel=2)
            return X

    rng = np.random.default_rng(0)
    good = list(rng.integers(0, 256, (6, 40, 50, 3), dtype=np.uint8))
    network = ImageFeatures(Colours(), preprocessing=INPUT)
    union = FeatureUnion([("a", network), ("b", clone(network))])
    model = make_pipeline(union, Noisy(), svr_regressor())
    with pytest.warns(RuntimeWarning, match="noise"):
        model.fit(good, np.linspace(0.5, 0.9, 6))
    images = [good[0], b"no image", *good[1:], b""]
    with pytest.warns() as record:
        write_report(model, images, path=tmp_path / "report.html", on_error="skip")
    assert sorted(warning.category.__name__ for warning in record) == [
        "RuntimeWarning",
        "UnreadableImagesWarning",
    ]
    (unreadable,) = [w.message for w in record if w.category is UnreadableImagesWarning]
    assert [error.row for error in unreadable.errors] == [1, 7]
    assert network.on_error == "raise"
