"""The workflows run what contributors run, and the project's files agree."""

import ast
import re
import tomllib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import yaml

from sklearn_memorability.persistence import load

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FILES = {path.stem: path.read_text("utf-8") for path in ROOT.glob(".github/workflows/*.yml")}
WORKFLOWS = {name: yaml.safe_load(text) for name, text in FILES.items()}
JOBS = {
    f"{name}: {job}": content
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
}
CLAIMED = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
NEWEST = JOBS["tests: newest"]["strategy"]["matrix"]


def _read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def _runs(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def _sessions():
    """Map the sessions of the noxfile to their functions' decorators."""
    found = {}
    for node in ast.parse(_read("noxfile.py")).body:
        for line in map(ast.unparse, getattr(node, "decorator_list", [])):
            given = re.search(r"name='(\w+)'", line)
            found[given[1] if given else node.name] = line
    return found


def test_workflows_try_each_system_and_each_python_from_the_lowest_on():
    minors = [int(version.partition(".")[2]) for version in NEWEST["python"]]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert set(CLAIMED) <= set(NEWEST["python"])
    assert NEWEST["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_job_runs_what_contributors_run(job):
    sessions, pages = _sessions(), _read("CONTRIBUTING.md") + _read(".ci/run")
    (nox,) = (line for line in EXTRAS["dev"] if line.startswith("nox"))
    pythons = {s["with"]["python-version"] for s in job["steps"] if "python-version" in str(s)}
    for command in _runs(job):
        if command.startswith("nox"):
            names = re.sub(r"nox -s | --force-python .*", "", command).split(" ")
            if "matrix.session" in command:
                names = job["strategy"]["matrix"]["session"]
            assert set(names) <= set(sessions)
            # setup-python gives the one that a session asks for.
            asked = {"PYTHONS[0]": CLAIMED[0], "PYTHONS[-1]": CLAIMED[-1]}
            if "--force-python" not in command:
                lines = " ".join(sessions[name] for name in names)
                assert {v for k, v in asked.items() if k in lines} <= pythons
        elif extra := re.fullmatch(r'python -m pip install -e "\.\[(\w+)\]"', command):
            assert extra[1] in EXTRAS
        elif command.startswith("python -m pip"):
            assert command == f'python -m pip install "{nox}"'
        elif not command.startswith("test "):
            assert command in pages


def test_actions_are_pinned_and_may_do_nothing_but_read():
    for text in FILES.values():
        for used in re.findall(r"uses: (.*)", text):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used)
    assert all(workflow["permissions"] == {"contents": "read"} for workflow in WORKFLOWS.values())
    more = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
    assert more == {"release: publish": {"id-token": "write"}}
    assert not re.search(r"secrets\.|password:|pull_request_target", "".join(FILES.values()))


def test_what_is_published_was_tried():
    jobs = WORKFLOWS["release"]["jobs"]
    assert (jobs["publish"]["needs"], jobs["try"]["needs"]) == ("try", "build")
    assert jobs["try"]["strategy"]["matrix"]["os"] == NEWEST["os"]
    assert "nox -s build" in _runs(jobs["build"])
    assert "nox -s wheel" in _runs(jobs["try"])
    assert not _runs(jobs["publish"])


def test_the_paper_has_the_same_authors_everywhere():
    authors = yaml.safe_load(_read("CITATION.cff"))["preferred-citation"]["authors"]
    *names, last = (author["family-names"] for author in authors)
    for page in ("README.md", "docs/index.md"):
        assert f"{', '.join(names)} and {last}" in _read(page)


def test_a_model_scores_images_in_a_spawned_process(photographs):
    model = load("embedded", device="cpu")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(model.predict, photographs).result(timeout=120)
    np.testing.assert_allclose(found, model.predict(photographs), atol=1e-5)
