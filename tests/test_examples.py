"""The examples run as their users run them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def _run(*command):
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_conformal_intervals_hold_about_what_they_say(tmp_path):
    figure = tmp_path / "conformal.png"
    done = _run("-W", "error", EXAMPLES / "plot_conformal.py", "--output", figure)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"coverage (0\.\d+), mean width (0\.\d+)", done.stdout)
    assert len(found) == 2
    for coverage, width in found:
        assert float(coverage) == pytest.approx(0.9, abs=0.05)
        # The middle half of all scores spans .055, the middle 90 % spans .139.
        assert 0.055 < float(width) < 0.139
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("example", "folder", "message"),
    [("plot_quickstart.py", "", "no images in"), ("plot_captions.py", "none", "no folder")],
)
def test_examples_say_what_is_wrong_with_a_folder(example, folder, message, tmp_path):
    done = _run(EXAMPLES / example, tmp_path / folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_quickstart_ranks_a_folder_of_ones_own(photographs, tmp_path):
    (tmp_path / "images").mkdir()
    for path in photographs:
        (tmp_path / "images" / path.name).write_bytes(path.read_bytes())
    command = [EXAMPLES / "plot_quickstart.py", tmp_path / "images", "--output", tmp_path / "q.png"]
    done = _run("-W", "error", *command)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"(0\.\d+) \((0\.\d+) to (0\.\d+)\)  (\S+)", done.stdout)
    assert {row[3] for row in rows} == {path.name for path in photographs}
    assert rows == sorted(rows, key=lambda row: row[0], reverse=True)
    assert all(low < score < high for score, low, high, _ in rows)
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "images" / "broken.jpg").write_bytes(b"no image")
    done = _run(*command)
    assert done.returncode == 2
    assert "broken.jpg" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_image_of_the_examples_has_its_source():
    sources = (EXAMPLES / "images" / "SOURCES.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+\.jpg)` .* (?:CC0 1\.0|public domain)", sources, re.MULTILINE)
    assert named == sorted(path.name for path in (EXAMPLES / "images").glob("*.jpg"))


def test_the_captions_example_takes_images_and_captions_of_ones_own(photographs, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "flower.jpg").write_bytes(photographs[1].read_bytes())
    (tmp_path / "images" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "captions.txt").write_text("A flower.\n\nA dog runs.\n", encoding="utf-8")
    options = ["--captions", tmp_path / "captions.txt", "--output", tmp_path / "captions.png"]
    done = _run(EXAMPLES / "plot_captions.py", tmp_path / "images", *options)
    assert done.returncode == 0, done.stderr
    found = [line.split(maxsplit=1)[-1] for line in done.stdout.splitlines()]
    assert found[:4] == ["broken.jpg", "flower.jpg", "A flower.", "A dog runs."]
    assert (tmp_path / "captions.png").stat().st_size > 10_000
    assert "broken.jpg" in done.stderr
