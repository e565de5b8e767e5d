"""Folds and repeats cost a picture nothing but a look into the cache."""

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import RepeatedKFold, cross_val_score

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._networks import Network
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import knn_regressor

N_PICTURES = 20


@pytest.fixture
def data():
    pictures = [Image.new("RGB", (64, 64), (12 * i, 0, 255 - 12 * i)) for i in range(N_PICTURES)]
    return pictures, np.linspace(0.2, 0.9, N_PICTURES)


@pytest.fixture
def computed(monkeypatch):
    """How many pictures went through a network, batch by batch."""
    counts = []
    features = Network.features

    def counting(self, views):
        counts.append(len(views))
        return features(self, views)

    monkeypatch.setattr(Network, "features", counting)
    return counts


def test_ten_times_five_folds_run_the_network_once_a_picture(data, computed, tmp_path):
    found = cross_val_score(
        knn_regressor(ImageFeatures(cache=tmp_path), n_neighbors=3),
        *data,
        cv=RepeatedKFold(n_splits=5, n_repeats=10, random_state=0),
        scoring=spearman_scorer,
    )
    assert sum(computed) == N_PICTURES
    assert found.shape == (50,)
    assert np.isfinite(found).all()


def test_without_a_cache_every_fold_runs_it_for_all(data, computed):
    cross_val_score(knn_regressor(ImageFeatures(), n_neighbors=3), *data, cv=2)
    assert sum(computed) == 2 * N_PICTURES
