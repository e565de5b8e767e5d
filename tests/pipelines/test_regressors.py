import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.features import CaptionEmbedding, ImageFeatures
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import (
    mlp_regressor,
    recommended_regressor,
    svr_regressor,
    two_branch_regressor,
)
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


def test_mlp_is_the_papers_behind_a_scaler():
    pipeline = mlp_regressor(n_classes=2, random_state=3, max_epochs=5)
    assert list(pipeline.named_steps) == ["scale", "model"]
    model = pipeline[-1]
    assert isinstance(model, BalancedQuantileClassifierRegressor)
    assert (model.n_classes, model.random_state, model.max_epochs) == (2, 3, 5)
    assert model.score_range == (0.0, 1.0)


def test_recommended_takes_parameters_in_place_of_its_own():
    pipeline = recommended_regressor(random_state=1, n_members=2, score_range=(-1, 1))
    model = pipeline[-1]
    assert (model.n_members, model.score_range, model.random_state) == (2, (-1, 1), 1)
    assert (model.n_classes, model.aggregation, model.target) == (16, "mean", "soft")


def test_recommended_holds_where_features_are_many_and_rows_few_and_noisy():
    # The paper's settings overfit here: their order is no better than chance's.
    photographs = load_things_photographs()
    ranks = {
        make: cross_val_score(
            make(random_state=0),
            photographs.data,
            photographs.target,
            groups=photographs.groups,
            cv=GroupKFold(3, shuffle=True, random_state=7),
            scoring=spearman_scorer,
        ).mean()
        for make in (mlp_regressor, recommended_regressor)
    }
    assert ranks[recommended_regressor] > 0.03
    assert ranks[recommended_regressor] > ranks[mlp_regressor]


@pytest.mark.parametrize("make", [mlp_regressor, recommended_regressor, svr_regressor])
def test_features_come_first_and_images_go_in(make, photographs):
    pipeline = make(ImageFeatures())
    assert list(pipeline.named_steps) == ["features", "scale", "model"]
    if make is not svr_regressor:
        pipeline.set_params(model__max_epochs=1)
    images = photographs * 10
    predicted = pipeline.fit(images, np.linspace(0.2, 0.9, 20)).predict(images[:3])
    assert predicted.shape == (3,)
    assert np.isfinite(predicted).all()


class Space(BaseEstimator):
    """A joint space of eight dimensions, such as VisualSemanticEmbedding learns."""

    def fit(self, X=None, y=None):
        self.n_features_in_, self.n_components_ = 1280, 8
        self.network_ = {"backbone": "efficientnet_lite0"}
        self.image_weights_ = np.random.default_rng(0).normal(size=(1280, 8))
        return self

    def transform(self, X):
        rows = X @ self.image_weights_
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def transform_captions(self, captions):
        raise ValueError("no text side")


def test_two_branches_take_one_pass_over_each_image(photographs):
    pipeline = two_branch_regressor(embedding=Space().fit(), random_state=0, max_epochs=1)
    assert list(pipeline.named_steps) == ["features", "scale", "model"]
    assert isinstance(pipeline[0], CaptionEmbedding)  # both kinds of features come from it
    images = photographs * 5
    pipeline.fit(images, np.linspace(0.2, 0.9, 10))
    predicted = pipeline.predict(images[:3])
    assert predicted.shape == (3,)
    assert np.isfinite(predicted).all()
    assert len(pipeline[-1].net_.module_.branches) == 2
    assert pipeline[-1].branches == (-1, 8)
    assert pipeline[-1].n_features_in_ == 1288


def test_two_branches_with_features_of_ones_own(photographs):
    pipeline = two_branch_regressor(
        ImageFeatures(), Space().fit(), n_classes=2, random_state=0, max_epochs=1
    )
    images = photographs * 4
    assert pipeline.fit(images, [0.1, 0.9] * 4).predict(images[:3]).shape == (3,)
    assert [name for name, _ in pipeline[0].transformer_list] == ["cnn", "ic"]
    kinds = dict(clone(pipeline)[0].transformer_list)
    assert kinds["ic"].embedding is pipeline[0].transformer_list[1][1].embedding
    assert pipeline[-1].n_features_in_ == 1288


def test_two_branches_in_searches(photographs, tmp_path):
    pipeline = two_branch_regressor(
        embedding=Space().fit(), n_classes=2, random_state=0, max_epochs=1
    ).set_params(features__cache=tmp_path)
    assert clone(pipeline)[0].embedding is pipeline[0].embedding
    images, y = photographs * 6, [0.1, 0.9] * 6
    assert np.isfinite(cross_val_score(pipeline, images, y, cv=2, scoring=spearman_scorer)).all()
    search = GridSearchCV(pipeline, {"model__branch_sizes": [(4,), (8,)]}, cv=2)
    assert search.fit(images, y).predict(images).shape == (12,)


def test_two_branches_need_an_embedding_that_is_there():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        two_branch_regressor(embedding="nowhere.safetensors")
    with pytest.raises(ValueError, match="not fitted"):
        two_branch_regressor(embedding=Space())
