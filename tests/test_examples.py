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


def test_without_mapie_the_example_names_the_extra():
    code = (
        "import runpy, sys; sys.modules['mapie'] = None; sys.argv = ['plot_conformal.py']; "
        f"runpy.run_path({str(EXAMPLES / 'plot_conformal.py')!r})"
    )
    done = _run("-c", code)
    assert done.returncode == 1
    assert "pip install 'sklearn-memorability[conformal]'" in done.stderr
    assert "Traceback" not in done.stderr
