"""Features are computed once, and nothing that happens to the file gives a wrong row."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn
from torchvision.models import get_model

from sklearn_memorability.features import FeatureCache, ImageFeatures
from sklearn_memorability.features._cache import CachedRows

COMPUTED = []  # how many images went through the network, batch by batch


class Thumbnail(nn.Module):
    """300 features: the pixels."""

    def forward(self, x):
        COMPUTED.append(len(x))
        return x.flatten(1)


def ten_by_ten(image):
    pixels = np.asarray(image.resize((10, 10)), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def transformer(path, **params):
    return ImageFeatures(Thumbnail(), preprocessing=ten_by_ten, cache=path, **params)


def images(n, start=0):
    rng = np.random.default_rng(start)
    return list(rng.integers(0, 256, (n, 10, 10, 3), dtype=np.uint8))


def expected(images):
    return np.stack([image.transpose(2, 0, 1).ravel() for image in images]).astype(np.float32)


def filled(path, n=200):
    transformer(path).fit_transform(images(n))
    return path


def computed(call):
    """Return how many images went through the network, and what the call returns."""
    COMPUTED.clear()
    found = call()
    return sum(COMPUTED), found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "features.sqlite"


def test_what_is_kept_is_found_again_bit_by_bit(path):
    fitted = transformer(filled(path)).fit(images(1))
    n_computed, found = computed(lambda: fitted.transform(images(200)[::-1]))
    assert n_computed == 0
    np.testing.assert_array_equal(found, expected(images(200)[::-1]))
    n_computed, found = computed(lambda: fitted.transform(images(3, start=1)))
    assert n_computed == 3
    assert len(FeatureCache(path)) == 203


def test_the_path_may_be_a_folder_or_a_file(tmp_path, path):
    assert FeatureCache(tmp_path).path == path
    assert FeatureCache(str(path)).path == path
    assert FeatureCache(tmp_path / "new").path == tmp_path / "new" / "features.sqlite"
    assert len(FeatureCache(tmp_path / "new")) == 0
    assert FeatureCache(tmp_path / "new").contents() == []
    assert not (tmp_path / "new").exists()  # asking makes nothing
    filled(tmp_path / "new" / "deeper" / "mine.db", 3)
    assert len(FeatureCache(tmp_path / "new" / "deeper" / "mine.db")) == 3


def test_contents_and_pruning(path, photographs):
    filled(path, 20)
    ImageFeatures(cache=path).fit_transform(photographs)
    cache = FeatureCache(path)
    (newest, oldest) = cache.contents()
    assert (newest.network, newest.layer, newest.precision) == (
        "efficientnet_lite0",
        "pool",
        "float32",
    )
    assert (newest.n_images, newest.n_bytes) == (2, 2 * 4 * 1280)
    assert (oldest.network, oldest.n_images) == ("own Thumbnail", 20)
    assert abs(datetime.now(UTC) - oldest.last_used) < timedelta(minutes=1)
    assert cache.prune(network="nobody") == 0
    assert cache.prune(unused_for=timedelta(hours=1)) == 0
    # The newest rows that fit stay: two of the network's and three of the thumbnails.
    assert cache.prune(max_bytes=2 * 4 * 1280 + 3 * 4 * 300) == 17
    assert [kind.n_images for kind in cache.contents()] == [2, 3]
    assert cache.prune(network="own Thumbnail") == 3
    assert cache.prune(unused_for=timedelta(0)) == 2
    assert len(cache) == 0
    assert FeatureCache(path.with_name("none.sqlite")).prune(max_bytes=0) == 0


def test_pruning_gives_the_space_back(path):
    filled(path, 500)
    before = path.stat().st_size
    FeatureCache(path).prune(max_bytes=0)
    assert path.stat().st_size < before / 10


@pytest.mark.parametrize("arguments", [{}, {"max_bytes": -1}])
def test_pruning_wants_to_know_what(path, arguments):
    with pytest.raises(ValueError, match="max_bytes"):
        FeatureCache(path).prune(**arguments)


def test_a_cache_travels_as_its_path(path):
    cache = pickle.loads(pickle.dumps(FeatureCache(path)))
    assert cache.path == path
    assert repr(cache) == f"FeatureCache({str(path)!r})"


@pytest.mark.parametrize(
    "content",
    [
        b"image,score\na.jpg,0.5\n",
        b"x" * 5000,
        pytest.param(None, id="another program's database"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(path, content, photographs):
    if content is None:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE mine (x)")
        connection.commit()
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"features\.sqlite' is not a cache"):
        ImageFeatures(cache=path).fit(photographs)
    with pytest.raises(ValueError, match="not a cache"):
        len(FeatureCache(path))
    assert path.read_bytes() == before


def test_a_newer_versions_cache_is_refused_and_left_alone(path, photographs):
    filled(path, 3)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ValueError, match="version 99"):
        ImageFeatures(cache=path).fit(photographs)


def test_every_damaged_byte_gives_the_right_row(path):
    filled(path, 100)
    fitted = transformer(path).fit(images(1))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    n_missing = 0
    for _ in range(40):
        damaged = bytearray(whole)
        # Behind the header, which says what the file is.
        for at in rng.integers(100, len(whole), size=5):
            damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            n_computed, found = computed(lambda: fitted.transform(images(100)))
            np.testing.assert_array_equal(found, expected(images(100)))
            n_missing += n_computed
        for leftover in path.parent.iterdir():
            leftover.unlink()
    assert n_missing > 100  # the damage was real


@pytest.mark.parametrize("damage", ["page", "half"])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(path, damage):
    filled(path, 400)
    whole = bytearray(path.read_bytes())
    if damage == "page":
        # The root of the table's tree, and a page of rows.
        whole[2 * 4096 : 3 * 4096] = b"\xff" * 4096
        middle = len(whole) // 2 // 4096 * 4096
        whole[middle : middle + 4096] = bytes(4096)
    path.write_bytes(whole if damage == "page" else whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="was damaged and a new one is begun"):
        found = transformer(path).fit_transform(images(400))
    np.testing.assert_array_equal(found, expected(images(400)))
    assert [other for other in path.parent.iterdir() if "damaged" in other.name]
    assert computed(lambda: transformer(path).fit(images(1)).transform(images(400)))[0] <= 1
    assert len(FeatureCache(path)) == 400


@pytest.mark.parametrize("size", [0, 50])
def test_a_file_cut_short_is_begun_anew_or_refused(path, size):
    filled(path, 3)
    path.write_bytes(path.read_bytes()[:size])
    if size == 0:
        transformer(path).fit_transform(images(3))
        assert len(FeatureCache(path)) == 3
    else:
        with pytest.raises(ValueError, match="not a cache"):
            transformer(path).fit(images(3))


def test_a_full_disk_stops_the_keeping_and_nothing_else(path):
    # A process that may not write files larger than 64 kB, which the system tells it as
    # it tells of a full disk; signals of it are ignored, as Python does.
    code = f"""
import resource, sys, warnings, numpy as np
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cache import *
fitted = transformer({str(path)!r}, batch_size=2).fit(images(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = fitted.transform(images(100))
assert [w.category for w in caught] == [UserWarning], caught
np.testing.assert_array_equal(found, expected(images(100)))
assert "can't be kept" in str(caught[0].message)
assert 0 < len(FeatureCache({str(path)!r})) < 100
# With room again, the others follow.
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
fitted.transform(images(100))
assert len(FeatureCache({str(path)!r})) == 100
"""
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX's")
def test_a_cache_that_may_only_be_read_is_read(path):
    code = f"""
import os, sys, warnings, numpy as np
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cache import *
filled(Path({str(path)!r}), 20)
fitted = transformer({str(path)!r}).fit(images(1))
os.chmod({str(path)!r}, 0o444)
os.chmod({str(path.parent)!r}, 0o555)
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write everywhere
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    n_computed, found = computed(lambda: fitted.transform(images(20)))
assert [w.category for w in caught] == [UserWarning], caught
assert n_computed == 0, n_computed
np.testing.assert_array_equal(found, expected(images(20)))
"""
    for parent in path.parents:  # pytest's own, which only their owner may enter
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    path.parent.chmod(0o755)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path, photographs):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="can't be kept"):
        found = ImageFeatures(cache=tmp_path / "file" / "cache.sqlite").fit_transform(photographs)
    assert np.isfinite(found).all()


def test_another_process_that_holds_the_file_is_waited_for(path):
    filled(path, 3)
    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.5, blocker.rollback)
    timer.start()
    transformer(path).fit_transform(images(5, start=1))
    timer.join()
    blocker.close()
    assert len(FeatureCache(path)) == 8


def test_what_is_shown_as_done_is_kept(path, monkeypatch):
    shown = []

    class Bar:
        def __init__(self, **_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, n):
            shown.append(n)
            assert sum(shown) <= len(FeatureCache(path))

    monkeypatch.setattr("sklearn_memorability.features._extractor.tqdm", Bar)
    transformer(path, batch_size=4).fit_transform(images(21))
    assert sum(shown) == 21


def test_each_image_is_computed_once_whatever_its_name(tmp_path, path, photographs):
    copied = tmp_path / "copy.jpg"
    copied.write_bytes(photographs[0].read_bytes())
    fitted = transformer(path, batch_size=1).fit(photographs)
    n_computed, first = computed(lambda: fitted.transform(photographs))
    assert n_computed == 2
    again = [copied, photographs[1], photographs[0].read_bytes()]
    n_computed, found = computed(lambda: fitted.transform(again))
    assert n_computed == 0
    np.testing.assert_array_equal(found, first[[0, 1, 0]])
    # The same image in memory is another one: it may come from anywhere.
    pixels = np.asarray(Image.open(photographs[0]))
    assert computed(lambda: fitted.transform([pixels]))[0] == 1
    assert computed(lambda: fitted.transform([Image.open(photographs[0])]))[0] == 0
    assert len(FeatureCache(path)) == 3


@pytest.mark.parametrize(
    ("change", "n_kinds"),
    [
        ({"precision": "bfloat16"}, 2),
        ({"preprocessing": "caffe"}, 2),
        ({"batch_size": 1, "verbose": 0, "n_jobs": 1, "on_error": "nan"}, 1),
    ],
    ids=str,
)
def test_what_changes_features_is_another_entry(path, photographs, change, n_kinds):
    fitted = ImageFeatures(cache=path).fit(photographs)
    plain = fitted.transform(photographs)
    found = fitted.set_params(**change).fit(photographs).transform(photographs)
    assert np.array_equal(found, plain) == (n_kinds == 1)
    np.testing.assert_array_equal(fitted.transform(photographs), found)
    assert len(FeatureCache(path)) == 2 * n_kinds
    assert len(FeatureCache(path).contents()) == n_kinds


def test_other_weights_are_another_entry(path, photographs, tmp_path):
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            torch.save(get_model("squeezenet1_1").state_dict(), tmp_path / "w.pth")
        found = ImageFeatures("squeezenet1_1", weights=tmp_path / "w.pth", cache=path)
        found.fit_transform(photographs)
    assert len(FeatureCache(path).contents()) == 2


def test_an_image_that_changes_under_its_name_is_computed_anew(path, tmp_path):
    file = tmp_path / "image.png"
    Image.new("RGB", (30, 30), "red").save(file)
    fitted = transformer(path).fit([file])
    red = fitted.transform([file])
    Image.new("RGB", (30, 30), "blue").save(file)
    assert not np.allclose(red, fitted.transform([file]))


def test_a_search_computes_every_image_once(path):
    y = np.random.default_rng(0).normal(size=20)
    model = make_pipeline(transformer(path, batch_size=1), DummyRegressor())
    search = GridSearchCV(model, {"dummyregressor__strategy": ["mean", "median"]}, cv=4)
    # Each fit looks at a grey image, once more for the width of a network of one's own.
    n_fits = 2 * 4 + 1
    n_computed, _ = computed(lambda: search.fit(images(20), y).predict(images(20)))
    assert n_computed <= 20 + n_fits


def test_two_processes_may_fill_one_file_at_once(path):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cache import *
order = slice(None, None, int(sys.argv[1]))
found = transformer({str(path)!r}, batch_size=2).fit_transform(images(100)[order])
np.testing.assert_array_equal(found, expected(images(100)[order]))
"""
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, order])
        for order in ("1", "-1")
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert len(FeatureCache(path)) == 100


@pytest.mark.slow
def test_a_kill_loses_no_more_than_a_batch(path, tmp_path):
    log = tmp_path / "log"
    # Writes down what is computed before it can be kept.
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_cache
class Log(list):
    def append(self, n):
        time.sleep(0.005)
        with open({str(log)!r}, "ab", buffering=0) as file:
            file.write(b"%d\\n" % n)
test_cache.COMPUTED = Log()
test_cache.transformer({str(path)!r}, batch_size=4).fit_transform(test_cache.images(400))
"""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    n_computed = 0
    for kill in range(1, 4):
        process = subprocess.Popen([sys.executable, "-c", code], env=env)
        before = log.stat().st_size if log.exists() else 0
        while process.poll() is None and (not log.exists() or log.stat().st_size < before + 20):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        # One image more each time for the width of the network.
        n_computed = sum(map(int, log.read_bytes().split())) - kill
        assert n_computed - len(FeatureCache(path)) + 4 * kill > 0
        assert n_computed - len(FeatureCache(path)) <= 4 * kill
    assert subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert len(FeatureCache(path)) == 400
    assert sum(map(int, log.read_bytes().split())) - 4 <= 400 + 3 * 4


def test_rows_of_another_width_are_not_taken(path):
    # A network's width is no part of what it is known by.
    for width, found in ((3, None), (2, None)):
        rows = CachedRows(FeatureCache(path), '{"network": "n"}', width)
        assert rows.get(bytes(32)) is found
        rows.put([bytes(32)], np.zeros((1, width), dtype=np.float32))
        rows.close()
