"""Features are computed once, and nothing that happens to the file gives a wrong row."""

import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_memorability.features import CacheWarning, FeatureCache, ImageFeatures
from sklearn_memorability.features import _cache_rows as cache_rows
from sklearn_memorability.features._cache_rows import CachedRows
from sklearn_memorability.features._networks import Network

IDENTITY = '{"network": "n", "layer": "l", "weights": "0", "crops": 1, "precision": "float32"}'
WIDTH = 300


def _rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, WIDTH)).astype(np.float32)


def _images(n, start=0):
    return [i.to_bytes(32, "big") for i in range(start, start + n)]


def _open(path, identity=IDENTITY, width=WIDTH):
    return CachedRows(FeatureCache(path), identity, width)


def _filled(path, n=200):
    kept = _open(path)
    kept.put(_images(n), _rows(n))
    kept.close()
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "features.sqlite"


@pytest.fixture
def computed(monkeypatch):
    """The number of pictures that went through a network, batch by batch."""
    counts = []
    features = Network.features

    def counting(self, views):
        found = features(self, views)
        counts.append(len(found))
        return found

    monkeypatch.setattr(Network, "features", counting)
    return counts


def test_what_is_kept_is_found_again_bit_by_bit(path):
    _filled(path)
    kept = _open(path)
    found = kept.get(_images(200))
    assert len(found) == 200
    assert np.array_equal(np.stack([found[image] for image in _images(200)]), _rows(200))
    assert kept.get(_images(3, start=1000)) == {}
    kept.close()


def test_another_network_has_rows_of_its_own(path):
    _filled(path)
    other = _open(path, IDENTITY.replace("float32", "bfloat16"))
    assert other.get(_images(5)) == {}
    other.put(_images(5), _rows(5, seed=1))
    assert np.array_equal(other.get(_images(1))[_images(1)[0]], _rows(5, seed=1)[0])
    other.close()
    again = _open(path)
    assert np.array_equal(again.get(_images(1))[_images(1)[0]], _rows(200)[0])
    again.close()
    assert len(FeatureCache(path)) == 205


def test_a_row_of_another_width_is_not_taken(path):
    _filled(path)
    narrower = _open(path, width=WIDTH - 1)
    assert narrower.get(_images(5)) == {}
    narrower.close()


def test_the_path_may_be_a_folder_or_a_file(tmp_path, path):
    assert FeatureCache(tmp_path).path == path
    assert FeatureCache(str(path)).path == path
    assert FeatureCache(tmp_path / "new").path == tmp_path / "new" / "features.sqlite"
    assert len(FeatureCache(tmp_path / "new")) == 0
    assert FeatureCache(tmp_path / "new").contents() == []
    assert not (tmp_path / "new").exists()  # asking makes nothing
    _filled(tmp_path / "new" / "deeper" / "mine.db")
    assert len(FeatureCache(tmp_path / "new" / "deeper" / "mine.db")) == 200


def test_contents_and_pruning(path):
    _filled(path, 20)
    other = _open(path, IDENTITY.replace('"n"', '"other"'))
    other.put(_images(5), _rows(5))
    other.close()
    cache = FeatureCache(path)
    (newest, oldest) = cache.contents()
    assert (newest.network, newest.n_images, newest.n_bytes) == ("other", 5, 5 * 4 * WIDTH)
    assert (oldest.network, oldest.n_images) == ("n", 20)
    assert abs(datetime.now(UTC) - oldest.last_used) < timedelta(minutes=1)
    assert cache.prune(network="nobody") == 0
    assert cache.prune(unused_for=timedelta(hours=1)) == 0
    # The newest rows that fit stay: five of "other" and three of "n".
    assert cache.prune(max_bytes=8 * 4 * WIDTH) == 17
    assert [(kind.network, kind.n_images) for kind in cache.contents()] == [("other", 5), ("n", 3)]
    kept = _open(path)
    assert len(kept.get(_images(20))) == 3
    kept.close()
    assert cache.prune(network="n") == 3
    assert cache.prune(unused_for=timedelta(0)) == 5
    assert len(cache) == 0
    assert FeatureCache(path.with_name("none.sqlite")).prune(max_bytes=0) == 0


def test_pruning_gives_the_space_back(path):
    _filled(path, 2000)
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
    with pytest.raises(ValueError, match=r"features\.sqlite' is (not a cache|an SQLite file of)"):
        ImageFeatures(cache=path).fit(photographs)
    with pytest.raises(ValueError, match="something else|not a cache"):
        len(FeatureCache(path))
    assert path.read_bytes() == before


def test_a_newer_versions_cache_is_refused_and_left_alone(path, photographs):
    _filled(path, 3)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ValueError, match="version 99"):
        ImageFeatures(cache=path).fit(photographs)


def test_every_damaged_byte_gives_the_right_row_or_none(path):
    _filled(path, 100)
    expected = dict(zip(_images(100), _rows(100), strict=True))
    whole = path.read_bytes()
    chance = np.random.default_rng(0)
    n_missing = n_mended = 0
    for _ in range(40):
        damaged = bytearray(whole)
        # Behind the header, which says what the file is.
        for at in chance.integers(100, len(whole), size=5):
            damaged[at] ^= int(chance.integers(1, 256))
        path.write_bytes(damaged)
        kept = _quietly(lambda: _open(path))
        found = _quietly(lambda kept=kept: kept.get(_images(100)))
        for image, row in found.items():
            assert np.array_equal(row, expected[image])
        n_missing += 100 - len(found)
        # What is missing can be kept again; unless the index is out of order, which
        # only costs computing it again.
        missing = [image for image in _images(100) if image not in found]
        if missing:
            rows = np.stack([expected[image] for image in missing])
            _quietly(lambda kept=kept, m=missing, rows=rows: kept.put(m, rows))
        found = _quietly(lambda kept=kept: kept.get(_images(100)))
        n_mended += len(found) == 100
        for image, row in found.items():
            assert np.array_equal(row, expected[image])
        kept.close()
        for leftover in path.parent.iterdir():
            leftover.unlink()
    assert n_missing > 100  # the damage was real
    assert n_mended >= 35


def _quietly(call):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        return call()


def test_a_damaged_page_is_put_aside_and_the_other_rows_are_kept(path):
    _filled(path, 400)
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2 // 4096 * 4096
    whole[middle : middle + 4096] = bytes(4096)
    # The tree of the table's pages too: its root lies on the second or third page.
    whole[2 * 4096 : 3 * 4096] = b"\xff" * 4096
    path.write_bytes(whole)

    def use():
        kept = _open(path)
        kept.get(_images(400))
        kept.put(_images(400), _rows(400))
        return kept

    with pytest.warns(CacheWarning, match=r"was damaged\. \d+ rows could be read"):
        kept = use()
    assert len(kept.get(_images(400))) == 400
    kept.close()
    assert [other for other in path.parent.iterdir() if "damaged" in other.name]


@pytest.mark.parametrize("size", [0, 50])
def test_a_file_cut_short_is_begun_anew_or_refused(path, size):
    _filled(path)
    path.write_bytes(path.read_bytes()[:size])
    if size == 0:
        kept = _open(path)
        kept.put(_images(3), _rows(3))
        assert len(kept.get(_images(3))) == 3
        kept.close()
    else:
        with pytest.raises(ValueError, match="not a cache"):
            _open(path)


def test_a_file_cut_in_half_loses_half(path):
    _filled(path, 400)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    kept = _quietly(lambda: _open(path))
    found = _quietly(lambda: kept.get(_images(400)))
    expected = dict(zip(_images(400), _rows(400), strict=True))
    assert all(np.array_equal(row, expected[image]) for image, row in found.items())
    _quietly(lambda: kept.put(_images(400), _rows(400)))
    assert len(kept.get(_images(400))) == 400
    kept.close()


def test_a_full_disk_stops_the_keeping_and_nothing_else(path, photographs, computed):
    pytest.importorskip("resource")
    pictures = [Image.fromarray(np.full((32, 32, 3), i, np.uint8)) for i in range(20)]
    names = []
    for i, picture in enumerate(pictures):
        picture.save(path.parent / f"{i:02}.png")
        names.append(str(path.parent / f"{i:02}.png"))
    # A process that may not write files larger than 64 kB, which the system tells it as
    # it tells of a full disk; signals of it are ignored, as Python does.
    code = f"""
import resource, warnings, numpy as np
from sklearn_memorability.features import CacheWarning, FeatureCache, ImageFeatures
names = {names!r}
plain = ImageFeatures(batch_size=2).fit_transform(names)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = ImageFeatures(batch_size=2, cache={str(path)!r}).fit_transform(names)
assert [w.category for w in caught] == [CacheWarning], caught
assert np.allclose(found, plain, atol=1e-4)
kept = len(FeatureCache({str(path)!r}))
assert 0 < kept < 20, kept
print("kept", kept, str(caught[0].message))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "can't be kept" in done.stdout
    # With room again, the others follow.
    ImageFeatures(cache=path).fit_transform(names)
    assert sum(computed) == 20 - int(done.stdout.split()[1])
    assert len(FeatureCache(path)) == 20


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX's")
def test_a_cache_that_may_only_be_read_is_read(path, photographs):
    names = [str(name) for name in photographs]
    plain = ImageFeatures(cache=path).fit_transform(names)
    code = f"""
import os, warnings, numpy as np
from sklearn_memorability.features import CacheWarning, ImageFeatures
from sklearn_memorability.features._networks import Network
# Read here, as the environment may be closed to other users.
names = [open(name, "rb").read() for name in {names!r}]
transformer = ImageFeatures(cache={str(path)!r})
def refuse(*_): raise AssertionError("was computed")
ImageFeatures().fit_transform(names)  # what is imported at first use is there then
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write everywhere
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    transformer.fit(names)
    Network.features = refuse
    found = transformer.transform(names)
assert CacheWarning in [w.category for w in caught], caught
print(found.sum(dtype=float))
"""
    for parent in path.parents:  # pytest's own, which only their owner may enter
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=path.parent,
        )
    finally:
        path.parent.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(plain.sum(dtype=float))


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path, photographs):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(CacheWarning, match="can't be kept"):
        found = ImageFeatures(cache=tmp_path / "file" / "cache.sqlite").fit_transform(photographs)
    assert np.isfinite(found).all()


def test_another_process_that_holds_the_file_is_waited_for(path, monkeypatch):
    _filled(path, 3)
    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.5, blocker.rollback)
    timer.start()
    kept = _open(path)
    kept.put(_images(1, start=50), _rows(1))
    assert len(kept.get(_images(1, start=50))) == 1
    kept.close()
    timer.join()
    blocker.close()


def test_a_file_that_stays_locked_is_read_and_no_more_written(path, monkeypatch):
    _filled(path, 3)
    monkeypatch.setattr("sklearn_memorability.features._cache_file._WAIT", 0.1)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.warns(CacheWarning, match="locked"):
        kept = _open(path)
    assert len(kept.get(_images(3))) == 3
    kept.put(_images(1, start=50), _rows(1))
    assert kept.get(_images(1, start=50)) == {}
    kept.close()
    blocker.rollback()
    blocker.close()


def test_a_clock_set_back_changes_nothing_but_the_date(path, monkeypatch):
    _filled(path, 3)
    monkeypatch.setattr(cache_rows.time, "time", lambda: 1.0)
    kept = _open(path)
    assert len(kept.get(_images(3))) == 3
    kept.close()
    assert FeatureCache(path).contents()[0].last_used.year > 2000


def test_each_picture_is_computed_once_whatever_its_name(tmp_path, path, photographs, computed):
    copied = tmp_path / "copy.jpg"
    copied.write_bytes(photographs[0].read_bytes())
    transformer = ImageFeatures(cache=path).fit(photographs)
    first = transformer.transform([*photographs, copied, photographs[0].read_bytes()])
    assert sum(computed) == 2
    again = transformer.transform([copied, photographs[1]])
    assert sum(computed) == 2
    assert np.array_equal(first[[0, 1]], again)
    assert np.array_equal(first[0], first[3])
    # The same picture in memory is another image: it may come from anywhere.
    pixels = np.asarray(Image.open(photographs[0]))
    transformer.transform([pixels, Image.open(photographs[0])])
    assert sum(computed) == 3
    assert len(FeatureCache(path)) == 3


@pytest.mark.parametrize(
    "change",
    [{"crops": 5}, {"precision": "bfloat16"}, {"preprocessing": "caffe"}],
    ids=str,
)
def test_what_changes_features_is_another_entry(path, photographs, change, computed):
    transformer = ImageFeatures(cache=path).fit(photographs)
    transformer.transform(photographs)
    changed = transformer.set_params(**change).fit(photographs).transform(photographs)
    assert sum(computed) == 4
    assert np.array_equal(transformer.transform(photographs), changed)
    assert sum(computed) == 4
    assert len(FeatureCache(path).contents()) == 2


def test_other_weights_are_another_entry(path, photographs, tmp_path, computed):
    import torch
    from torchvision.models import get_model

    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            torch.save(get_model("squeezenet1_1").state_dict(), tmp_path / "w.pth")
        found = ImageFeatures("squeezenet1_1", weights=tmp_path / "w.pth", cache=path)
        found.fit_transform(photographs)
    assert sum(computed) == 4
    assert len(FeatureCache(path).contents()) == 2


def test_what_changes_no_feature_changes_no_entry(path, photographs, computed):
    transformer = ImageFeatures(cache=path).fit(photographs)
    transformer.transform(photographs)
    transformer.set_params(batch_size=1, channels_last=False, verbose=0, n_jobs=1, on_error="nan")
    transformer.fit(photographs).transform(photographs)
    assert sum(computed) == 2


def test_a_picture_that_changes_under_its_name_is_computed_anew(path, tmp_path, computed):
    file = tmp_path / "picture.png"
    Image.new("RGB", (30, 30), "red").save(file)
    transformer = ImageFeatures(cache=path).fit([file])
    red = transformer.transform([file])
    Image.new("RGB", (30, 30), "blue").save(file)
    blue = transformer.transform([file])
    assert sum(computed) == 2
    assert not np.allclose(red, blue)


def test_a_file_that_changes_while_it_is_read_is_never_taken_for_another(
    path, tmp_path, monkeypatch
):
    # Between the hash and the decoding the file on disk changes: what was hashed is
    # what is decoded.
    from sklearn_memorability.images import ImageContent

    file = tmp_path / "picture.png"
    Image.new("RGB", (30, 30), "red").save(file)
    red = ImageFeatures().fit_transform([file])
    digest = ImageContent.digest

    def changing(self):
        found = digest(self)
        Image.new("RGB", (30, 30), "blue").save(file)
        return found

    transformer = ImageFeatures(cache=path).fit([file])
    monkeypatch.setattr(ImageContent, "digest", changing)
    np.testing.assert_allclose(transformer.transform([file]), red, atol=1e-4)


def test_two_processes_may_fill_one_file_at_once(path, tmp_path):
    chance = np.random.default_rng(0)
    names = []
    for i in range(24):
        names.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(chance.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(names[-1])
    code = f"""
import sys
from sklearn_memorability.features import ImageFeatures
names = {names!r}
names = names if sys.argv[1] == "0" else names[::-1]
print(ImageFeatures(batch_size=2, cache={str(path)!r}).fit_transform(names).sum(dtype=float))
"""
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(i)], text=True, stdout=-1)
        for i in range(2)
    ]
    sums = [float(process.communicate()[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    expected = ImageFeatures().fit_transform(names).sum(dtype=float)
    assert sums == pytest.approx([expected, expected], rel=1e-5)
    assert len(FeatureCache(path)) == 24
