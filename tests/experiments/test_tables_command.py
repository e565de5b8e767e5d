"""``sklearn-memorability tables``, on a LaMem tree of real images."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.stats import spearmanr

from sklearn_memorability.cli import main
from sklearn_memorability.datasets import load_image_folder, load_lamem
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.persistence import load
from sklearn_memorability.pipelines import svr_regressor

PROGRAM = [sys.executable, "-m", "sklearn_memorability.cli"]
OFFLINE = ["--backbone", "efficientnet_lite0"]


@pytest.fixture(scope="module")
def lamem(tmp_path_factory, things_images):
    """24 images in LaMem's layout: five splits, whose scores differ a little."""
    things = load_image_folder(
        things_images / "images",
        things_images / "scores.csv",
        image_column="image_name",
        score_column="memorability",
    )
    folder = tmp_path_factory.mktemp("data") / "lamem"
    (folder / "images").mkdir(parents=True)
    (folder / "splits").mkdir()
    names = [f"{i:08d}.jpg" for i in range(1, 25)]
    for name, image in zip(names, things.images, strict=False):
        shutil.copy(image, folder / "images" / name)
    rng = np.random.default_rng(0)
    for k in range(1, 6):
        order = rng.permutation(24)
        scores = np.clip(things.target[:24] + rng.normal(0, 0.02, size=24), 0, 1)
        for part, rows in zip(("train", "val", "test"), np.split(order, [16, 18]), strict=True):
            lines = "".join(f"{names[i]} {scores[i]:.6f}\n" for i in rows)
            (folder / "splits" / f"{part}_{k}.txt").write_text(lines)
    return folder


def _tables(*arguments):
    return main(["tables", *map(str, arguments)])


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# 16 scores don't make the recommended sixteen classes.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .* distinct scores")
def test_table1_from_the_command_line_to_the_finished_table(lamem, tmp_path, capsys):
    arguments = ["--lamem", lamem, *OFFLINE, "--figure", "--output", tmp_path / "out"]
    assert _tables("table1", *arguments) == 0
    out, err = capsys.readouterr()
    assert "Hybrid-CNN (MemNet)" in out
    assert err == ""
    rows = _rows(tmp_path / "out" / "table1.csv")
    assert len(rows) == 7
    assert [bool(row["spearman"]) for row in rows] == [True] * 6 + [False]
    assert (tmp_path / "out" / "figure3.png").stat().st_size > 10_000
    # The recommended regressor stands below the paper's rows.
    more = ["--fold", "1", "--row", "ic-svr", "--recommended"]
    assert _tables("table1", *arguments, *more) == 0
    assert "| recommended" in capsys.readouterr().out
    again = _rows(tmp_path / "out" / "table1.csv")
    computed = [row for row in again if row["spearman"]]
    assert [row["key"] for row in computed] == ["ic-svr", "recommended"]
    assert {row["standard_error"] for row in computed} == {""}  # of one fold

    # The first row by hand, on the official folds and their own scores.
    data = load_lamem(lamem)
    X = ImageFeatures().fit_transform(data.images[:24])
    place = {path.name: i for i, path in enumerate(data.images[:24])}
    found = []
    for train, test in data.cv:
        model = svr_regressor()
        pick = [[place[data.images[i].name] for i in part] for part in (train, test)]
        predicted = model.fit(X[pick[0]], data.target[train]).predict(X[pick[1]])
        found.append(spearmanr(data.target[test], predicted).statistic)
    assert float(rows[0]["spearman"]) == pytest.approx(np.mean(found), abs=1e-4)


@pytest.mark.slow
def test_images_and_weights_of_ones_own(things_images, tmp_path, vgg16_weights, capsys):
    lines = (things_images / "scores.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "scores.csv").write_text("\n".join(lines[:21]), encoding="utf-8")
    arguments = ["--images", things_images / "images", "--scores", tmp_path / "scores.csv"]
    arguments += ["--image-column", "image_name", "--score-column", "memorability"]
    arguments += ["--group-column", "concept", "--score-range", "-1", "1"]
    arguments += ["--weights", vgg16_weights, "--row", "cnn-svr", "--output", tmp_path / "out"]
    assert _tables("table1", *arguments) == 0
    assert "VGGFeatures(" in capsys.readouterr().out
    row = _rows(tmp_path / "out" / "table1.csv")[0]
    assert (row["key"], row["n_images"]) == ("cnn-svr", "20")
    assert -1 <= float(row["spearman"]) <= 1


def test_table2_lists_what_is_missing_and_computes_the_rest(lamem, things_images, tmp_path, capsys):
    objects = tmp_path / "cohendet"
    (objects / "images").mkdir(parents=True)
    images = sorted((things_images / "images").iterdir())[:12]
    for path in images:
        shutil.copy(path, objects / "images")
    lines = [f"{path.name},{0.4 + 0.01 * i}\n" for i, path in enumerate(images)]
    (objects / "scores.csv").write_text("image,score\n" + "".join(lines))
    arguments = ["--lamem", lamem, *OFFLINE, "--output", tmp_path / "out", "--figure"]
    arguments += ["--set", f"cohendet={objects}", "--set", f"dubey={tmp_path / 'nowhere'}"]
    assert _tables("table2", *arguments) == 0
    rows = {row["set"]: row for row in _rows(tmp_path / "out" / "table2.csv")}
    assert rows["Cohendet"]["n_images"] == "12"
    assert rows["Dubey"]["status"].startswith("missing: ")
    assert rows["Isola"]["status"] == "not given"
    assert (tmp_path / "out" / "table2.png").stat().st_size > 10_000
    assert "fitted to 16 images" in capsys.readouterr().out
    assert "fitted to 16 images" in (tmp_path / "out" / "table2.md").read_text(encoding="utf-8")
    assert _tables("table3", "--lamem", lamem, *OFFLINE, "--output", tmp_path / "out") == 0
    assert capsys.readouterr().out.count("not given") == 5


def test_table2_of_ready_models_and_those_fitted_to_own_folders(things_images, tmp_path, capsys):
    images = sorted((things_images / "images").iterdir())
    arguments = ["--model", "embedded", "--fit-each", *OFFLINE, "--output", tmp_path, "--figure"]
    for name, paths in {"mine": images[:50], "LNSIM": images[50:60]}.items():
        arguments += ["--set", f"{name}={tmp_path / name}"]
        table = "image,score,half1,half2\n"
        for i, path in enumerate(paths):
            (tmp_path / name / "images").mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / name / "images")
            table += f"{path.name},{i % 7 / 9},{i % 7},{i % 5}\n"
            (tmp_path / name / "scores.csv").write_text(table, encoding="utf-8")
    assert _tables("table2", *arguments) == 0
    assert "mine: Human consistency is" in capsys.readouterr().out
    rows = _rows(tmp_path / "table2.csv")
    assert {(row["model"], row["set"]): row["status"] for row in rows} == {
        ("embedded", "mine"): "",
        ("embedded", "LNSIM"): "fitted",
        ("SVR fitted to mine", "mine"): "cv",
        ("SVR fitted to mine", "LNSIM"): "",
    }
    predicted = load("embedded").predict(images[:50])
    by_hand = spearmanr(predicted, [i % 7 for i in range(50)]).statistic
    assert float(rows[0]["spearman"]) == pytest.approx(by_hand)
    assert (tmp_path / "table2.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table1"], "--lamem, --images"),
        (["table1", "--images", "nowhere", "--scores", "s.csv"], "s.csv"),
        (["table1", "--lamem", "x", "--set", "dubey=x"], "not for table1"),
        (["table2", "--lamem", "x", "--nested", "3"], "--nested: it is not for table2"),
        (["table2", "--set", "laman"], "laman: expected one of isola"),
        (["table2", "--set", "laman=x"], "scores.csv"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(arguments, message, tmp_path, capsys):
    assert _tables(*arguments, "--output", tmp_path) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_an_interrupted_command_keeps_what_is_finished(lamem, tmp_path):
    arguments = ["--lamem", str(lamem), "--nested", "3", "--output", str(tmp_path)]
    command = [*PROGRAM, "tables", "table1", "--row", "cnn-svr", "--row", "cnn-mlp4"]
    command += [*OFFLINE, *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    kept = tmp_path / "predictions"
    deadline = time.monotonic() + 120
    while not (kept.is_dir() and any(kept.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted." in said
    assert "Traceback" not in said
