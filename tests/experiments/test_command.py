"""The command, on a LaMem tree of real pictures."""

import csv
import functools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sklearn_memorability.datasets import load_image_folder, load_lamem
from sklearn_memorability.experiments import _command
from sklearn_memorability.experiments._command import main
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.pipelines import recommended_regressor

OFFLINE = ["--backbone", "efficientnet_lite0", "--quiet", "--resamples", "50"]


def _write_lamem(folder, pictures, scores, seed=0):
    """Write pictures under LaMem's layout: five splits, scores that differ between them."""
    chance = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "splits").mkdir()
    names = [f"{i:08d}.jpg" for i in range(1, len(pictures) + 1)]
    for name, picture in zip(names, pictures, strict=True):
        os.link(picture, folder / "images" / name) if _one_disk(picture, folder) else (
            (folder / "images" / name).write_bytes(picture.read_bytes())
        )
    n_train, n_val = round(0.75 * len(names)), round(0.08 * len(names))
    for k in range(1, 6):
        order = chance.permutation(len(names))
        own = np.clip(scores + chance.normal(0, 0.02, size=len(scores)), 0, 1).round(6)
        parts = np.split(order, [n_train, n_train + n_val])
        for part, rows in zip(("train", "val", "test"), parts, strict=True):
            lines = "".join(f"{names[i]} {own[i]:.6f}\n" for i in rows)
            (folder / "splits" / f"{part}_{k}.txt").write_text(lines)
    return folder


def _one_disk(picture, folder):
    return picture.stat().st_dev == folder.stat().st_dev and os.access(picture.parent, os.W_OK)


@pytest.fixture(scope="module")
def lamem(tmp_path_factory, things_images):
    things = load_image_folder(
        things_images / "images",
        things_images / "scores.csv",
        image_column="image_name",
        score_column="memorability",
    )
    folder = tmp_path_factory.mktemp("data") / "lamem"
    return _write_lamem(folder, things.images[:48], things.target[:48])


def _table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_table1_runs_from_the_command_line_to_the_finished_table(lamem, tmp_path):
    command = [sys.executable, "-m", "sklearn_memorability.experiments", "table1"]
    arguments = ["--lamem", str(lamem), *OFFLINE, "--figure", "--output", str(tmp_path / "out")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Hybrid-CNN (MemNet)" in done.stdout
    assert done.stderr == ""
    rows = _table(tmp_path / "out" / "table1.csv")
    assert len(rows) == 7
    assert [bool(row["spearman"]) for row in rows] == [True] * 6 + [False]
    assert (tmp_path / "out" / "figure3.png").stat().st_size > 10_000

    # The first row by hand, on the official folds and their own scores.
    data = load_lamem(lamem)
    X = ImageFeatures().fit_transform(data.images[:48])
    place = {path.name: i for i, path in enumerate(data.images[:48])}
    found = []
    for train, test in data.cv:
        model = make_pipeline(StandardScaler(), SVR(C=0.1, epsilon=0.05))
        pick = [[place[data.images[i].name] for i in part] for part in (train, test)]
        predicted = model.fit(X[pick[0]], data.target[train]).predict(X[pick[1]])
        found.append(spearmanr(data.target[test], predicted).statistic)
    assert float(rows[0]["spearman"]) == pytest.approx(np.mean(found), abs=1e-4)


@pytest.mark.slow
def test_table1_takes_vgg16_from_a_file(lamem, tmp_path, vgg16_weights, capsys):
    arguments = ["table1", "--lamem", str(lamem), "--weights", str(vgg16_weights), "--folds", "1"]
    arguments += ["--rows", "cnn-svr", "--quiet", "--output", str(tmp_path)]
    assert main(arguments) == 0
    assert "VGGFeatures(" in capsys.readouterr().out
    (row, *_) = _table(tmp_path / "table1.csv")
    assert -1 <= float(row["fold_1"]) <= 1
    assert row["standard_error"] == ""


# A hundred scores, with ties, don't make the recommended sixteen classes.
@pytest.mark.filterwarnings("ignore:The .* distinct scores")
def test_pictures_of_ones_own_with_the_recommended_regressor(
    things_images, tmp_path, capsys, monkeypatch
):
    quick = functools.partial(recommended_regressor, min_steps=10, n_members=1)
    monkeypatch.setattr(_command, "recommended_regressor", quick)
    (tmp_path / "scores.csv").write_text(
        "".join((things_images / "scores.csv").read_text().splitlines(keepends=True)[:101])
    )
    arguments = ["table1", "--images", str(things_images / "images"), *OFFLINE, "--rows", "ic-svr"]
    arguments += ["--scores", str(tmp_path / "scores.csv"), "--image-column", "image_name"]
    arguments += ["--score-column", "memorability", "--group-column", "concept"]
    arguments += ["--score-range", "-1", "1", "--recommended", "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert "| recommended" in capsys.readouterr().out
    rows = _table(tmp_path / "out" / "table1.csv")
    assert [row["key"] for row in rows if row["spearman"]] == ["ic-svr", "recommended"]


def test_table2_lists_what_is_missing_and_computes_the_rest(lamem, things_images, tmp_path, capsys):
    arguments = ["--lamem", str(lamem), *OFFLINE, "--output", str(tmp_path / "out"), "--figure"]
    objects = tmp_path / "cohendet"
    (objects / "images").mkdir(parents=True)
    pictures = sorted((things_images / "images").iterdir())[:12]
    for path in pictures:
        (objects / "images" / path.name).write_bytes(path.read_bytes())
    lines = [f"{path.name},{0.4 + 0.01 * i}\n" for i, path in enumerate(pictures)]
    (objects / "scores.csv").write_text("image,score\n" + "".join(lines))
    sets = ["--set", f"cohendet={objects}", "--set", f"dubey={tmp_path / 'nowhere'}"]
    assert main(["table2", *arguments, *sets]) == 0
    rows = {row["set"]: row for row in _table(tmp_path / "out" / "table2.csv")}
    assert rows["Cohendet"]["n_images"] == "12"
    assert rows["Dubey"]["status"].startswith("missing: ")
    assert rows["Isola"]["status"] == "not given"
    assert (tmp_path / "out" / "figure4.png").stat().st_size > 10_000
    assert "fitted to 36 pictures" in capsys.readouterr().out
    assert "fitted to 36 pictures" in (tmp_path / "out" / "table2.md").read_text(encoding="utf-8")


def test_table3_runs_without_any_set(lamem, tmp_path, capsys):
    arguments = ["--lamem", str(lamem), *OFFLINE, "--output", str(tmp_path / "out")]
    assert main(["table3", *arguments]) == 0
    assert capsys.readouterr().out.count("not given") == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table1", "--lamem", "nowhere"], "nowhere"),
        (["table1", "--images", "nowhere"], "--scores"),
        (["table1", "--images", "nowhere", "--scores", "s.csv"], "nowhere"),
        (["table2", "--lamem", "x", "--set", "laman=x"], "laman"),
        (["table2", "--lamem", "x", "--set", "dubey"], "dubey=FOLDER"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--quiet", "--output", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1


def test_help_names_the_rows_and_the_sets(capsys):
    for command, names in (("table1", ["cnn+ic-mlp4"]), ("table3", ["mediaeval", "gygli3"])):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert all(name in text for name in names)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_an_interrupted_command_says_how_to_go_on(lamem, tmp_path):
    command = [sys.executable, "-m", "sklearn_memorability.experiments", "table1", *OFFLINE]
    command += ["--lamem", str(lamem), "--nested", "5", "--output", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    kept = tmp_path / "predictions"
    deadline = time.monotonic() + 60
    while not (kept.is_dir() and any(kept.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from there" in said
    assert "Traceback" not in said
