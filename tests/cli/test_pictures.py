"""From paths on the command line to pictures."""

import io
import os
import sys

import pytest

from sklearn_memorability.cli._pictures import Found, find_pictures


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.PNG", "notes.txt", "sub/c.jpg", "a[1].jpg", "empty/x.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


@pytest.fixture
def stdin(monkeypatch):
    def set_to(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return set_to


def _names(paths, **settings):
    return [found.name.replace(os.sep, "/") for found in find_pictures(paths, **settings)]


def test_a_folder_stands_for_its_pictures_and_those_in_subfolders(folder):
    assert _names(["."]) == ["a.jpg", "a[1].jpg", "b.PNG", "sub/c.jpg"]
    assert _names(["."], recursive=False) == ["a.jpg", "a[1].jpg", "b.PNG"]


def test_a_pattern_that_no_shell_expanded_is_expanded(folder):
    assert _names(["*.jpg"]) == ["a.jpg", "a[1].jpg"]
    assert _names(["**/*.jpg"]) == ["a.jpg", "a[1].jpg", "sub/c.jpg"]


def test_of_a_pattern_only_pictures_count_unless_there_are_none(folder):
    assert "notes.txt" not in _names(["*"])
    assert _names(["*.txt"]) == ["notes.txt"]


def test_a_file_with_brackets_in_its_name_is_no_pattern(folder):
    assert _names(["a[1].jpg"]) == ["a[1].jpg"]


def test_a_named_file_counts_whatever_it_is_called_and_once(folder):
    assert _names(["notes.txt", "a.jpg", "notes.txt", "a*.jpg"]) == [
        "notes.txt",
        "a.jpg",
        "a[1].jpg",
    ]


def test_what_leads_to_no_picture_is_told(folder):
    assert find_pictures(["empty", "no*.jpg", "gone.jpg"]) == [
        Found("empty", "the folder holds no picture."),
        Found("no*.jpg", "no picture matches the pattern."),
        Found("gone.jpg"),
    ]


def test_a_dash_takes_paths_from_stdin(folder, stdin):
    stdin("sub\r\n\nb.PNG\nä b.jpg".encode())
    assert _names(["a.jpg", "-"]) == ["a.jpg", "sub/c.jpg", "b.PNG", "ä b.jpg"]


def test_paths_on_stdin_may_end_in_nul(folder, stdin):
    stdin(b"a.jpg\0two\nlines.jpg\0")
    assert _names(["-"], null=True) == ["a.jpg", "two\nlines.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="Windows names files in Unicode")
def test_names_that_are_no_utf8_are_kept_byte_for_byte(stdin):
    stdin(b"\xff.jpg\n")
    (name,) = _names(["-"])
    assert os.fsencode(name) == b"\xff.jpg"
