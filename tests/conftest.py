"""What all tests share: pinned threads, pictures, weights."""

import gc
import http.server
import json
import os
import signal
import threading
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

# Both are read when SciPy and OpenMP are first loaded. scikit-learn's checks want the
# first; several threads a process make small networks slower on a busy machine.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pytest
import sklearn.datasets
import torch

torch.set_num_threads(1)

# A shell ignores Ctrl-C for what it runs in its background, and tests of it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
TEST_DATA = Path(os.environ.get("MEMORABILITY_TEST_DATA", ROOT.parent / "shared" / "data"))


def _needs(name):
    folder = TEST_DATA / name
    if not folder.is_dir():
        pytest.skip(f"no {name} in {TEST_DATA}; set MEMORABILITY_TEST_DATA to the folder with it")
    return folder


@pytest.fixture(scope="session")
def things_images():
    """The folder with the 946 THINGS photographs and their table."""
    return _needs("things_images")


@pytest.fixture(scope="session")
def flickr8k():
    """The folder with Flickr8k's training and development pictures and captions."""
    return _needs("flickr8k")


@pytest.fixture(scope="session")
def lamem_splits():
    """The folder with LaMem's own split files."""
    return _needs("lamem_splits")


@pytest.fixture(scope="session")
def lnsim():
    """The folder with LNSIM's development images, scores and halves."""
    return _needs("lnsim")


@pytest.fixture(scope="session")
def published():
    """The folder with files of published models."""
    return _needs("published")


@pytest.fixture(scope="session")
def photographs():
    """Two real JPEG files that come with scikit-learn."""
    folder = Path(sklearn.datasets.__file__).parent / "images"
    return [folder / "china.jpg", folder / "flower.jpg"]


@pytest.fixture(scope="session")
def vgg16_weights(tmp_path_factory):
    """A file of VGG16 weights in torchvision's format, drawn with a seed."""
    from torchvision.models import vgg16

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = vgg16(weights=None)
    path = tmp_path_factory.mktemp("weights") / "vgg16-seeded.pth"
    torch.save(network.state_dict(), path)
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def squeezenet_weights(tmp_path_factory):
    """A file of a small image network's weights, drawn with a seed."""
    from torchvision.models import squeezenet1_1

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = squeezenet1_1(weights=None)
    path = tmp_path_factory.mktemp("weights") / "squeezenet-seeded.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def server(tmp_path):
    """Serve a folder on this machine; yields the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder in which torch keeps what it downloaded, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def tiny_clip(tmp_path):
    """A model "tiny-clip" of open_clip, small enough for a test, and the file of its weights."""
    import open_clip

    text = {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8}
    path = tmp_path / "tiny-clip.json"
    path.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = open_clip.create_model("tiny-clip").eval()
    torch.save(network.state_dict(), tmp_path / "tiny.pt")
    yield network, tmp_path / "tiny.pt"
    open_clip.factory._MODEL_CONFIGS.pop("tiny-clip", None)


@pytest.fixture
def scores():
    """150 rows of 6 features and scores in (0, 1) that depend on the first of them."""
    chance = np.random.default_rng(0)
    X = chance.normal(size=(150, 6)).astype(np.float32)
    y = 1 / (1 + np.exp(-X[:, 0] - 0.3 * chance.normal(size=150)))
    return X, y


@contextmanager
def _dask():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _ray():
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    with _unheard():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        yield ray
    finally:
        with _unheard():
            ray.shutdown()


@contextmanager
def _unheard():
    """Keep to itself what Ray warns of where it starts and ends.

    These are tips, and files and processes of its own that it leaves to the garbage
    collector.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


@pytest.fixture(scope="module")
def clusters():
    """Start Dask's or Ray's two workers when they are first asked for, by name.

    What is returned is what speaks to them: Dask's client, the module ray, None for loky.
    """
    started = {"loky": None}
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")

        def get(name):
            if name not in started:
                started[name] = stack.enter_context({"dask": _dask, "ray": _ray}[name]())
            return started[name]

        yield get
