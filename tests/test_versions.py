"""What docs/reliability.md promises of versions is what pyproject.toml and noxfile.py say."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]
EXTRAS = PROJECT["optional-dependencies"]
# They pin the version that checks the code, or draw the site.
OF_DEVELOPERS = {"dev", "site"}


def _named():
    """Yield each package that is named with its place and its bounds, but not our extras."""
    for place, lines in {"dependencies": PROJECT["dependencies"], **EXTRAS}.items():
        for line in lines:
            name, bounds = re.fullmatch(r"([\w.-]+(?:\[[\w,-]+\])?)(.*)", line).groups()
            if not name.startswith("sklearn-memorability["):
                yield place, name, bounds


@pytest.mark.parametrize(("place", "name", "bounds"), list(_named()))
def test_every_package_has_a_lower_bound(place, name, bounds):
    assert re.search(r"(>=|==)\d", bounds)


@pytest.mark.parametrize(
    ("place", "name", "bounds"), [row for row in _named() if row[0] not in OF_DEVELOPERS]
)
def test_no_newer_version_is_shut_out_without_a_reason(place, name, bounds):
    # A cap makes two packages that can't be installed together; the reason of one stands above.
    if "<" in bounds or "==" in bounds:
        lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        (at,) = (i for i, line in enumerate(lines) if f'"{name}{bounds}"' in line)
        assert lines[at - 1].startswith("#")


def test_a_package_has_one_lower_bound_wherever_it_is_named():
    bounds = {}
    for place, name, bound in _named():
        if place not in OF_DEVELOPERS:
            bounds.setdefault(name, set()).add(bound)
    assert {name: found for name, found in bounds.items() if len(found) > 1} == {}


def test_the_tests_install_every_extra_but_those_that_say_why_not():
    # Gradio, of app, holds back Pillow; sentences downloads a model.
    wanted = {
        extra
        for line in EXTRAS["test"]
        if line.startswith("sklearn-memorability[")
        for extra in re.findall(r"[\w-]+", line.partition("[")[2])
    }
    assert set(EXTRAS) - wanted == {"app", "dev", "sentences", "site", "test"}


def test_the_lowest_python_is_the_same_everywhere():
    (lowest,) = re.fullmatch(r">=(3\.\d+)", PROJECT["requires-python"]).groups()
    listed = [
        found[1]
        for line in PROJECT["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line))
    ]
    assert listed[0] == lowest
    assert listed == sorted(listed, key=lambda version: int(version.partition(".")[2]))
    assert SETTINGS["tool"]["ruff"]["target-version"] == f"py{lowest.replace('.', '')}"


def test_warnings_are_errors_and_each_that_is_not_has_its_reason():
    filters = SETTINGS["tool"]["pytest"]["ini_options"]["filterwarnings"]
    assert filters[0] == "error"
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    for spared in filters[1:]:
        (at,) = (i for i, line in enumerate(lines) if spared in line)
        assert lines[at - 1].strip().startswith("#")


@pytest.mark.parametrize("missing", ["", "fcntl grp pwd resource termios"], ids=["", "Windows"])
def test_every_module_is_imported_without_a_warning(missing):
    # In a process of its own: here most are imported already.
    code = (
        "import importlib, pkgutil, sys, sklearn_memorability as package\n"
        f"sys.modules |= dict.fromkeys({missing.split()})\n"
        "for module in pkgutil.walk_packages(package.__path__, 'sklearn_memorability.'):\n"
        "    if not module.name.endswith('.__main__'):\n"
        "        importlib.import_module(module.name)\n"
    )
    # filelock has locks of Windows' own there, which Linux lacks.
    warnings = ["-W", "error", "-W", "ignore:only soft file lock is available"]
    done = subprocess.run(
        [sys.executable, *warnings, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
