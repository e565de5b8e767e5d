"""The package as a whole: what importing costs, what is public, how it is built."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_memorability

ROOT = Path(__file__).parents[1]


def _python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_the_package_loads_no_heavy_module():
    heavy = {"torch", "torchvision", "skorch", "sklearn", "scipy", "pandas", "matplotlib", "PIL"}
    loaded = _python("import sklearn_memorability, sys; print(*sys.modules)").split()
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize("room", ["metrics", "images", "datasets"])
def test_rooms_that_need_no_network_do_not_load_torch(room):
    loaded = _python(f"import sklearn_memorability.{room}, sys; print(*sys.modules)").split()
    assert "torch" not in loaded


def test_importing_the_package_is_quick():
    code = "import time; t = time.perf_counter(); import sklearn_memorability; "
    code += "print(time.perf_counter() - t)"
    assert min(float(_python(code)) for _ in range(3)) < 0.3


def test_every_public_name_is_there_and_listed():
    for name in sklearn_memorability.__all__:
        assert getattr(sklearn_memorability, name) is not None
        assert name in dir(sklearn_memorability)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = sklearn_memorability.no_such_thing


def test_no_module_imports_from_the_package_root():
    package = ROOT / "sklearn_memorability"
    for path in package.rglob("*.py"):
        if path == package / "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            from_root = isinstance(node, ast.ImportFrom) and node.module == package.name
            is_root = isinstance(node, ast.Import) and any(
                alias.name == package.name for alias in node.names
            )
            assert not from_root, f"{path}:{node.lineno}"
            assert not is_root, f"{path}:{node.lineno}"


def test_version_is_the_same_everywhere():
    version = sklearn_memorability.__version__
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[({re.escape(version)}|Unreleased)\]", changelog, re.MULTILINE)


def test_nothing_is_pickled():
    # Files are read and written without pickle; only pickle's own error is named.
    forbidden = re.compile(
        r"pickle\.(load|dump|Unpickler)|allow_pickle=True|weights_only=False|joblib\.(load|dump)\("
    )
    for path in (ROOT / "sklearn_memorability").rglob("*.py"):
        assert not forbidden.search(path.read_text(encoding="utf-8")), path
