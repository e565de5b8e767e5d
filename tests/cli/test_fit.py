"""Fitting from the command line."""

import csv
import json
import shutil

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.model_selection import GroupKFold

from sklearn_memorability.features import CaptionEmbedding, ImageFeatures
from sklearn_memorability.persistence import load
from sklearn_memorability.pipelines import svr_regressor

LITE = ["--backbone", "efficientnet_lite0"]


@pytest.fixture
def arguments(own_set, tmp_path, monkeypatch):
    """The set's options; the current folder is empty."""
    monkeypatch.chdir(tmp_path)
    options = ["fit", "--images", own_set / "images", "--scores", own_set / "scores.csv"]
    return [*options, "--cache", own_set / "features.sqlite"]


@pytest.fixture(scope="module")
def by_hand(own_set):
    """The set's images, features, scores and objects, read without the command."""
    with (own_set / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    images = [own_set / "images" / row["image"] for row in rows]
    X = ImageFeatures(cache=own_set / "features.sqlite").fit_transform(images)
    return images, X, np.array([float(row["score"]) for row in rows]), [r["object"] for r in rows]


def test_the_figure_is_the_mean_over_folds_by_group(run, arguments, by_hand):
    arguments += ["-m", "svr", "--group-column", "object", "--cv", "3", *LITE]
    done = run(*arguments, "--json")
    assert done.code == 0
    lines = done.err.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == [f"Fold {k} of 3" for k in (1, 2, 3)]
    assert lines[3:] == ["Wrote model.skops, fitted to 24 images."]
    _, X, y, groups = by_hand
    folds = []
    for train, test in GroupKFold(3, shuffle=True, random_state=0).split(X, y, groups):
        predicted = svr_regressor().fit(X[train], y[train]).predict(X[test])
        folds.append(spearmanr(y[test], predicted).statistic)
    document = json.loads(done.out)
    assert document["folds"] == pytest.approx(folds)
    assert document["spearman"] == pytest.approx(np.mean(folds))
    assert document["standard_error"] == pytest.approx(np.std(folds, ddof=1) / np.sqrt(3))
    assert document["n_images"] == 24
    assert run(*arguments, "--force").out == (
        f"Spearman {np.mean(folds):.3f} ± {document['standard_error']:.3f} "
        "(3 folds of 24 images, grouped by 'object')\n"
    )


def test_the_model_is_fitted_to_all_images_and_knows_no_cache(run, arguments, by_hand):
    assert run(*arguments, "-m", "svr", "--cv", "0", "-o", "svr.skops", *LITE).out == ""
    model = load("svr.skops")
    assert model[0].cache is None
    assert model[0].on_error == "raise"
    images, X, y, _ = by_hand
    rows = run("predict", *images, "-m", "svr.skops").rows
    assert list(rows[0]) == ["image", "score", "error"]  # a model without classes
    scores = [float(row["score"]) for row in rows]
    np.testing.assert_allclose(scores, svr_regressor().fit(X, y).predict(X), rtol=1e-4)


# 24 scores, with ties, don't make sixteen classes.
@pytest.mark.filterwarnings("ignore:The .* distinct scores")
def test_few_images_get_the_recommended_model_on_the_embedded_ones_network(run, arguments):
    assert run(*arguments, "--cv", "0", "--score-range", "-1", "1", "--seed", "7").code == 0
    model = load("model.skops")
    assert model[0].backbone == "memorability"
    regressor = model[-1]
    assert regressor.aggregation == "mean"
    assert regressor.score_range_ == (-1, 1)
    assert regressor.random_state == 7


def test_the_papers_models_are_fitted(run, arguments, by_hand):
    assert run(*arguments, "-m", "paper", "--cv", "0", "-o", "paper.skops").code == 0
    assert load("paper.skops")[-1].n_classes_ == 4
    arguments += ["-m", "two-branch", "--cv", "0"]
    assert run(*arguments, "-o", "both.skops").code == 0
    both = load("both.skops")
    assert isinstance(both[0], CaptionEmbedding)
    assert both[-1].n_features_in_ == 1280 + 1024
    # A network by name and a joint space stand side by side: the same features here.
    assert run(*arguments, *LITE, "-o", "union.skops").code == 0
    images = by_hand[0][:3]
    np.testing.assert_allclose(load("union.skops").predict(images), both.predict(images), rtol=1e-4)


# Seven images are too few for a model that orders.
@pytest.mark.filterwarnings("ignore:The prediction is constant")
def test_an_image_that_can_not_be_read_is_left_out(run, arguments, own_set, tmp_path):
    lines = (own_set / "scores.csv").read_text(encoding="utf-8").splitlines()
    for line in lines[1:9]:
        name = line.split(",")[0]
        shutil.copy(own_set / "images" / name, tmp_path)
    bad = lines[1].split(",")[0]
    (tmp_path / bad).write_bytes(b"no image")
    (tmp_path / "scores.csv").write_text("\n".join(lines[:9]), encoding="utf-8")
    done = run("fit", "--images", ".", "--scores", "scores.csv", "-m", "svr", "--cv", "2")
    assert done.code == 1
    assert f"warning: {bad}: can't be read as an image" in done.err
    assert "2 folds of 7 images" in done.out


def test_hits_and_misses_become_scores(run, arguments, own_set, tmp_path):
    lines = (own_set / "scores.csv").read_text(encoding="utf-8").splitlines()
    names = [line.split(",")[0] for line in lines[1:]]
    table = tmp_path / "counts.csv"
    rows = [f"{name};{hits};{20 - hits}" for hits, name in enumerate(names, -4) if hits >= 0]
    table.write_text("\n".join(["image;Hits;misses", *rows]))
    arguments[arguments.index("--scores") + 1] = table
    done = run(*arguments, "-m", "svr", "--cv", "0")
    assert (done.code, "--hits and --misses" in done.err) == (2, True)
    assert "go together" in run(*arguments, "--hits", "Hits").err
    counts = ["--hits", "Hits", "--misses", "misses", "-m", "svr", "--cv", "0", *LITE]
    assert run(*arguments, *counts).code == 0
    images = [own_set / "images" / name for name in names[4:]]
    expected = svr_regressor(ImageFeatures(cache=own_set / "features.sqlite"))
    expected.fit(images, np.arange(20) / 20)
    np.testing.assert_allclose(load("model.skops").predict(images), expected.predict(images))


@pytest.mark.parametrize("n_images", [1, 3])
def test_scores_that_are_all_the_same_make_no_model(run, arguments, own_set, tmp_path, n_images):
    names = sorted(path.name for path in (own_set / "images").iterdir())[:n_images]
    table = tmp_path / "same.csv"
    table.write_text("image,score\n" + "".join(f"{name},0.5\n" for name in names))
    arguments[arguments.index("--scores") + 1] = table
    done = run(*arguments, "-m", "svr", "--cv", "0")
    assert (done.code, (tmp_path / "model.skops").exists()) == (2, False)
    assert f"different scores; those read are {n_images}, all of 0.5" in done.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--score-column", "rating"], "--score-column: rating: "),
        (["--group-column", "thing"], "it has 'image', 'object', 'score'"),
        (["--cv", "13"], "--cv: 13: there are 24 images, so it can be from 2 to 12, or 0"),
        (["--group-column", "object", "--cv", "13"], "--cv: 13: there are 12 groups"),
        (["--score-range", "1", "0"], "--score-range: 1 0: LOW must be below HIGH"),
        (["-o", "model.pkl"], "--output: model.pkl: its name must end in .skops"),
        (["--backbone", "resnet51"], "'resnet51' is not known"),
        (["--scores", "gone.csv"], "gone.csv"),
        (["-m", "svm"], "'two-branch'"),
    ],
)
def test_errors_are_one_line_that_names_the_option(run, arguments, more, message):
    done = run(*arguments, *more)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err


def test_a_model_that_exists_is_kept(run, arguments, tmp_path):
    (tmp_path / "model.skops").write_text("mine")
    done = run(*arguments, "-m", "svr")
    assert (done.code, (tmp_path / "model.skops").read_text()) == (2, "mine")
    assert "--force" in done.err
