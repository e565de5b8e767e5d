"""Pictures on real engines: loky, Dask's workers and Ray's, in processes of their own."""

import os
import time

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from PIL import Image

from sklearn_memorability.features import ImageFeatures, UnreadableImagesWarning
from sklearn_memorability.features import _extractor as extractor
from sklearn_memorability.images import ImageReadError

ENGINES = ("loky", "dask", "ray")
N_PICTURES = 40


@pytest.fixture(params=ENGINES)
def engine(request, clusters):
    client = clusters(request.param)
    if request.param == "dask":
        # A test before this one may have killed one.
        client.wait_for_workers(2, timeout=60)
    with parallel_config(request.param):
        yield request.param


def _in_workers(engine, client, function):
    """Return what a function gives in each worker."""
    if engine == "dask":
        return list(client.run(function).values())

    def soon():
        time.sleep(0.3)  # so that every worker gets one of these
        return function()

    if engine == "ray":
        return client.get([client.remote(soon).remote() for _ in range(4)])
    return Parallel(n_jobs=2)(delayed(soon)() for _ in range(4))


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """Forty files whose features are their own number."""
    folder = tmp_path_factory.mktemp("grey")
    for i in range(N_PICTURES):
        Image.new("RGB", (10, 10), (i, i, i)).save(folder / f"{i:02}.png")
    return sorted(folder.iterdir())


def _numbers(features):
    return np.rint(features[:, 0] * 255).astype(int).tolist()


def _own(log=None, deadly=None, always=False, factor=1.0):
    """Return a network and a preprocessing that workers get by value.

    The preprocessing writes the process and the picture's width to a file, and kills its
    process at a certain picture, once or always.
    """
    import torch
    from torch import nn

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("factor", torch.tensor(factor))

        def forward(self, x):
            return x.mean(dim=(2, 3)) * self.factor

    def preprocessing(picture):
        import os
        import signal

        import numpy as np
        import torch

        if log is not None:
            with open(log, "a") as file:
                file.write(f"{os.getpid()} {picture.width}\n")
        value = np.asarray(picture, dtype=np.float32)[:8, :8] / 255
        if deadly is not None and picture.width == 10 and round(value.max() * 255) == 20:
            if always:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                os.close(os.open(deadly, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return torch.from_numpy(value).permute(2, 0, 1)

    return {"backbone": Scaled(), "preprocessing": preprocessing, "batch_size": 1, "n_jobs": 2}


def test_the_rows_are_those_of_one_process_and_each_worker_loads_once(
    engine, clusters, photographs, monkeypatch
):
    paths = [str(path) for path in photographs] * 6
    transformer = ImageFeatures(n_jobs=2, batch_size=1, verbose=1).fit(paths)
    steps = []
    bar = extractor.tqdm

    class Watched(bar):
        def update(self, n=1):
            steps.append(n)
            return super().update(n)

    monkeypatch.setattr(extractor, "tqdm", Watched)
    expected = ImageFeatures(n_jobs=1).fit_transform(paths)

    def kept():
        import os

        import torch

        from sklearn_memorability.features._networks import _KEPT_NETWORKS

        held = [id(network) for network in _KEPT_NETWORKS._networks.values()]
        return os.getpid(), torch.get_num_threads(), held

    seen = {}
    for _ in range(2):
        steps.clear()
        found = transformer.transform(paths)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        assert sum(steps) == len(paths)
        assert len(steps) > 2
        for worker, threads, networks in _in_workers(engine, clusters(engine), kept):
            assert worker != os.getpid()
            assert threads == 1
            # What was loaded for the first pictures serves the second time too.
            assert seen.get(worker, networks) == networks or not seen[worker]
            seen[worker] = networks
    assert any(seen.values())


def test_a_network_of_the_users_own_is_loaded_once_in_each_worker(engine, grey, tmp_path):
    log = tmp_path / "log"
    transformer = ImageFeatures(**_own(log=str(log))).fit(grey)
    log.unlink()
    assert _numbers(transformer.transform(grey)) == list(range(N_PICTURES))
    transformer.transform(grey)
    lines = [line.split() for line in log.read_text().splitlines()]
    # A network that is loaded is shown a picture of 256 x 256 first.
    loads = [worker for worker, width in lines if width == "256"]
    assert 1 <= len(loads) == len(set(loads)) <= 2
    assert sum(width == "10" for _, width in lines) == 2 * N_PICTURES
    # After another fit, workers that still have the old one do not take it.
    other = transformer.set_params(**_own(factor=3.0)).fit(grey)
    assert _numbers(other.transform(grey)) == [3 * i for i in range(N_PICTURES)]


def test_bad_pictures_are_treated_as_in_one_process(engine, grey, tmp_path):
    paths = list(grey)
    paths[30], paths[9] = tmp_path / "late.png", tmp_path / "early.png"
    transformer = ImageFeatures(**_own(), on_error="nan").fit(grey)
    with pytest.warns(UnreadableImagesWarning, match=r"(?s)2 image.*row 9.*row 30") as caught:
        found = transformer.transform(paths)
    assert len(caught) == 1
    assert np.isnan(found).all(axis=1).nonzero()[0].tolist() == [9, 30]
    assert _numbers(np.delete(found, [9, 30], axis=0)) == [
        i for i in range(N_PICTURES) if i not in (9, 30)
    ]
    with pytest.raises(ImageReadError, match=r"row 9, '.*early\.png': the file does not exist"):
        transformer.set_params(on_error="raise").transform(paths)
    # What ended early leaves the engine in order.
    assert _numbers(transformer.transform(grey)) == list(range(N_PICTURES))


def test_a_worker_that_is_killed_is_replaced_and_its_pictures_are_done_again(
    engine, grey, tmp_path
):
    flag, log = tmp_path / "killed", tmp_path / "log"
    own = _own(log=str(log), deadly=str(flag))
    found = ImageFeatures(**own).fit_transform(grey)
    assert flag.exists()
    assert _numbers(found) == list(range(N_PICTURES))
    # What was finished was not done again, but for what was under way.
    assert sum(line.endswith(" 10") for line in log.read_text().splitlines()) < 1.6 * N_PICTURES


# Not on Ray, which starts workers so slowly that this takes a minute: what counts deaths is the
# same for all engines, and how Ray tells of one is seen above.
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["loky", "dask"], indirect=True)
def test_workers_that_go_on_dying_end_in_an_error_with_a_way_out(engine, clusters, grey, tmp_path):
    if engine == "dask":
        # Its scheduler would try four times before it says anything.
        clusters("dask").cluster.scheduler.allowed_failures = 0
    own = _own(deadly=str(tmp_path / "flag"), always=True)
    transformer = ImageFeatures(**own).fit(grey)
    with pytest.raises(RuntimeError, match=r"rows 20 to 21\).*memory.*batch_size") as raised:
        transformer.transform(grey)
    assert raised.value.__cause__ is not None
    if engine == "dask":
        clusters("dask").wait_for_workers(2, timeout=60)
    # The engine is as good as before.
    assert _numbers(ImageFeatures(**_own()).fit_transform(grey)) == list(range(N_PICTURES))
