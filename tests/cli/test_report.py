"""A page of images from the command line."""

import shutil

import pytest


def test_a_page_is_written(run, model_file, folder):
    done = run("report", ".", "gone.jpg", "-m", model_file)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "warning: gone.jpg: the file does not exist.\nWrote report.html: 2 images, 1 failed.\n"
    )
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "china.jpg" in page
    assert "it exists; --force overwrites it" in run("report", ".", "-m", model_file).err


def test_only_images_of_the_table_are_shown(run, model_file, folder):
    for name in ("a/x.jpg", "b/x.jpg", "b/y.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy("china.jpg", name)
    # Names are relative to a folder among the paths, or the ends of the images' paths.
    (folder / "scores.csv").write_text("image file,rating\nb/x.jpg,0.1\ny.jpg,0.9\n")
    columns = ["--image-column", "image file", "--score-column", "rating"]
    done = run("report", "a", "b", "-m", model_file, "--scores", "scores.csv", *columns)
    assert done.code == 0
    assert done.err == (
        "warning: 1 of 3 images are not in scores.csv and left out.\n"
        "Wrote report.html: 2 images, 0 failed.\n"
    )
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "b/x.jpg" in page
    assert "b/y.jpg" in page
    assert "a/x.jpg" not in page


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--scores", "scores.csv"], "names none of the images"),
        (["-o", "report.pdf"], "must end in .html or .htm"),
    ],
)
def test_errors_are_one_line(run, model_file, folder, more, message):
    (folder / "scores.csv").write_text("image,score\nother.jpg,0.5\n")
    done = run("report", "china.jpg", "-m", model_file, *more)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
