"""What must hold when something breaks: right rows, kept work, clear errors, exit codes."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_memorability._utils._files import whole_file
from sklearn_memorability.datasets import _record
from sklearn_memorability.features import FeatureCache, ImageFeatures
from sklearn_memorability.features._cache_rows import CachedRows
from sklearn_memorability.features._extract import extract
from sklearn_memorability.features._pace import Pace
from sklearn_memorability.images import ImageReadError, _read, read_image
from sklearn_memorability.model_selection import BayesSearchCV, _trials
from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import svr_regressor

RIG = Path(__file__).parents[1] / "benchmarks" / "faults.py"
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
IDENTITY = '{"network": "n", "layer": "l", "weights": "0", "crops": 1, "precision": "float32"}'


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


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3))


def _small(picture):
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float()


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_told_as_done_is_kept(tmp_path, threads):
    images = [Image.new("RGB", (8, 8), (i, i, i)) for i in range(21)]
    cache = FeatureCache(tmp_path)
    fitted = ImageFeatures(Mean(), preprocessing=_small).fit(images)
    told = []

    def advance(n):
        told.append(n)
        assert sum(told) <= len(cache)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for way in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Pace, "side_by_side", way, raising=False)
                patch.setattr(Pace, "__init__", _one_way(way))
                told.clear()
                extract(fitted._network, images, 0, 4, cache, "raise", advance)
            assert sum(told) == 21
            cache.prune(max_bytes=0)
    finally:
        torch.set_num_threads(before)


def _one_way(side_by_side):
    def init(self, device, batch_size):
        self._batch_size, self._has_choice, self.side_by_side = batch_size, False, side_by_side

    return init


@pytest.mark.parametrize("step", [0.0, -1.0, 1e9])
def test_the_pace_bears_a_clock_that_stands_still_or_is_set_back(monkeypatch, step):
    now = [0.0]

    def lying():
        now[0] += step
        return now[0]

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(time, "perf_counter", lying)
    rows = [row for part in Pace(torch.device("cpu"), 4).blocks(200) for row in range(200)[part]]
    assert rows == list(range(200))


def _filled(path):
    kept = CachedRows(FeatureCache(path), IDENTITY, 3)
    kept.put([bytes(32)], np.ones((1, 3), dtype=np.float32))
    return kept


@pytest.mark.parametrize("used", [1e15, float("inf"), -1e15, "never", None])
def test_a_cache_lists_entries_whatever_their_time_is(tmp_path, used):
    kept = _filled(tmp_path / "c.sqlite")
    kept._connection.execute("UPDATE OR IGNORE kinds SET used = coalesce(?, 0)", (used,))
    kept.close()
    cache = FeatureCache(tmp_path / "c.sqlite")
    assert [entry.network for entry in cache.contents()] == ["n"]
    assert cache.prune(max_bytes=0) == 1


@pytest.mark.parametrize("identity", ["{", "[]", '{"network": "n"}', b"\x00\xff"])
def test_a_cache_leaves_out_entries_that_are_damaged(tmp_path, identity):
    kept = _filled(tmp_path / "c.sqlite")
    kept._connection.execute("UPDATE kinds SET identity = ?", (identity,))
    kept.close()
    cache = FeatureCache(tmp_path / "c.sqlite")
    assert cache.contents() == []
    assert cache.prune(network="other") == 0
    assert cache.prune(max_bytes=0) == 1


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no such pipes")
def test_a_file_that_becomes_a_pipe_is_not_waited_for(tmp_path, monkeypatch):
    file = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(file)
    refuse, calls = _read._refuse_others, []

    def swapping(found):
        refuse(found)
        if not calls:
            calls.append(1)
            file.unlink()
            os.mkfifo(file)

    monkeypatch.setattr(_read, "_refuse_others", swapping)
    with pytest.raises(ImageReadError, match="not a regular file"):
        read_image(file)
