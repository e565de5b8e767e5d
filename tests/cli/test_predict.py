"""Scoring images, and measuring a model, from the command line."""

import csv
import json
import shutil
import sys

import numpy as np
import pytest
from scipy.stats import spearmanr

from sklearn_memorability.inspection import class_proba, quantiles
from sklearn_memorability.metrics import split_half_consistency
from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import svr_regressor

COLUMNS = ["image", "score", "q05", "q95", "p1", "p2", "error"]


@pytest.fixture
def bad(folder):
    """A damaged image beside the two good ones."""
    (folder / "bad.jpg").write_bytes((folder / "china.jpg").read_bytes()[:3000])
    return "bad.jpg"


def test_a_table_has_all_that_the_model_tells(run, model, model_file, photographs):
    done = run("predict", *photographs, "--model", model_file)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == ",".join(COLUMNS)
    assert [row["image"] for row in done.rows] == [str(path) for path in photographs]
    paths = list(photographs)
    expected = np.column_stack(
        [model.predict(paths), quantiles(model, paths, (0.05, 0.95)), class_proba(model, paths)]
    )
    found = [[float(row[name]) for name in COLUMNS[1:-1]] for row in done.rows]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert [row["error"] for row in done.rows] == ["", ""]


def test_a_bad_image_has_its_error_in_its_row_and_the_rest_is_done(run, model_file, bad):
    done = run("predict", ".", "nothere.jpg", "-m", model_file, "--no-classes")
    assert done.code == 1
    rows = {row["image"]: row for row in done.rows}
    assert list(rows) == ["bad.jpg", "china.jpg", "flower.jpg", "nothere.jpg"]
    assert list(rows["bad.jpg"]) == ["image", "score", "q05", "q95", "error"]
    assert rows["bad.jpg"]["score"] == ""
    assert rows["bad.jpg"]["error"].startswith("can't be read as an image: ")
    assert rows["nothere.jpg"]["error"] == "the file does not exist."
    alone = run("predict", "china.jpg", "-m", model_file, "--no-classes").rows
    assert float(rows["china.jpg"]["score"]) == pytest.approx(float(alone[0]["score"]), rel=1e-5)
    assert "warning: nothere.jpg: the file does not exist.\n" in done.err


def test_rows_and_errors_stay_together_over_blocks_of_images(run, model_file, folder):
    # A block has 128 images; those that are missing cost no time.
    names = [f"{i:03}.jpg" for i in range(150)]
    for i in range(0, 150, 10):
        (folder / names[i]).symlink_to("flower.jpg" if i % 3 else "china.jpg")
    done = run("predict", *names, "-m", model_file, "--cache", "features.sqlite")
    assert done.code == 1
    assert [row["image"] for row in done.rows] == names
    assert [i for i, row in enumerate(done.rows) if not row["error"]] == list(range(0, 150, 10))
    scores = [float(row["score"]) for row in done.rows[::10]]
    china, flower = scores[:2]
    assert china != flower
    np.testing.assert_allclose(scores, [flower if i % 3 else china for i in range(0, 150, 10)])
    assert (folder / "features.sqlite").is_file()
    # Failures are counted, and nothing but failures is an error.
    done = run("predict", *(f"no {i}.jpg" for i in range(25)), "-m", model_file)
    assert (done.code, len(done.rows)) == (2, 25)
    assert done.err.count("warning: ") == 21
    assert done.err.endswith("warning: and 5 more.\nerror: no image could be scored.\n")


def test_json_is_one_document_and_the_embedded_model_the_default(run, bad):
    assert run("predict", "china.jpg").out == run("predict", "china.jpg", "-m", "embedded").out
    document = json.loads(run("predict", "china.jpg", bad, "--json").out)
    assert document["n_images"] == 2
    assert document["n_failed"] == 1
    assert document["interrupted"] is False
    good, failed = document["images"]
    assert list(good)[:4] == COLUMNS[:4]
    assert 0 <= good["q05"] <= good["q95"] <= 1
    assert good["error"] is None
    assert failed["score"] is None


def test_files_hold_what_stdout_would(run, model_file, folder, bad):
    on_stdout = run("predict", "china.jpg", bad, "-m", model_file)
    for name in ("scores.csv", "scores.json"):
        done = run("predict", "china.jpg", bad, "-m", model_file, "-o", name)
        assert (done.code, done.out) == (1, "")
        assert f"Wrote {name}: 2 images, 1 failed." in done.err
    assert (folder / "scores.csv").read_text(encoding="utf-8") == on_stdout.out
    records = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert [str(row["score"] or "") for row in records] == [r["score"] for r in on_stdout.rows]
    # A file is overwritten only by force.
    (folder / "scores.csv").write_text("years of work")
    arguments = ["predict", "china.jpg", "-m", model_file, "-o", "scores.csv"]
    done = run(*arguments)
    assert done.code == 2
    assert "--output: scores.csv: it exists; --force overwrites it." in done.err
    assert (folder / "scores.csv").read_text() == "years of work"
    assert run(*arguments, "--force").code == 0
    assert (folder / "scores.csv").read_text().startswith("image,score")


def test_names_with_spaces_letters_of_any_script_and_dashes(run, model_file, folder):
    names = ["my cat.jpg", "Überraschung-写真.jpg", "-v.jpg", 'a,"b".jpg']
    for name in names:
        shutil.copy(folder / "china.jpg", folder / name)
    done = run("predict", "-m", model_file, "--", *names)
    assert done.code == 0
    # A spreadsheet would take a cell that begins with a dash for a formula.
    assert [row["image"] for row in done.rows] == [*names[:2], "./-v.jpg", names[3]]


def test_a_model_that_is_not_there_or_takes_features_is_refused(run, folder):
    done = run("predict", "china.jpg", "-m", "gone.skops")
    assert done.code == 2
    assert "--model: gone.skops: " in done.err
    assert "'sklearn-memorability fit' makes files" in done.err
    assert "vitmem" in done.err
    rng = np.random.default_rng(0)
    save(svr_regressor().fit(rng.normal(size=(20, 3)), rng.uniform(size=20)), "features.skops")
    done = run("predict", "china.jpg", "-m", "features.skops")
    assert (done.code, done.out) == (2, "")
    assert "takes features, not images" in done.err


def test_a_ready_model_is_named_wherever_a_file_is(run, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "resmem", None)
    for command in (
        ["predict", "china.jpg"],
        ["report", "china.jpg"],
        ["evaluate", "--images", ".", "--scores", "scores.csv"],
    ):
        done = run(*command, "-m", "resmem")
        assert (done.code, done.out) == (2, "")
        assert "pip install resmem" in done.err


@pytest.fixture
def evaluated(own_set, model_file, model):
    """The arguments of evaluate, and what the model predicts beside the true scores."""
    with (own_set / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    predicted = model.predict([own_set / "images" / row["image"] for row in rows])
    options = ["evaluate", "--images", own_set / "images", "--scores", own_set / "scores.csv"]
    options += ["-m", model_file, "--cache", own_set / "features.sqlite"]
    return options, predicted, np.array([float(row["score"]) for row in rows])


def test_a_models_figures_are_right(run, evaluated):
    arguments, predicted, true = evaluated
    done = run(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    spearman = spearmanr(true, predicted).statistic
    assert found["spearman"] == pytest.approx(spearman, abs=1e-6)
    assert found["mse"] == pytest.approx(np.mean((predicted - true) ** 2))
    assert found["bias"] == pytest.approx(predicted.mean() - true.mean())
    assert found["n_images"] == 24
    low, high = found["interval"]
    assert -1 <= low < found["spearman"] < high <= 1
    assert json.loads(run(*arguments, "--json").out) == found
    grouped = run(*arguments, "--group-column", "object", "--json").out
    assert json.loads(grouped)["interval"] != found["interval"]
    lines = run(*arguments, "--group-column", "object").out.splitlines()
    assert lines[0].startswith(f"Spearman  {spearman:.3f}  (95 % ")
    assert lines[0].endswith("groups of 'object' redrawn)")
    assert [line.split()[0] for line in lines] == ["Spearman", "MSE", "bias", "spread", "images"]
    assert max(map(len, lines)) <= 80
    assert found["spread"] == pytest.approx([predicted.std(), true.std()])
    assert found["ceiling"] is None


def test_the_ceiling_is_what_peoples_agreement_allows(run, evaluated, own_set, tmp_path):
    arguments, _, true = evaluated
    done = run(*arguments, "--consistency", "0.6")
    assert done.out.splitlines()[1] == "ceiling   0.866  (two halves of people agree at 0.600)"
    halves = true + np.random.default_rng(0).normal(0, 0.05, (2, 24))
    hits = np.round(80 * true)
    columns = {
        "half1,half2": halves.T,
        "hits,misses": np.column_stack([hits, 80 - hits]),
        "hits,responses": np.column_stack([hits, 80 + 0 * hits]),
    }
    header, *rows = (own_set / "scores.csv").read_text(encoding="utf-8").splitlines()
    found = {}
    for names, values in columns.items():
        cells = [",".join(map(str, row)) for row in values]
        lines = [f"{header},{names}", *(f"{a},{b}" for a, b in zip(rows, cells, strict=True))]
        (tmp_path / "scores.csv").write_text("\n".join(lines), encoding="utf-8")
        told = json.loads(run(*arguments, "--scores", tmp_path / "scores.csv", "--json").out)
        found[names] = told["consistency"]
        assert told["ceiling"] == pytest.approx(np.sqrt(2 * found[names] / (1 + found[names])))
    assert found["half1,half2"] == pytest.approx(spearmanr(*halves).statistic, abs=1e-6)
    expected = split_half_consistency(hits=hits, misses=80 - hits, random_state=0).consistency
    assert found["hits,misses"] == found["hits,responses"] == pytest.approx(expected, abs=1e-6)


def test_scores_outside_the_models_range_are_refused(run, evaluated, own_set, tmp_path):
    text = (own_set / "scores.csv").read_text(encoding="utf-8")
    (tmp_path / "high.csv").write_text(f"{text.rstrip().rpartition(',')[0]},1.5\n", "utf-8")
    arguments = [*evaluated[0], "--scores", tmp_path / "high.csv"]
    done = run(*arguments)
    assert done.code == 2
    assert "1.5 in row 24" in done.err
    assert "--score-range" in done.err
    assert run(*arguments, "--score-range", "0", "2").code == 0
    # An image that can't be read is left out.
    (tmp_path / "high.csv").write_text(f"{text.rstrip()}\ngone.jpg,x,0.5\n", "utf-8")
    shutil.copytree(own_set / "images", tmp_path / "images")
    (tmp_path / "images" / "gone.jpg").write_bytes(b"")
    done = run(*arguments, "--images", tmp_path / "images")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert done.err.endswith("gone.jpg: the file is empty.\n")
    assert done.out.endswith("images    24  (1 failed)\n")
