import csv
import gzip

import numpy as np
import pandas as pd
import pytest

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.features import ImageFeatures


def test_concepts_are_the_published_table():
    concepts = load_things_concepts()
    assert concepts.data.shape == (1854, 66)
    assert concepts.feature_names[0] == "spose_0"
    assert concepts.feature_names[-1] == "spose_65"
    first = np.flatnonzero(concepts.concepts == "aardvark")
    assert concepts.target[first] == pytest.approx(0.779739082)
    assert concepts.data[first, :3].ravel() == pytest.approx([0.0088, 0.3014, 2.3529])
    assert len(set(concepts.concepts)) == 1854
    assert "Kramer" in concepts.DESCR


def test_photographs_have_names_scores_and_groups():
    photographs = load_things_photographs()
    assert photographs.data.shape == (946, 1280)
    assert photographs.data.dtype == np.float32
    assert np.isfinite(photographs.data).all()
    assert photographs.target.mean() == pytest.approx(0.828, abs=5e-4)
    assert photographs.target.std() == pytest.approx(0.074, abs=5e-4)
    assert len(set(photographs.groups)) == 476
    assert all(
        name.startswith(f"{concept}_")
        for name, concept in zip(photographs.image_names, photographs.groups, strict=True)
    )


def test_ceiling_follows_from_the_split_half_consistency():
    # Spearman-Brown: two halves that correlate by .45 make a whole reliable to .62.
    reliability = 2 * 0.45 / 1.45
    assert load_things_photographs().ceiling == pytest.approx(np.sqrt(reliability), abs=0.005)


@pytest.mark.parametrize("load", [load_things_concepts, load_things_photographs])
def test_as_in_scikit_learn(load):
    bunch = load()
    X, y = load(return_X_y=True)
    assert np.array_equal(X, bunch.data)
    assert np.array_equal(y, bunch.target)
    assert bunch.frame is None
    framed = load(as_frame=True)
    assert isinstance(framed.data, pd.DataFrame)
    assert isinstance(framed.target, pd.Series)
    assert framed.frame.shape == (X.shape[0], X.shape[1] + 1)
    assert np.array_equal(framed.data.to_numpy(), X)
    assert framed.target.name == "memorability"
    table, target = load(return_X_y=True, as_frame=True)
    assert list(table.columns) == bunch.feature_names
    assert np.array_equal(target, y)


def test_photograph_scores_are_those_of_the_source(things_images):
    photographs = load_things_photographs()
    with (things_images / "scores.csv").open(newline="", encoding="utf-8") as file:
        published = {r["image_name"]: float(r["memorability"]) for r in csv.DictReader(file)}
    assert dict(zip(photographs.image_names, photographs.target, strict=True)) == published


def test_photograph_features_are_those_that_image_features_computes(things_images):
    photographs = load_things_photographs()
    rows = [0, 300, 945]
    paths = [things_images / "images" / photographs.image_names[i] for i in rows]
    computed = ImageFeatures("efficientnet_lite0").fit_transform(paths)
    # float16 keeps eleven bits.
    np.testing.assert_allclose(computed, photographs.data[rows], rtol=2e-3, atol=2e-3)


def test_bundled_table_is_plain_text():
    from sklearn_memorability.datasets import _things

    with gzip.open(str(_things._FOLDER / "things_concepts.csv.gz"), "rt", encoding="ascii") as file:
        assert file.readline().startswith("concept,memorability,spose_0,")
