"""Each benchmark starts, says what it does, and the quick ones run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(p for p in BENCHMARKS.glob("*.py") if not p.stem.startswith("_"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MEMORABILITY_TEST_DATA": ""}

pytestmark = pytest.mark.slow


def run(script, *options, **how):
    return subprocess.run(
        [sys.executable, script, *options],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
        **how,
    )


ALL_HELP = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
for script in sys.argv[2:]:
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, (script, end.code)
"""


def test_each_script_says_what_it_does():
    # In one process, as most of the time goes into importing torch.
    done = run("-c", ALL_HELP, BENCHMARKS, *SCRIPTS)
    assert done.returncode == 0, done.stderr
    output = " ".join(done.stdout.split())
    for script in SCRIPTS:
        assert f"usage: {script.name}" in output
        assert script.read_text(encoding="utf-8").lstrip('"').splitlines()[0] in output


def test_the_runner_keeps_what_scripts_print(tmp_path):
    names = ["comparison"]
    done = run(BENCHMARKS / "run_all.py", "--only", *names, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    for name in names:
        text = (tmp_path / f"{name}.txt").read_text(encoding="utf-8")
        assert "%" in text
        assert text in done.stderr


def test_the_runner_tells_of_a_name_that_there_is_not(tmp_path):
    done = run(BENCHMARKS / "run_all.py", "--only", "no_such", "--output", tmp_path)
    assert done.returncode == 2
    assert "no such benchmark: ['no_such']" in done.stderr
