"""From paths on the command line to images."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def names(run, model_file, tmp_path, monkeypatch):
    """Make files, and return the function from paths to the names in the table."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.PNG", "notes.txt", "sub/c.jpg", "a[1].jpg", "empty/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def names(*paths, stdin=b""):
        done = run("predict", *paths, "-m", model_file, stdin=stdin)
        return [row["image"].replace(os.sep, "/") for row in done.rows]

    return names


def test_a_folder_stands_for_its_images_and_those_in_subfolders(names):
    assert names(".") == ["a.jpg", "a[1].jpg", "b.PNG", "sub/c.jpg"]
    assert names(".", "--no-recursive") == ["a.jpg", "a[1].jpg", "b.PNG"]


def test_a_pattern_that_no_shell_expanded_is_expanded(names):
    assert names("*.jpg") == ["a.jpg", "a[1].jpg"]
    assert names("**/*.jpg") == ["a.jpg", "a[1].jpg", "sub/c.jpg"]
    # Other files count only where there is no image; brackets may be part of a name.
    assert "notes.txt" not in names("[a-z]*")
    assert names("*.txt") == ["notes.txt"]
    assert names("a[1].jpg") == ["a[1].jpg"]
    # A named file counts whatever it is called, and once.
    assert names("notes.txt", "a.jpg", "notes.txt", "a*.jpg") == ["notes.txt", "a.jpg", "a[1].jpg"]


def test_a_dash_takes_paths_from_stdin(names):
    listed = ["a.jpg", "sub/c.jpg", "b.PNG", "ä b.jpg"]
    assert names("a.jpg", "-", stdin="sub\r\n\nb.PNG\nä b.jpg".encode()) == listed


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("empty", "empty: the folder holds no image"),
        ("no*.jpg", "no*.jpg: no image matches the pattern"),
        ("-", "stdin names no image"),
    ],
)
def test_a_path_that_stands_for_no_image_is_an_error(run, names, path, message):
    done = run("predict", "a.jpg", path) if path != "-" else run("predict", path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert message in done.err


def test_a_file_that_looks_like_an_option_is_hinted_at(run, names):
    Path("-dash.jpg").write_bytes(Path("a.jpg").read_bytes())
    done = run("predict", "-dash.jpg")
    assert (done.code, done.out) == (2, "")
    assert "Put -- before names of files that begin with '-'." in done.err
