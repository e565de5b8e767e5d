"""The test suite with the oldest packages that are supported, and with the newest: ``nox``.

``docs/reliability.md`` says what is supported. What follows ``--`` goes to pytest:
``nox -s oldest -- tests/metrics``. ``nox -s build wheel`` makes what is released, and tries it.
"""

import json
import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["oldest", "newest"]
nox.options.default_venv_backend = "uv"

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
NIGHTLY = "https://pypi.anaconda.org/scientific-python-nightly-wheels/simple"
LARGEST = 16_000_000  # bytes of the wheel, and of the sdist


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


@nox.session(python=PYTHONS[-1])
def nightly(session: nox.Session) -> None:
    """Test with last night's NumPy, SciPy and scikit-learn."""
    last_night = ["--prerelease", "allow", "--no-deps", "--index", NIGHTLY]
    _test(session, ["--upgrade"], [*last_night, "numpy", "scipy", "scikit-learn"])


@nox.session
def build(session: nox.Session) -> None:
    """Build the sdist, and from it the wheel, into dist/; refuse them above 16 MB."""
    session.install("build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    files = sorted(Path("dist").iterdir())
    session.run("python", "-m", "twine", "check", "--strict", *map(str, files))
    for file in files:
        size = file.stat().st_size
        session.log("%s: %.1f MB", file.name, size / 1e6)
        if size > LARGEST:
            session.error(f"{file.name} has more than {LARGEST / 1e6:.0f} MB")


@nox.session(venv_backend="venv")
def wheel(session: nox.Session) -> None:
    """Run the quick start from the wheel in dist/: a new environment, by pip, no source at hand."""
    (file,) = Path("dist").glob("*.whl")
    session.install(f"{file.resolve()}[embedded,plot]")
    away = Path(session.create_tmp())
    shutil.copytree("examples", away / "examples", dirs_exist_ok=True)
    session.chdir(away)
    place = "import sklearn_memorability as s; assert 'site-packages' in s.__file__, s.__file__"
    session.run("python", "-c", place)
    session.run("python", "examples/plot_quickstart.py", env={"MPLBACKEND": "agg"})


@nox.session(python=PYTHONS[0])
def page(session: nox.Session) -> None:
    """Test the page of the extra app, which holds back Pillow, in a browser."""
    session.install("--editable", ".[test,app]")
    session.run("python", "-m", "pytest", "tests/cli/test_app.py")


@nox.session
def linkcheck(session: nox.Session) -> None:
    """Try the site's links to other sites."""
    session.install("--editable", ".[site]")
    session.run(
        "python", "-m", "sphinx", "-b", "linkcheck", "-D", "plot_gallery=0", "docs", "build/links"
    )


def _test(session: nox.Session, how: list[str], then: list[str] | None = None) -> None:
    session.install(*how, "--editable", ".[test]")
    if then:
        session.install(*how, *then)
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
