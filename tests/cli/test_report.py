"""A page of pictures from the command line."""

from pathlib import Path

import numpy as np
import pytest

from sklearn_memorability.cli import _report


@pytest.fixture
def written(monkeypatch):
    """What the page was asked to show."""
    asked = {}

    def write_report(model, images, y, path, **settings):
        asked.update(images=images, y=y, path=path, **settings)

    monkeypatch.setattr(_report, "write_report", write_report)
    return asked


def test_a_page_is_written(run, model_file, photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("report", *photographs, "gone.jpg", "-m", model_file, "--title", "My pictures")
    assert done.code == 1
    assert done.out == ""
    assert done.err == (
        "warning: gone.jpg: the file does not exist.\nWrote report.html: 2 pictures, 1 failed.\n"
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "My pictures" in page
    assert "china.jpg" in page


def test_a_table_names_pictures_relative_to_the_folder(run, model_file, own_set, written, tmp_path):
    lines = (own_set / "scores.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "some.csv").write_text("\n".join(lines[:5]), encoding="utf-8")
    done = run(
        *("report", own_set / "pictures", "-m", model_file, "--scores", tmp_path / "some.csv"),
        *("-o", tmp_path / "page.html"),
    )
    assert done.code == 0
    assert "20 of 24 pictures are not in" in done.err
    expected = {line.split(",")[0]: float(line.split(",")[2]) for line in lines[1:5]}
    found = dict(zip([Path(path).name for path in written["images"]], written["y"], strict=True))
    assert found == expected


def test_the_longest_name_that_fits_a_path_counts(
    run, model_file, photographs, written, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.jpg", "b/x.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(photographs[0].read_bytes())
    (tmp_path / "scores.csv").write_text("picture,rating\nx.jpg,0.1\nb/x.jpg,0.9\n")
    columns = ["--image-column", "picture", "--score-column", "rating"]
    done = run("report", "a", "b", "-m", model_file, "--scores", "scores.csv", *columns)
    assert done.code == 0
    np.testing.assert_array_equal(written["y"], [0.1, 0.9])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--scores", "gone.csv"], "gone.csv"),
        (["--scores", "scores.csv"], "names none of the pictures"),
        (["--scores", "scores.csv", "--score-column", "x"], "--score-column x: "),
        (["-o", "report.pdf"], "must end in .html or .htm"),
    ],
)
def test_errors_are_one_line(run, model_file, photographs, more, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text("image,score\nother.jpg,0.5\n")
    done = run("report", *photographs, "-m", model_file, *more)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
