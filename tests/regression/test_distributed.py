"""Training in several processes; this file is also what the processes of a launch run."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import parallel_config
from scipy.stats import spearmanr
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import Dataset

from sklearn_memorability.features import StoredFeatures
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.persistence import load, save
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor
from sklearn_memorability.regression._distributed import Processes, ShareOfBatches

EXAMPLE = Path(__file__).parents[2] / "examples" / "accelerate_training.py"

# With 145 rows and batches of 16, the last batch has fewer rows than there are processes.
WITHOUT_CHANCE = {
    "the defaults": {},
    "an odd batch": {"batch_size": 7, "optimizer": "adamw", "weight_decay": 0.1},
    "members": {"n_members": 2},
    "members of their own": {"n_members": 2, "share_weights": False, "linear_weight": 0.5},
    "soft targets": {"target": "soft", "optimizer": "sgd", "lr": 0.1},
    "early stopping": {"early_stopping": True, "patience": 2, "max_epochs": 40, "lr": 0.02},
}


def _model(**params):
    small = {"branch_sizes": (16,), "hidden_layer_sizes": (16,), "max_epochs": 3, "dropout": 0}
    return BalancedQuantileClassifierRegressor(
        **{**small, "random_state": 0, "device": "cpu", **params}
    )


def _rows():
    chance = np.random.default_rng(0)
    X = chance.normal(size=(145, 6)).astype(np.float32)
    y = 1 / (1 + np.exp(-X[:, 0] - 0.3 * chance.normal(size=145)))
    return X, y, chance.integers(1, 5, size=145)


def _many_rows():
    chance = np.random.default_rng(1)
    X = chance.normal(size=(1000, 10)).astype(np.float32)
    return X, 1 / (1 + np.exp(-X[:, :3].sum(axis=1) - chance.normal(size=1000)))


def _with_chance(**params):
    return _model(dropout=0.5, input_dropout=0.2, max_epochs=15, **params)


def _fine_tuned(**params):
    X, y, weights = _rows()
    model = _model(warm_start=True, **params).fit(X, y, weights)
    return model.set_params(lr=1e-4).fit(X[:50], y[:50])


class _StopAfter(Callback):
    def __init__(self, n_epochs, error=KeyboardInterrupt):
        self.n_epochs = n_epochs
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.n_epochs:
            raise self.error


# What each process of the launch does ----------------------------------------------


def _launched(folder):
    X, y, weights = _rows()
    rank, said = int(os.environ["RANK"]), {"exact": {}}
    for name, params in WITHOUT_CHANCE.items():
        model = _model(accelerate=True, **params).fit(X, y, weights)
        said["exact"][name] = model.predict(X).tolist(), model.history_[:, "train_loss"]
    from_disk = _model(accelerate=True).fit(StoredFeatures(folder / "X.npy"), y, weights)
    said["from disk"] = from_disk.predict(X).tolist()
    said["fine-tuned"] = _fine_tuned(accelerate=True).predict(X).tolist()

    many_X, many_y = _many_rows()
    model = _with_chance(accelerate=True).fit(many_X[:600], many_y[:600])
    said["with chance"] = model.predict(many_X[600:]).tolist()
    said["dropout seed"] = model.net_.module_.dropout_seed
    pickled = pickle.dumps(model)
    if rank == 0:
        (folder / "model.pickle").write_bytes(pickled)
        save(model, folder / "model.skops")

    model = _model(accelerate=True, random_state=None).fit(X, y)
    said["without a seed"] = model.predict(X).tolist()
    model = _model(accelerate=True, net_callbacks=[_StopAfter(2)] if rank == 1 else None)
    said["epochs"] = model.fit(X, y).history_[:, "epoch"]
    said["folds"] = cross_val_score(
        _model(accelerate=True), X, y, scoring=spearman_scorer, cv=3
    ).tolist()
    said["other rows"] = _message(_model(accelerate=True), X, y[::-1] if rank == 1 else y)
    with parallel_config("threading", n_jobs=2):
        said["side by side"] = _error_of(
            lambda: cross_val_score(_model(accelerate=True), X, y, cv=3, error_score="raise")
        )
    said["interrupted"] = _interrupted(model, X, y)
    _model(accelerate=True, verbose=1, max_epochs=1).fit(X, y)
    (folder / f"{rank}.json").write_text(json.dumps(said))
    failing = [_StopAfter(1, OSError("the second process fails"))] if rank == 1 else None
    _model(accelerate=True, net_callbacks=failing).fit(X, y)


def _error_of(call):
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


def _message(model, X, y):
    return _error_of(lambda: model.fit(X, y))


def _interrupted(model, X, y):
    def rows(self):
        yield from original(self)
        raise KeyboardInterrupt

    original, ShareOfBatches.rows = ShareOfBatches.rows, rows
    try:
        model.fit(X, y)
    except KeyboardInterrupt:
        pass
    finally:
        ShareOfBatches.rows = original
    try:
        model.predict(X)
    except NotFittedError:
        return "unfitted"
    return "fitted"


# What is true of it -----------------------------------------------------------------


def _launch(script, *arguments):
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    options = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *options, str(script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    if sys.platform != "linux":
        pytest.skip("the launch is told Linux's name of the loopback interface")
    folder = tmp_path_factory.mktemp("launch")
    np.save(folder / "X.npy", _rows()[0])
    done = _launch(__file__, str(folder))
    assert (folder / "1.json").exists(), done.stderr
    first, second = (json.loads((folder / f"{rank}.json").read_text()) for rank in range(2))
    return {"folder": folder, "done": done, "first": first, "second": second}


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_CHANCE)
def test_two_processes_give_what_one_gives(launch, name):
    X, y, weights = _rows()
    model = _model(**WITHOUT_CHANCE[name]).fit(X, y, weights)
    predicted, losses = launch["first"]["exact"][name]
    np.testing.assert_allclose(predicted, model.predict(X), atol=1e-5)
    # Equally many epochs, too.
    np.testing.assert_allclose(losses, model.history_[:, "train_loss"], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("process", ["first", "second"])
def test_features_on_disk_give_what_those_in_memory_give(launch, process):
    predicted, _ = launch[process]["exact"]["the defaults"]
    np.testing.assert_allclose(launch[process]["from disk"], predicted, atol=1e-6)


@pytest.mark.slow
def test_two_processes_go_on_from_a_fit_as_one_does(launch):
    expected = _fine_tuned().predict(_rows()[0])
    np.testing.assert_allclose(launch["first"]["fine-tuned"], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", ["exact", "fine-tuned", "with chance", "without a seed", "epochs", "folds"]
)
def test_all_processes_end_with_the_same_model(launch, what):
    assert launch["first"][what] == launch["second"][what]


@pytest.mark.slow
def test_with_dropout_two_processes_are_as_good_as_one(launch):
    X, y = _many_rows()
    alone = _with_chance().fit(X[:600], y[:600]).predict(X[600:])
    together = launch["first"]["with chance"]
    assert spearmanr(y[600:], together)[0] == pytest.approx(spearmanr(y[600:], alone)[0], abs=0.02)
    # Each leaves out other units: else half of what is left out in a batch would be the same.
    assert launch["first"]["dropout seed"] != launch["second"]["dropout seed"]


@pytest.mark.slow
def test_a_callback_in_one_process_stops_all(launch):
    assert launch["first"]["epochs"] == launch["second"]["epochs"] == [1, 2]


@pytest.mark.slow
def test_folds_are_those_of_one_process(launch):
    X, y, _ = _rows()
    alone = cross_val_score(_model(), X, y, scoring=spearman_scorer, cv=3)
    np.testing.assert_allclose(launch["first"]["folds"], alone, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("process", ["first", "second"])
def test_mistakes_are_errors_in_every_process(launch, process):
    said = launch[process]
    assert "in process(es) [1] are not those of process 0" in said["other rows"]
    assert "set n_jobs=None" in said["side by side"]


@pytest.mark.slow
def test_an_interrupted_fit_leaves_the_model_unfitted_everywhere(launch):
    assert launch["first"]["interrupted"] == launch["second"]["interrupted"] == "unfitted"


@pytest.mark.slow
def test_one_process_alone_prints_the_epochs(launch):
    assert launch["done"].stdout.count("train_loss") == 1


@pytest.mark.slow
def test_an_error_in_one_process_ends_the_launch(launch):
    assert launch["done"].returncode != 0
    assert "the second process fails" in launch["done"].stderr


@pytest.mark.slow
def test_the_trained_model_needs_neither_launch_nor_accelerate(launch, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    X, _ = _many_rows()
    pickled = (launch["folder"] / "model.pickle").read_bytes()
    assert b"accelerate.state" not in pickled
    for model in (pickle.loads(pickled), load(launch["folder"] / "model.skops")):
        assert type(model.net_) is NeuralNet
        assert model.predict(X[600:]).tolist() == launch["first"]["with chance"]


@pytest.mark.slow
def test_the_example_runs_in_two_processes(tmp_path):
    if sys.platform != "linux":
        pytest.skip("the launch is told Linux's name of the loopback interface")
    done = _launch(EXAMPLE, "--output", str(tmp_path / "model.skops"))
    # A process of a launch on CPUs now and then aborts when all is done and Python ends, in a
    # thread of the message library; docs/accelerate.md says so.
    aborted = "terminate called without an active exception" in done.stderr
    assert done.returncode == 0 or aborted, done.stderr
    assert "2 processes on cpu" in done.stdout
    score = float(done.stdout.split("Spearman ")[1].split()[0])
    assert 0.5 < score < 0.8
    assert load(tmp_path / "model.skops")[-1].n_classes_ == 16


# In an ordinary process --------------------------------------------------------------


@pytest.fixture
def no_launch(monkeypatch):
    from accelerate import PartialState

    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    PartialState._reset_state()
    yield
    PartialState._reset_state()


def test_without_a_launch_it_is_the_ordinary_fit(no_launch):
    X, y, weights = _rows()
    expected = _with_chance().fit(X, y, weights).predict(X)
    model = _with_chance(accelerate=True).fit(X, y, weights)
    assert np.array_equal(model.predict(X), expected)
    assert model.device_ == torch.device("cpu")


def test_a_device_that_the_launch_does_not_use_is_an_error(no_launch):
    X, y, _ = _rows()
    _model(accelerate=True).fit(X, y)
    with pytest.raises(ValueError, match="device='meta' contradicts accelerate=True.*'cpu'"):
        _model(accelerate=True, device="meta").fit(X, y)


def test_processes_that_accelerate_does_not_see_are_an_error(no_launch, monkeypatch):
    X, y, _ = _rows()
    _model(accelerate=True).fit(X, y)  # accelerate settles on one process
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="WORLD_SIZE=3 processes, but accelerate sees this one"):
        _model(accelerate=True).fit(X, y)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"sklearn-memorability\[accelerate\]"):
        _model(accelerate=True).fit(*_rows()[:2])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_mean_over_shares_is_the_mean_over_the_batch(count):
    chance = np.random.default_rng(0)
    X = np.arange(34, dtype=np.float32)[:, None]
    y = chance.normal(size=(34, 2)).astype(np.float32)
    shares = [
        list(ShareOfBatches(Dataset(X, y), 8, seed=0, processes=Processes("cpu", index, count)))
        for index in range(count)
    ]
    whole = ShareOfBatches(Dataset(X, y), 8, seed=0, processes=Processes("cpu"))
    for (rows, targets), *parts in zip(whole, *shares, strict=True):
        means = [part_y.mean(dim=0) for _, part_y in parts]
        torch.testing.assert_close(torch.stack(means).mean(dim=0), targets.mean(dim=0))
        seen = torch.cat([part_X for part_X, _ in parts]).flatten().tolist()
        assert set(seen) == set(rows.flatten().tolist())
        # Two rows are too few to be shared among three or more.
        assert len(seen) == len(rows) or len(rows) < count


if __name__ == "__main__":
    _launched(Path(sys.argv[1]))
