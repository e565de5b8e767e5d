"""Folds, searches and comparisons on real engines give what one process gives."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.model_selection import BayesSearchCV, compare
from sklearn_memorability.pipelines import knn_regressor, mlp_regressor

pytestmark = pytest.mark.slow

FOLDS = KFold(3, shuffle=True, random_state=0)


@pytest.fixture(scope="module", params=["dask", "ray"])
def engine(request, clusters):
    clusters(request.param)
    return request.param


@pytest.fixture(scope="module")
def rows():
    X, y = load_things_concepts(return_X_y=True)
    return X[:300], y[:300]


@pytest.fixture
def model():
    return mlp_regressor(max_epochs=2, random_state=0)


def test_folds(engine, rows, model):
    expected = cross_val_score(model, *rows, cv=FOLDS, scoring=spearman_scorer)
    with parallel_config(engine):
        found = cross_val_score(model, *rows, cv=FOLDS, scoring=spearman_scorer, n_jobs=2)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_searches(engine, rows, model):
    space = {"model__n_classes": [2, 4]}
    settings = {"cv": FOLDS, "scoring": spearman_scorer, "refit": False}
    searches = [BayesSearchCV(model, space, n_iter=2, batch_size=2, random_state=0, **settings)]
    if engine != "ray":  # it starts new processes for each search
        searches.append(GridSearchCV(model, space, **settings))
    for search in searches:
        expected = search.fit(*rows).cv_results_
        with parallel_config(engine):
            found = search.set_params(n_jobs=2).fit(*rows).cv_results_
        assert found["params"] == expected["params"]
        np.testing.assert_allclose(found["mean_test_score"], expected["mean_test_score"], atol=1e-6)


def test_comparisons(engine, rows, model):
    models = {"mlp": model, "knn": knn_regressor()}
    expected = compare(models, *rows, cv=FOLDS, scoring=spearman_scorer)
    with parallel_config(engine):
        found = compare(models, *rows, cv=FOLDS, scoring=spearman_scorer, n_jobs=2)
    assert found.fold_scores.keys() == expected.fold_scores.keys()
    for name in models:
        np.testing.assert_allclose(found.fold_scores[name], expected.fold_scores[name], atol=1e-6)


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_the_example_runs(name):
    script = Path(__file__).parents[1] / "examples" / f"{name}_cluster.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
    )
    assert done.returncode == 0, done.stderr
    assert "2 pictures, 2 readable" in done.stdout
    found = re.search(r"Spearman (0\.\d+) over 5 folds", done.stdout)
    assert float(found[1]) > 0.5
