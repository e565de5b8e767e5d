import json
import math
import multiprocessing
import os

import numpy as np
import pytest

from sklearn_memorability.model_selection._trials import Trials


def outcome(score=0.1 + 0.2, n=2, **more):
    fold = {"fit_error": None, "fit_time": 0.25, "score_time": 1e-7, "n_test_samples": 3}
    return [{**fold, "test_scores": score, **more} for _ in range(n)]


def test_what_was_kept_comes_back_as_it_was(tmp_path):
    path = tmp_path / "new folder" / "kept"
    given = outcome(np.float64(1 / 3), train_scores=np.float32(0.5))
    several = outcome({"a": np.nan, "b": np.int64(3)}, fit_error="Traceback: ü\nline")
    trials = Trials(path, "search", 2)
    trials.put((0, 1, 0.1), given)
    trials.put((1,), several)
    assert trials.get((0, 1, 0.1)) is None  # what this one wrote, it knows already
    again = Trials(str(path), "search", 2)
    assert again.get((0, 1, 0.1)) == given
    found = again.get((1,))
    assert math.isnan(found[0]["test_scores"]["a"])
    assert found[0]["test_scores"]["b"] == 3
    assert found[1]["fit_error"] == "Traceback: ü\nline"
    assert again.get((0, 1, 0.2)) is None


def test_another_search_finds_nothing(tmp_path):
    Trials(tmp_path / "kept", "one", 2).put((0,), outcome())
    assert Trials(tmp_path / "kept", "other", 2).get((0,)) is None
    assert Trials(tmp_path / "kept", "one", 3).get((0,)) is None
    assert Trials(tmp_path / "kept", "one", 2).get((0,)) == outcome()


def test_without_a_file_nothing_is_kept():
    trials = Trials(None, "search", 2)
    trials.put((0,), outcome())
    assert trials.get((0,)) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-20] + b"\n",
        lambda line: line.replace(b"0.25", b"0.26", 1),
        lambda line: line.replace(b'"search"', b'"sear"', 1),
        lambda line: b"\xff\x00\n",
        lambda line: b'{"searched": 1, "check": 3}\n',
        lambda line: b'{"searched": 1, ' + b"[" * 100_000 + b"\n",
        lambda line: b"[1, 2]\n",
    ],
)
def test_a_damaged_line_is_passed_over(tmp_path, damage):
    path = tmp_path / "kept"
    trials = Trials(path, "search", 2)
    for i in range(3):
        trials.put((i,), outcome(float(i)))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage(lines[1]) + lines[2])
    with pytest.warns(UserWarning, match="1 line of storage"):
        again = Trials(path, "search", 2)
    assert again.get((0,)) == outcome(0.0)
    assert again.get((1,)) is None
    assert again.get((2,)) == outcome(2.0)


def test_a_line_left_unfinished_harms_no_other(tmp_path):
    path = tmp_path / "kept"
    trials = Trials(path, "search", 2)
    trials.put((0,), outcome())
    path.write_bytes(path.read_bytes() + path.read_bytes()[:50])
    # It may be one that another process is just writing, so there is no warning yet.
    Trials(path, "search", 2).put((1,), outcome(1.0))
    with pytest.warns(UserWarning, match="1 line of storage"):
        again = Trials(path, "search", 2)
    assert again.get((0,)) == outcome()
    assert again.get((1,)) == outcome(1.0)


@pytest.mark.parametrize("content", [b"name,score\na,1\n", b"\x89PNG\x00\x01", b"{}"])
def test_somebody_elses_file_is_put_aside_whole(tmp_path, content):
    path = tmp_path / "kept"
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="begins anew"):
        trials = Trials(path, "search", 2)
    trials.put((0,), outcome())
    assert Trials(path, "search", 2).get((0,)) == outcome()
    (aside,) = tmp_path.glob("kept.unreadable-*")
    assert aside.read_bytes() == content


def test_a_folder_and_a_place_that_is_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        Trials(tmp_path, "search", 2)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Trials(tmp_path / "file" / "kept", "search", 2)


def write_many(path, search):
    trials = Trials(path, search, 2)
    for i in range(100):
        trials.put((i,), outcome(float(i), fit_error="x" * 5000))


def test_processes_can_write_to_one_file_at_once(tmp_path):
    path = tmp_path / "kept"
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    processes = [context.Process(target=write_many, args=(path, f"s{k}")) for k in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    for k in range(3):
        trials = Trials(path, f"s{k}", 2)
        assert all(trials.get((i,))[0]["test_scores"] == i for i in range(100))
    assert all(json.loads(line) for line in path.read_text().splitlines() if line)
