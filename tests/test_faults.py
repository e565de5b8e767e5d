"""What must hold when something breaks: right rows, kept work, clear errors, exit codes."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.utils.validation import check_is_fitted

from sklearn_memorability.cli import _parts, _predict, _run, main
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.cli._tables import whole_file
from sklearn_memorability.datasets import _record
from sklearn_memorability.experiments._runs import Runs
from sklearn_memorability.images import ImageReadError, read_image
from sklearn_memorability.model_selection import BayesSearchCV, _trials
from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import svr_regressor

RIG = Path(__file__).parents[1] / "benchmarks" / "faults.py"
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _full(*_arguments, **_named):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the rig needs Linux")
def test_a_few_random_faults_do_no_harm():
    # This seed begins with quick ones; all kinds are the benchmark's own business.
    command = [sys.executable, RIG, "--faults", "12", "--seed", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all | | 12 | 0 | 0 | 0 | 0 | 0 |" in done.stdout


class Stopped(Ridge):
    def fit(self, X, y):
        if np.isnan(y).any():
            raise KeyboardInterrupt
        return super().fit(X, y)


@pytest.fixture
def data():
    chance = np.random.default_rng(0)
    return chance.normal(size=(30, 3)), chance.normal(size=30)


def _search(**options):
    return BayesSearchCV(Stopped(), {"alpha": [0.1, 1.0, 10.0]}, n_iter=3, cv=2, **options)


def test_an_interrupted_search_is_not_fitted_and_leaves_an_earlier_fit(data):
    X, y = data
    search, nothing = _search(random_state=0), np.full(30, np.nan)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, nothing)
    with pytest.raises(NotFittedError):
        check_is_fitted(search)
    predicted = search.fit(X, y).predict(X)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, nothing)
    np.testing.assert_array_equal(search.predict(X), predicted)


def test_a_search_whose_storage_is_full_goes_on_and_says_so_once(data, tmp_path, monkeypatch):
    expected = _search(random_state=0).fit(*data).cv_results_["mean_test_score"]
    monkeypatch.setattr(_trials, "_append", _full)
    with pytest.warns(UserWarning, match=r"kept in storage='.*trials': No space left") as caught:
        found = _search(random_state=0, storage=tmp_path / "trials").fit(*data)
    assert len(caught) == 1
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], expected)


def test_kept_predictions_are_right_or_not_there_whatever_byte_is_damaged(tmp_path):
    runs, expected = Runs(tmp_path), np.linspace(0, 1, 5)
    runs.put("row", "a" * 64, expected)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    np.testing.assert_array_equal(runs.get("row", "a" * 64), expected)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert runs.get("row", "a" * 64) is None
        path.write_bytes(whole[:at])
        assert runs.get("row", "a" * 64) is None


def test_predictions_that_can_not_be_kept_are_a_warning(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="can't be kept in '.*file'"):
        Runs(tmp_path / "file").put("row", "a" * 64, np.zeros(2))


def test_errors_of_a_full_disk_name_the_file(tmp_path, monkeypatch, data):
    with pytest.raises(OSError, match="out.csv"), whole_file(tmp_path / "out.csv"):
        raise FULL
    model = svr_regressor().fit(*data)
    kept = tmp_path / "kept.bin"
    kept.write_bytes(b"1")
    monkeypatch.setattr(Path, "write_bytes", _full)
    monkeypatch.setattr(Path, "write_text", _full)
    with pytest.raises(OSError, match="model.skops"):
        save(model, tmp_path / "model.skops")
    with pytest.raises(OSError, match=_record.RECORD):
        _record.record(kept, "http://127.0.0.1/kept.bin")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("code", ["main(['--version'])", "main(['rows'])"])
def test_a_full_stdout_is_an_error_with_the_code_2(code):
    program = (
        "import sys\n"
        "from sklearn_memorability.cli import _app, main\n"
        "from sklearn_memorability.cli._console import emit\n"
        "@_app.app.command()\n"
        "def rows():\n"
        "    emit('row\\n')\n"
        f"sys.exit({code})\n"
    )
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=-1, text=True, check=False
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_the_command_is_imported_is_the_code_130(monkeypatch, capsys):
    class Interrupting:
        def find_spec(self, name, path=None, target=None):
            if name == "sklearn_memorability.cli._run":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "sklearn_memorability.cli._run")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    assert main(["--version"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("can't allocate memory"),
    ],
)
def test_the_command_names_a_lack_of_memory_and_a_way_out(error):
    assert _run._reason(error).startswith("there is not enough memory: ")
    assert "--batch-size 1" in _run._reason(error)


def test_pictures_that_go_bad_between_two_looks_cost_nothing_but_themselves(tmp_path):
    names = [str(tmp_path / f"{i}.png") for i in range(4)]
    for name in names:
        Image.new("RGB", (8, 8)).save(name)
    Path(names[0]).write_bytes(b"")
    passing = []

    def function(good):
        if len(good) == 3:
            os.unlink(names[1])
        if not passing and len(good) == 2:  # bad for a moment
            passing.append(1)
            raise ImageReadError(f"Image in row 1, {names[3]!r}: the file is empty.")
        for name in good:
            read_image(name)
        return good

    part = _parts._work([Found(name) for name in names], function)
    assert part.result == [names[2]]
    assert part.errors[names[3]] == "the file is empty."
    assert set(part.errors) == {names[0], names[1], names[3]}


def test_scores_that_are_done_are_written_when_an_error_ends_the_command(
    tmp_path, monkeypatch, capsys
):
    calls = []

    def predict(names):
        calls.append(names)
        if len(calls) == 2:
            raise MemoryError
        return np.full((len(names), 1), 0.5)

    scorer = SimpleNamespace(columns=["score"], class_columns=[], predict=predict)
    monkeypatch.setattr(_predict, "open_model", lambda *_, **__: scorer)
    output = tmp_path / "out.csv"
    with pytest.raises(MemoryError):
        _predict.predict(
            [Found(f"{i}.png") for i in range(100)],
            "model",
            output=output,
            as_json=False,
            classes=False,
            progress=False,
        )
    assert len(output.read_text().splitlines()) == 1 + len(calls[0])
    assert f"{len(calls[0])} of 100 pictures done." in capsys.readouterr().err
