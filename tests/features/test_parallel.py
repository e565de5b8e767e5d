"""How pictures are shared out: tasks, deaths, engines without a stream of results."""

import dataclasses
import os
import pickle
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import joblib
import numpy as np
import pytest
import torch
from joblib import parallel_config, register_parallel_backend
from joblib._parallel_backends import ThreadingBackend
from PIL import Image
from torch import nn
from torchvision import transforms

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features import _extractor as extractor
from sklearn_memorability.features import _malloc as malloc
from sklearn_memorability.features import _networks as networks
from sklearn_memorability.features import _parallel as parallel
from sklearn_memorability.images import ImageReadError

TINY = transforms.Compose([transforms.Resize(8), transforms.CenterCrop(8), transforms.ToTensor()])


class Mean(nn.Module):
    """Three features: the mean of each channel."""

    def forward(self, x):
        return x.mean(dim=(2, 3))


@pytest.fixture
def grey():
    """Forty pictures whose features are their own number."""
    return [Image.new("RGB", (10, 10), (i, i, i)) for i in range(40)]


def _means(**params):
    return ImageFeatures(Mean(), preprocessing=TINY, **{"batch_size": 1, "n_jobs": 2} | params)


def _numbers(features):
    return np.rint(features[:, 0] * 255).astype(int).tolist()


@pytest.fixture
def messages(monkeypatch):
    """What would be sent to workers: the arguments of each task."""
    sent = []

    def watch(function):
        def call(*arguments):
            sent.append(arguments)
            return joblib.delayed(function)(*arguments)

        return call

    monkeypatch.setattr(parallel, "delayed", watch)
    return sent


def test_paths_travel_not_pixels(photographs, messages):
    paths = [str(path) for path in photographs] * 1000
    # Of a file that is not there the path is read, sent and given back.
    missing = [f"{path}.missing" for path in paths]
    with parallel_config("threading"), pytest.warns(UserWarning, match="2000 image"):
        ImageFeatures(n_jobs=2, on_error="nan").fit_transform(missing)
    assert sum(len(images) for _, _, images, _ in messages) == 2000
    for work, i, images, first in messages:
        # The paths with a few bytes for each, and less than 1 kB for all the rest.
        text = sum(map(len, images))
        assert len(pickle.dumps((work, i, images, first))) < text + 10 * len(images) + 1000


def test_tasks_are_whole_batches_many_for_each_worker_and_not_too_large():
    assert parallel.size_of_tasks(2000, 2, 4) == 64
    assert parallel.size_of_tasks(10, 2, 4) == 4
    assert parallel.size_of_tasks(1, 8, 64) == 64
    assert parallel.size_of_tasks(1_000_000, 2, 4) == 512
    assert parallel.size_of_tasks(1_000_000, 2, 1000) == 1000


@pytest.fixture
def deaths(monkeypatch):
    """Let workers die so often, each time after so many tasks: ``deaths(times, after)``."""
    run = parallel._run

    def plan(times, after, error=BrokenProcessPool):
        lives = [times]
        seen = []

        def dying(work, tasks, *rest):
            tasks = list(tasks)
            seen.append([i for i, _ in tasks])
            for n, found in enumerate(run(work, iter(tasks), *rest)):
                if lives[0] and n == after:
                    break
                yield found
            else:
                return
            lives[0] -= 1
            raise error("terminated unexpectedly")

        monkeypatch.setattr(parallel, "_run", dying)
        return seen

    return plan


def test_after_a_death_only_what_is_not_done_is_done_again(grey, deaths, caplog):
    seen = deaths(times=2, after=5)
    with parallel_config("threading"):
        found = _means().fit_transform(grey)
    assert _numbers(found) == list(range(40))
    n_tasks = len(seen[0])
    assert [len(tasks) for tasks in seen] == [n_tasks, n_tasks - 5, n_tasks - 10]
    assert caplog.text.count("A worker process died") == 2


def test_workers_that_die_but_get_on_are_never_given_up(grey, deaths):
    deaths(times=7, after=1)
    with parallel_config("threading"):
        assert _numbers(_means().fit_transform(grey)) == list(range(40))


def test_workers_that_go_on_dying_are_given_up_with_a_way_out(grey, deaths):
    seen = deaths(times=10, after=0)
    with (
        parallel_config("threading"),
        pytest.raises(RuntimeError, match=r"rows 0 to 1.*memory.*smaller n_jobs") as raised,
    ):
        _means().fit_transform(grey)
    assert len(seen) == 3
    assert isinstance(raised.value.__cause__, BrokenProcessPool)


def test_other_errors_of_workers_are_passed_on_at_once(grey):
    def broken(picture):
        if picture.size == (10, 10):
            raise OverflowError("a fault of the user's own")
        return TINY(picture)

    with parallel_config("threading"), pytest.raises(OverflowError, match="user's own"):
        ImageFeatures(Mean(), preprocessing=broken, n_jobs=2).fit_transform(grey)


class Silent(ThreadingBackend):
    """Gives results only when all are there, as several engines do."""

    supports_return_generator = False


def test_engines_that_give_all_results_at_once_are_asked_in_rounds(grey, tmp_path, monkeypatch):
    register_parallel_backend("silent", Silent)
    steps = []
    bar = extractor.tqdm

    class Watched(bar):
        def update(self, n=1):
            steps.append(n)
            return super().update(n)

    monkeypatch.setattr(extractor, "tqdm", Watched)
    with parallel_config("silent"):
        assert _numbers(_means().fit_transform(grey)) == list(range(40))
        assert sum(steps) == 40
        assert len(steps) > 10
        steps.clear()
        bad = [*grey, tmp_path / "none.png", *grey * 5]
        with pytest.raises(ImageReadError, match="row 40"):
            _means().fit_transform(bad)
        # It ended early.
        assert sum(steps) < len(bad) / 2


def test_each_machine_takes_its_own_device(photographs):
    fitted = ImageFeatures().fit(photographs)
    elsewhere = dataclasses.replace(fitted._recipe, device="cuda:7")
    work = parallel.Work(elsewhere, True, "auto", None, "raise")
    found = work.do([str(path) for path in photographs], 0)
    if not torch.cuda.is_available():
        np.testing.assert_allclose(found.rows, fitted.transform(photographs), atol=1e-4)
    # One that was asked for by name is not replaced.
    with pytest.raises((RuntimeError, AssertionError)):
        dataclasses.replace(work, any_device=False).do([str(photographs[0])], 0)


def test_a_network_of_the_users_own_is_kept_in_workers_until_the_next_fit(grey):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    transformer = ImageFeatures(network, preprocessing=TINY, n_jobs=2).fit(grey)
    networks.release_networks()
    with parallel_config("threading"):
        first = transformer.transform(grey)
        (kept,) = networks._KEPT_NETWORKS._networks.values()
        transformer.transform(grey)
        assert list(networks._KEPT_NETWORKS._networks.values()) == [kept]
        with torch.no_grad():
            network[1].weight.mul_(2)
            network[1].bias.mul_(2)
        np.testing.assert_array_equal(transformer.transform(grey), first)
        np.testing.assert_allclose(transformer.fit(grey).transform(grey), 2 * first, rtol=1e-5)
        for _ in range(3):
            transformer.fit(grey).transform(grey)
    assert len(networks._KEPT_NETWORKS._networks) == 2
    networks.release_networks()


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the setting")
def test_memory_that_dask_has_given_back_is_kept_while_a_network_runs():
    code = (
        "import resource, runpy\n"
        "import numpy as np\n"
        f"freed_memory_kept = runpy.run_path({malloc.__file__!r})['freed_memory_kept']\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(200):\n"
        "        np.ones(1 << 17)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "found = [faults()]\n"
        "with freed_memory_kept():\n"
        "    found.append(faults())\n"
        "found.append(faults())\n"
        "print(*found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        check=True,
    )
    before, within, after = map(int, done.stdout.split())
    # Pages for 200 times 1 MB, or for 1 MB.
    assert within < before / 5
    assert within < after / 5
