"""A newcomer's walk, from a folder of images to a model used elsewhere."""

import subprocess
import sys

import pytest

from sklearn_memorability.datasets import load_image_folder
from sklearn_memorability.images import list_images
from sklearn_memorability.persistence import load


def _command(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_memorability.cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_score_fit_look_share_and_score_again(things_images, tmp_path):
    things = load_image_folder(
        things_images / "images",
        things_images / "scores.csv",
        image_column="image_name",
        score_column="memorability",
    )
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    (here / "images").mkdir(parents=True)
    elsewhere.mkdir()
    rows = ["image,score"]
    for path, score in list(zip(things.images, things.target, strict=True))[:24]:
        (here / "images" / path.name).write_bytes(path.read_bytes())
        rows.append(f"{path.name},{score}")
    (here / "scores.csv").write_text("\n".join(rows), encoding="utf-8")

    first = _command("predict", "images", cwd=here)
    assert first.startswith("image,score,q05,q95,")
    assert len(first.splitlines()) == 25

    own = ["--images", "images", "--scores", "scores.csv", "--model", "paper", "--cv", "2"]
    _command("fit", *own, "-o", "model.skops", cwd=here)
    _command("report", "images", "--model", "model.skops", "--scores", "scores.csv", cwd=here)
    page = (here / "report.html").read_text(encoding="utf-8")
    assert things.images[0].name in page

    (elsewhere / "model.skops").write_bytes((here / "model.skops").read_bytes())
    there = _command("predict", here / "images", "--model", "model.skops", cwd=elsewhere)
    scores = [float(line.split(",")[1]) for line in there.splitlines()[1:]]
    images = list_images(here / "images")
    assert scores == pytest.approx(load(here / "model.skops").predict(images), rel=1e-5)
