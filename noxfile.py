"""The test suite with the oldest packages that are supported, and with the newest: ``nox``.

``docs/reliability.md`` says what is supported. What follows ``--`` goes to pytest:
``nox -s oldest -- tests/metrics``.
"""

import json
import re

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["oldest", "newest"]
nox.options.default_venv_backend = "uv"

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Test with the lowest version of each dependency that pyproject.toml admits."""
    _test(session, ["--resolution", "lowest-direct"])


@nox.session(python=PYTHONS[-1])
def newest(session: nox.Session) -> None:
    """Test with the newest version of each dependency."""
    _test(session, ["--upgrade"])


@nox.session(name="next", python=PYTHONS[-1])
def next_releases(session: nox.Session) -> None:
    """Test with the newest versions, releases to come (alpha, beta, candidate) among them."""
    _test(session, ["--upgrade", "--prerelease", "allow"])


def _test(session: nox.Session, how: list[str]) -> None:
    session.install(*how, "--editable", ".[test]")
    _print_versions(session)
    session.run("python", "-m", "pytest", *session.posargs)


def _print_versions(session: nox.Session) -> None:
    """Show the version of each package that pyproject.toml names."""
    listed = session.run(
        "uv", "pip", "list", "--quiet", "--format", "json", silent=True, external=True
    )
    if listed is None:  # nothing is run with --install-only
        return
    there = {_plain(package["name"]): package["version"] for package in json.loads(listed)}
    project = PROJECT["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    named = {_plain(re.split(r"[^\w.-]", line)[0]) for lines in lists for line in lines}
    session.log("Python %s with", session.python)
    session.log(", ".join(f"{name} {there[name]}" for name in sorted(named & set(there))))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
