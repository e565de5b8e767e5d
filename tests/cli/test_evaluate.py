"""Measuring a model from the command line."""

import csv
import json

import numpy as np
import pytest
from scipy.stats import spearmanr


@pytest.fixture
def arguments(own_set, model_file):
    options = ["evaluate", "--images", own_set / "pictures", "--scores", own_set / "scores.csv"]
    return [*options, "-m", model_file, "--cache", own_set / "features.sqlite"]


@pytest.fixture(scope="module")
def expected(own_set, model):
    with (own_set / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    predicted = model.predict([own_set / "pictures" / row["image"] for row in rows])
    return predicted, np.array([float(row["score"]) for row in rows])


def test_the_figures_are_right(run, arguments, expected):
    done = run(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    predicted, true = expected
    assert found["spearman"] == pytest.approx(spearmanr(true, predicted).statistic, abs=1e-6)
    assert found["mse"] == pytest.approx(np.mean((predicted - true) ** 2))
    assert found["bias"] == pytest.approx(predicted.mean() - true.mean())
    assert found["n_pictures"] == 24
    low, high = found["interval"]
    assert -1 <= low < found["spearman"] < high <= 1


def test_they_are_printed_for_people(run, arguments, expected):
    lines = run(*arguments, "--group-column", "object").out.splitlines()
    predicted, true = expected
    assert lines[0].startswith(f"Spearman  {spearmanr(true, predicted).statistic:.3f}  (95 % ")
    assert lines[0].endswith("groups of 'object' redrawn)")
    assert [line.split()[0] for line in lines] == ["Spearman", "MSE", "bias", "pictures"]
    assert max(map(len, lines)) <= 80


def test_groups_widen_the_interval_and_a_seed_repeats_it(run, arguments):
    alone, again, grouped = (
        json.loads(run(*arguments, "--json", *more).out)["interval"]
        for more in ([], ["--seed", "0"], ["--group-column", "object"])
    )
    assert alone == again
    assert alone != grouped


# Of three pictures, the small model thinks the same.
@pytest.mark.filterwarnings("always:The prediction is constant")
def test_bad_pictures_and_warnings_are_told_in_a_line_each(
    run, arguments, own_set, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    lines = (own_set / "scores.csv").read_text(encoding="utf-8").splitlines()[:5]
    for line in lines[1:]:
        name = line.split(",")[0]
        (tmp_path / name).write_bytes((own_set / "pictures" / name).read_bytes())
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "few.csv").write_text("\n".join(lines), encoding="utf-8")
    done = run(*arguments, "--images", ".", "--scores", "few.csv")
    assert done.code == 1
    first, second = done.err.splitlines()
    assert first == f"warning: {name}: the file is empty."
    assert second.startswith("warning: The prediction is constant and orders nothing")
    assert done.out.endswith("pictures  3  (1 failed)\n")


def test_scores_outside_the_models_range_are_refused(run, arguments, own_set, tmp_path):
    text = (own_set / "scores.csv").read_text(encoding="utf-8")
    last = text.rstrip().rpartition(",")[0]
    (tmp_path / "high.csv").write_text(f"{last},1.5\n", encoding="utf-8")
    done = run(*arguments, "--scores", tmp_path / "high.csv")
    assert done.code == 2
    assert "1.5 in row 24" in done.err
    assert "--score-range" in done.err
    assert run(*arguments, "--scores", tmp_path / "high.csv", "--score-range", "0", "2").code == 0
