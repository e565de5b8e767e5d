"""The README's code runs as written, and its commands are the ones CI runs."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(marker, language):
    return re.findall(rf"<!-- {marker} -->\n```{language}\n(.*?)```", README, re.DOTALL)


def test_the_search_example_runs_as_written():
    (code,) = _blocks("run by the tests", "python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert re.match(
        r"\{'mlp__dropout': 0\.\d, 'mlp__n_classes': [24]\} -?0\.\d+", printed.getvalue()
    )


def test_the_example_with_own_pictures_runs_as_written(photographs, tmp_path, monkeypatch):
    (code,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
        if "load_image_folder" in block
    ]
    (tmp_path / "pictures").mkdir()
    rows = ["image,score"]
    for i in range(10):
        (tmp_path / "pictures" / f"{i}.jpg").write_bytes(photographs[i % 2].read_bytes())
        rows.append(f"{i}.jpg,{0.5 + 0.3 * (i % 2) + 0.01 * i}")
    (tmp_path / "scores.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "new.jpg").write_bytes(photographs[0].read_bytes())
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert len(printed.getvalue().strip("[]\n").split()) == 5


def test_there_are_two_commands():
    run, test = _blocks("run by .ci/run", "bash")
    assert "examples/plot_quickstart.py" in run
    assert "pytest" in test


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)]+)\)", README))
def test_links_to_files_lead_somewhere(link):
    assert (ROOT / link).is_file()


@pytest.mark.parametrize("example", ["plot_quickstart.py", "plot_captions.py"])
def test_examples_say_what_is_wrong_with_a_folder(example, tmp_path):
    for folder, message in ((tmp_path, "no pictures in"), (tmp_path / "none", "no folder")):
        done = subprocess.run(
            [sys.executable, ROOT / "examples" / example, folder],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_the_captions_example_takes_pictures_and_captions_of_ones_own(photographs, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "flower.jpg").write_bytes(photographs[1].read_bytes())
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "captions.txt").write_text("A flower.\n\nA dog runs.\n", encoding="utf-8")
    command = [sys.executable, ROOT / "examples" / "plot_captions.py", tmp_path / "pictures"]
    options = ["--captions", tmp_path / "captions.txt", "--output", tmp_path / "captions.png"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    found = [line.split(maxsplit=1)[-1] for line in done.stdout.splitlines()]
    assert found[:4] == ["broken.jpg", "flower.jpg", "A flower.", "A dog runs."]
    assert (tmp_path / "captions.png").stat().st_size > 10_000
    assert "broken.jpg" in done.stderr
