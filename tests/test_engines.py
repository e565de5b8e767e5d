"""Dask's and Ray's local clusters give what one process gives."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from PIL import Image
from sklearn.model_selection import KFold

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.images import list_images
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.model_selection import BayesSearchCV
from sklearn_memorability.pipelines import mlp_regressor

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(params=["dask", "ray"])
def engine(request, clusters):
    clusters(request.param)
    return request.param


def test_features(engine, photographs, tmp_path):
    paths = [str(path) for path in photographs] * 4
    with parallel_config(engine):
        found = ImageFeatures(n_jobs=2).fit_transform(paths)
    np.testing.assert_allclose(found, ImageFeatures().fit_transform(paths), atol=1e-4)


def test_a_search_on_dask(clusters):
    clusters("dask")
    X, y = load_things_concepts(return_X_y=True)
    model = mlp_regressor(max_epochs=2, random_state=0)
    folds = KFold(3, shuffle=True, random_state=0)
    settings = {"n_iter": 2, "batch_size": 2, "random_state": 0, "cv": folds, "refit": False}
    search = BayesSearchCV(model, {"model__n_classes": [2, 4]}, scoring=spearman_scorer, **settings)
    expected = search.fit(X[:300], y[:300]).cv_results_
    with parallel_config("dask"):
        found = search.set_params(n_jobs=2).fit(X[:300], y[:300]).cv_results_
    assert found["params"] == expected["params"]
    np.testing.assert_allclose(found["mean_test_score"], expected["mean_test_score"], atol=1e-6)


@pytest.fixture(scope="module")
def folder(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    with Image.open(photographs[0]) as image:
        for i in range(7):
            image.rotate(10 * i).resize((160, 107)).save(folder / f"{i}.jpg")
    (folder / "7.jpg").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("name", ["dask_features", "ray_data_features"])
def test_the_recipe_writes_what_one_process_gives(name, folder, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), str(folder), str(tmp_path / "rows")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "8 images, 7 readable" in done.stdout
    table = pq.read_table(tmp_path / "rows").sort_by("path")
    paths = list_images(folder)
    assert table["path"].to_pylist() == [str(path) for path in paths]
    if name == "ray_data_features":
        rows = np.array(table["features"].to_pylist(), dtype=np.float32)
    else:
        columns = [c for c in table.column_names if c.startswith("imagefeatures")]
        rows = np.column_stack([table[column].to_numpy() for column in columns])
    expected = ImageFeatures().fit_transform(paths[:7])
    np.testing.assert_allclose(rows[:7], expected, atol=1e-4)
    assert np.isnan(rows[7]).all()
