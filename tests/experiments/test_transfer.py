"""Tables 2 and 3: models on other sets."""

import csv

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from sklearn_memorability.experiments import table2, table3
from sklearn_memorability.metrics import spearman_scorer

# Squalli-Houssaini et al. (2018), Tables 2 and 3, read from the paper.
PAPER_2 = [
    ("Isola", 2222, 0.59),
    ("Bylinskii", 1754, 0.48),
    ("Dubey", 850, 0.36),
    ("Cohendet", 150, 0.39),
    ("Libkuman", 703, -0.02),
    ("Bainbridge", 2222, -0.06),
    ("Borkin", 410, -0.27),
]
PAPER_3 = [
    ("MediaEval", 7396, 0.07),
    ("Flickr", 123185, -0.05),
    ("Gygli 1", 2688, -0.21),
    ("Gygli 2", 2222, -0.19),
    ("Gygli 3", 3180, 0.01),
]


class Lengths:
    """A fitted model: an image's score is the length of its name."""

    def predict(self, images):
        return np.array([[float(len(name))] for name in images])


@pytest.fixture
def isola():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, size=200)
    return Bunch(
        images=["x" * n for n in lengths], target=0.02 * lengths + rng.normal(0, 0.1, size=200)
    )


def test_the_rows_are_the_papers_in_its_order_with_its_figures():
    for compute, paper in ((table2, PAPER_2), (table3, PAPER_3)):
        rows = compute(Lengths(), {}).rows
        assert [(row["set"], row["paper_n_images"], row["paper"]) for row in rows] == paper


def test_each_set_has_a_row_that_tells_how_it_is(isola):
    isola.rule = "393 of the paper's 410 images"
    sets = {"borkin": isola, "Dubey": "ask the authors", "my set": isola}
    table = table2(Lengths(), sets, n_resamples=0)
    states = {row["set"]: row["status"] for row in table.rows}
    assert states["Borkin"] == isola.rule
    assert states["Dubey"] == "missing: ask the authors"
    assert states["Isola"] == "not given"
    assert isola.rule in str(table)
    # Sets of one's own stand below.
    assert len(table.rows) == 8
    assert (table.rows[-1]["set"], table.rows[-1]["paper"]) == ("my set", None)


def test_figures_are_those_by_hand(isola, tmp_path):
    rng = np.random.default_rng(0)
    hits = rng.binomial(60, np.clip(isola.target, 0.05, 0.95))
    isola.counts = {"hits": hits, "misses": 60 - hits}
    table = table2(Lengths(), {"isola": isola}, folder=tmp_path / "new", n_resamples=300)
    row = table.rows[0]
    lengths = np.array([len(name) for name in isola.images])
    by_hand = spearmanr(isola.target, lengths).statistic
    assert row["spearman"] == pytest.approx(by_hand)
    assert row["interval_low"] < by_hand < row["interval_high"]
    assert row["mse"] == pytest.approx(np.mean((lengths - isola.target) ** 2))
    assert row["bias"] == pytest.approx(np.mean(lengths - isola.target))
    assert row["standard_error"] is None
    assert row["n_images"] == 200
    # The ceiling comes from the set's own responses.
    assert 0.9 < row["spearman"] / row["of_ceiling"] < 1
    assert "Isola: Human consistency" in str(table)
    with (tmp_path / "new" / "table2.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["set"] for row in rows] == [name for name, _, _ in PAPER_2]
    assert float(rows[0]["spearman"]) == row["spearman"]
    assert rows[0]["hash"]
    assert "| Borkin " in (tmp_path / "new" / "table2.md").read_text(encoding="utf-8")
    # Interestingness has no squared error.
    table = table3(Lengths(), {"flickr": isola}, n_resamples=0)
    assert "mse" not in table.rows[1]
    assert table.rows[1]["spearman"] == pytest.approx(by_hand)


def test_sets_go_by_their_own_names_too(isola):
    names = {"FIGRIM": "bylinskii", "massvis": "borkin", "Faces": "bainbridge", "SUN": "isola"}
    for compute, keys in ((table2, names), (table3, {"Gygli 2": "gygli2"})):
        table = compute(Lengths(), dict.fromkeys(keys, isola), n_resamples=0)
        found = {row["key"] for row in table.rows if "spearman" in row}
        assert found == set(keys.values())


def test_several_models_make_a_matrix_that_tells_what_each_has_seen(isola, tmp_path):
    isola.ceiling = 0.9
    lengths = [len(name) for name in isola.images]
    falls = Bunch(images=isola.images[:60], target=1 - isola.target[:60])
    falls.groups = np.arange(60) // 4
    sets = {"rises": isola, "THINGS falls": falls, "few": (["x", "xx"], [0.5, 0.6]), "Dubey": "no"}
    line = make_pipeline(FunctionTransformer(lambda x: [[len(y)] for y in x]), LinearRegression())
    models = {"lengths": Lengths(), "line": line}
    table = table2(models, sets, trained_on={"lengths": "Things"}, n_resamples=50, folder=tmp_path)
    rises = spearmanr(lengths, isola.target).statistic
    down = spearmanr(lengths[:60], falls.target).statistic
    # A model is judged on the set that it was fitted to by folds, which keep groups together.
    split = {"cv": GroupKFold(5, shuffle=True, random_state=0), "groups": falls.groups}
    by_fold = cross_val_score(line, falls.images, falls.target, scoring=spearman_scorer, **split)
    found = {(row["model"], row["set"]): (row["spearman"], row["status"]) for row in table.rows}
    assert len(found) == 9  # two images make no model
    assert found["lengths", "rises"] == (pytest.approx(rises), "")
    assert found["lengths", "THINGS falls"] == (pytest.approx(down), "fitted")
    assert found["line fitted to THINGS falls", "rises"] == (pytest.approx(-rises), "")
    own = found["line fitted to THINGS falls", "THINGS falls"]
    assert own == (pytest.approx(np.mean(by_fold)), "cv")
    text = str(table)
    cells = (f"| {rises:.2f}, ", f", {rises / 0.9:.0%} ", f"| {down:.2f}, fitted ")
    assert all(cell in text for cell in (*cells, "| rises, 200 images "))
    assert {"lengths was trained on: Things.", "Dubey: missing: no"} <= {*text.splitlines()}
    assert (tmp_path / "table2.csv").read_text(encoding="utf-8").count("\n") == 10


def test_a_ready_model_says_what_it_has_seen():
    images = (load_sample_images().images, [0.6, 0.8])
    sets = dict.fromkeys(["memcat_images", "LNSIM, held out", "images of 700 scenes"], images)
    table = table2({"embedded": "embedded"}, sets, n_resamples=0)
    assert [row["status"] for row in table.rows] == ["fitted", "fitted", ""]


@pytest.mark.parametrize(
    ("compute", "sets", "message"),
    [
        (table2, {"isola": {"images": ["a"], "target": None}}, "the set 'isola' has no scores"),
    ],
)
def test_sets_that_can_not_be_used_are_named(compute, sets, message):
    with pytest.raises(ValueError, match=message):
        compute(Lengths(), sets)
