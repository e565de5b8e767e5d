"""Scoring pictures from the command line."""

import csv
import importlib
import io
import json
import os
import shutil

import numpy as np
import polars
import pytest

from sklearn_memorability.cli import _model, _tables
from sklearn_memorability.inspection import class_proba, quantiles

COLUMNS = ["image", "score", "q05", "q95", "p1", "p2", "error"]


def _rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def _lacks(monkeypatch, *packages):
    def import_module(name):
        if name.partition(".")[0] in packages:
            raise ImportError(name)
        return importlib.import_module(name)

    monkeypatch.setattr(_tables, "import_module", import_module)


@pytest.fixture
def folder(photographs, tmp_path, monkeypatch):
    """A folder to be in, with two pictures, a damaged one and other files."""
    monkeypatch.chdir(tmp_path)
    for path in photographs:
        shutil.copy(path, tmp_path)
    (tmp_path / "bad.jpg").write_bytes(photographs[0].read_bytes()[:3000])
    return tmp_path


def test_a_table_has_all_that_the_model_tells(run, model, model_file, photographs):
    done = run("predict", *photographs, "--model", model_file)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == ",".join(COLUMNS)
    rows = _rows(done.out)
    assert [row["image"] for row in rows] == [str(path) for path in photographs]
    paths = list(photographs)
    expected = np.column_stack(
        [model.predict(paths), quantiles(model, paths, (0.05, 0.95)), class_proba(model, paths)]
    )
    found = [[float(row[name]) for name in COLUMNS[1:-1]] for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert [row["error"] for row in rows] == ["", ""]


def test_a_bad_picture_has_its_error_in_its_row_and_the_rest_is_done(run, model_file, folder):
    done = run("predict", ".", "nothere.jpg", "-m", model_file, "--no-classes")
    assert done.code == 1
    rows = {row["image"]: row for row in _rows(done.out)}
    assert list(rows) == ["bad.jpg", "china.jpg", "flower.jpg", "nothere.jpg"]
    assert list(rows["bad.jpg"]) == ["image", "score", "q05", "q95", "error"]
    assert rows["bad.jpg"]["score"] == ""
    assert rows["bad.jpg"]["error"].startswith("can't be read as an image: ")
    assert rows["nothere.jpg"]["error"] == "the file does not exist."
    assert float(rows["china.jpg"]["score"]) > 0
    assert "warning: nothere.jpg: the file does not exist.\n" in done.err


def test_nothing_but_bad_pictures_can_not_be_done(run, model_file, folder):
    done = run("predict", "bad.jpg", "-m", model_file)
    assert done.code == 2
    assert len(_rows(done.out)) == 1
    assert done.err.endswith("error: no picture could be scored.\n")


def test_many_failures_are_counted_not_listed(run, model_file, folder):
    done = run("predict", "china.jpg", *(f"{i}.jpg" for i in range(25)), "-m", model_file)
    assert done.code == 1
    assert done.err.count("warning: ") == 21
    assert done.err.endswith("warning: and 5 more.\n")


def test_json_is_one_document(run, model_file, folder):
    done = run("predict", "china.jpg", "bad.jpg", "-m", model_file, "--json")
    document = json.loads(done.out)
    assert document["n_pictures"] == 2
    assert document["n_failed"] == 1
    assert document["interrupted"] is False
    good, bad = document["pictures"]
    assert list(good) == COLUMNS
    assert 0 <= good["q05"] <= good["q95"] <= 1
    assert good["error"] is None
    assert bad["score"] is None


def test_files_hold_what_stdout_would(run, model_file, folder):
    on_stdout = run("predict", "china.jpg", "bad.jpg", "-m", model_file).out
    for name in ("scores.csv", "scores.json"):
        done = run("predict", "china.jpg", "bad.jpg", "-m", model_file, "-o", name)
        assert (done.code, done.out) == (1, "")
        assert f"Wrote {name}: 2 pictures, 1 failed." in done.err
    assert (folder / "scores.csv").read_text(encoding="utf-8") == on_stdout
    records = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert [str(row["score"] or "") for row in records] == [r["score"] for r in _rows(on_stdout)]
    assert sorted(path.suffix for path in folder.iterdir()) == [".csv", *[".jpg"] * 3, ".json"]


def test_an_output_is_overwritten_only_by_force(run, model_file, folder):
    (folder / "scores.csv").write_text("years of work")
    arguments = ["predict", "china.jpg", "-m", model_file, "-o", "scores.csv"]
    done = run(*arguments)
    assert done.code == 2
    assert done.err == "error: --output scores.csv: it exists; --force overwrites it.\n"
    assert (folder / "scores.csv").read_text() == "years of work"
    assert run(*arguments, "--force").code == 0
    assert (folder / "scores.csv").read_text().startswith("image,score")


@pytest.mark.parametrize("writer", ["pyarrow", "polars"])
def test_parquet_has_numbers_and_empty_cells(run, model_file, folder, monkeypatch, writer):
    if writer == "polars":
        _lacks(monkeypatch, "pyarrow")
    else:
        pytest.importorskip("pyarrow")
    done = run("predict", "china.jpg", "bad.jpg", "-m", model_file, "-o", "scores.parquet")
    assert done.code == 1
    columns = polars.read_parquet(folder / "scores.parquet").to_dict(as_series=False)
    assert list(columns) == COLUMNS
    assert columns["image"] == ["china.jpg", "bad.jpg"]
    assert isinstance(columns["score"][0], float)
    assert columns["score"][1] is None


def test_parquet_without_its_package_is_refused_before_any_work(run, monkeypatch, folder):
    _lacks(monkeypatch, "pyarrow", "polars")
    done = run("predict", "china.jpg", "-m", "no model is needed", "-o", "scores.parquet")
    assert done.code == 2
    assert "pip install pyarrow" in done.err


def test_names_with_spaces_letters_of_any_script_and_dashes(run, model_file, folder):
    names = ["my cat.jpg", "Überraschung-写真.jpg", "-v.jpg", 'a,"b".jpg']
    for name in names:
        shutil.copy(folder / "china.jpg", folder / name)
    done = run("predict", "-m", model_file, "--", *names)
    assert done.code == 0
    # A spreadsheet would take a cell that begins with a dash for a formula.
    assert [row["image"] for row in _rows(done.out)] == [*names[:2], "./-v.jpg", names[3]]


def test_a_pattern_and_a_list_on_stdin_are_taken(run, model_file, folder):
    done = run("predict", "f*.jpg", "-", "-m", model_file, stdin=b"china.jpg\n")
    assert [row["image"] for row in _rows(done.out)] == ["flower.jpg", "china.jpg"]
    done = run("predict", "-0", "-", "-m", model_file, stdin=b"china.jpg\0flower.jpg\0")
    assert [row["image"] for row in _rows(done.out)] == ["china.jpg", "flower.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="Windows names files in Unicode")
def test_a_name_that_is_no_utf8_is_escaped_in_json(run, model_file, folder):
    name = os.fsdecode(b"\xff.jpg")
    shutil.copy(folder / "china.jpg", folder / name)
    done = run("predict", name, "-m", model_file, "--json")
    assert json.loads(done.out)["pictures"][0]["image"] == name


@pytest.mark.parametrize(
    ("paths", "message"), [(["no*.jpg"], "no picture matches"), (["-"], "stdin")]
)
def test_nothing_found_can_not_be_done(run, folder, paths, message):
    done = run("predict", *paths)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert message in done.err


def test_what_is_finished_is_kept_when_interrupted(run, model_file, folder, monkeypatch):
    whole = _model.Scorer.predict
    parts = []

    def predict(scorer, pictures):
        parts.append(len(pictures))
        if len(parts) == 2:
            raise KeyboardInterrupt
        return whole(scorer, pictures)

    monkeypatch.setattr(_model.Scorer, "predict", predict)
    for i in range(40):
        os.link(folder / "flower.jpg", folder / f"{i:02}.jpg")
    done = run("predict", *(f"{i:02}.jpg" for i in range(40)), "-m", model_file, "-o", "scores.csv")
    assert done.code == 130
    assert done.err.endswith("16 of 40 pictures done.\nInterrupted.\n")
    rows = _rows((folder / "scores.csv").read_text(encoding="utf-8"))
    assert [row["image"] for row in rows] == [f"{i:02}.jpg" for i in range(16)]
    assert all(row["score"] for row in rows)


def test_the_cache_is_used(run, model_file, folder):
    first = run("predict", "china.jpg", "-m", model_file, "--cache", "features.sqlite")
    assert (folder / "features.sqlite").is_file()
    again = run("predict", "china.jpg", "-m", model_file, "--cache", "features.sqlite")
    assert again.out == first.out


def test_a_model_that_takes_features_is_refused(run, features_model_file, folder):
    done = run("predict", "china.jpg", "-m", features_model_file)
    assert (done.code, done.out) == (2, "")
    assert "takes features, not pictures" in done.err


def test_a_model_that_is_not_there_is_named(run, folder):
    done = run("predict", "china.jpg", "-m", "gone.skops")
    assert done.code == 2
    assert done.err.startswith("error: --model gone.skops: ")
    assert "'sklearn-memorability fit' makes such files" in done.err


def test_the_embedded_model_is_the_default(run, model, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(_model, "load", lambda name, device: asked.append(name) or model)
    assert run("predict", "china.jpg").code == 0
    assert asked == ["embedded"]


def test_a_model_without_intervals_gives_scores_alone(run, photographs, monkeypatch):
    from sklearn_memorability.features import ImageFeatures
    from sklearn_memorability.pipelines import svr_regressor

    svr = svr_regressor(ImageFeatures(on_error="nan")).fit(list(photographs), [0.6, 0.8])
    monkeypatch.setattr(_model, "load", lambda name, device: svr)
    done = run("predict", *photographs, "gone.jpg")
    assert done.code == 1
    found = _rows(done.out)
    assert list(found[0]) == ["image", "score", "error"]
    expected = svr.predict(list(photographs))
    np.testing.assert_allclose([float(row["score"]) for row in found[:2]], expected, rtol=1e-5)
    assert found[2]["error"] == "the file does not exist."
