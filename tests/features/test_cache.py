"""Features are computed once, and nothing that happens to the file gives a wrong row."""

import os
import sqlite3
import tempfile
import threading
import warnings
from contextlib import closing
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

from sklearn_memorability.features import FeatureCache, ImageFeatures

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
    filled(tmp_path / "new", 3)
    assert len(FeatureCache(tmp_path / "new" / "features.sqlite")) == 3
    assert repr(FeatureCache(path)) == f"FeatureCache({str(path)!r})"


def test_contents_and_pruning(path, photographs):
    filled(path, 20)
    ImageFeatures(cache=path).fit_transform(photographs)
    n_bytes = path.stat().st_size
    cache = FeatureCache(path)
    (newest, oldest) = cache.contents()
    assert newest[:2] == ("efficientnet_lite0", "pool")
    assert newest.precision == "float32"
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
    assert path.stat().st_size < n_bytes  # the space is given back
    assert FeatureCache(path.with_name("none.sqlite")).prune(max_bytes=0) == 0


@pytest.mark.parametrize("arguments", [{}, {"max_bytes": -1}])
def test_pruning_wants_to_know_what(path, arguments):
    with pytest.raises(ValueError, match="max_bytes"):
        FeatureCache(path).prune(**arguments)


@pytest.mark.parametrize(
    "content",
    [b"image,score\na.jpg,0.5\n", b"x" * 5000, pytest.param(None, id="another program's database")],
)
def test_a_file_of_something_else_is_refused_and_left_alone(path, content, photographs):
    if content is None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE mine (x)")
            connection.commit()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"features\.sqlite' is not a cache"):
        ImageFeatures(cache=path).fit(photographs)
    with pytest.raises(ValueError, match="not a cache"):
        len(FeatureCache(path))
    assert path.read_bytes() == before


def test_a_newer_versions_cache_is_refused(path):
    with closing(sqlite3.connect(filled(path, 3))) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="version 99"):
        transformer(path).fit(images(1))


def test_every_damaged_byte_gives_the_right_row(path):
    filled(path, 100)
    fitted = transformer(path).fit(images(1))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    n_missing = 0
    for _ in range(20):
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
    assert n_missing > 50  # the damage was real


@pytest.mark.parametrize("damage", ["page", "half"])
def test_of_a_damaged_file_a_warning_says_so_and_rows_are_right(path, damage):
    filled(path, 200)
    whole = bytearray(path.read_bytes())
    if damage == "page":
        # The root of the table's tree, and a page of rows.
        whole[2 * 4096 : 3 * 4096] = b"\xff" * 4096
        middle = len(whole) // 2 // 4096 * 4096
        whole[middle : middle + 4096] = bytes(4096)
    path.write_bytes(whole if damage == "page" else whole[: len(whole) // 2])
    with pytest.warns(
        UserWarning, match=r"features\.sqlite.*a damaged file may be removed"
    ) as said:
        found = transformer(path).fit_transform(images(200))
    assert len(said) == 1
    np.testing.assert_array_equal(found, expected(images(200)))
    path.unlink()
    assert len(FeatureCache(filled(path, 200))) == 200


def test_a_file_cut_short_is_begun_anew_or_refused(path):
    filled(path, 3)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="not a cache"):
        transformer(path).fit(images(3))
    path.write_bytes(b"")
    assert len(FeatureCache(filled(path, 3))) == 3


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX's")
def test_a_cache_that_may_only_be_read_is_read(path):
    fitted = transformer(filled(path, 20)).fit(images(1))
    fitted.transform(images(1))  # reads the source of the preprocessing, which nobody may not
    for parent in path.parents:  # pytest's own, which only their owner may enter
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    user = os.geteuid()
    if user == 0:  # root may write everywhere, so be nobody for a moment
        os.seteuid(65534)
    try:
        with pytest.warns(UserWarning, match="can't be kept") as caught:
            n_computed, found = computed(lambda: fitted.transform(images(20)))
    finally:
        os.seteuid(user)
        path.parent.chmod(0o755)
    assert (len(caught), n_computed) == (1, 0)
    np.testing.assert_array_equal(found, expected(images(20)))


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


def test_an_image_is_known_by_its_content(tmp_path, path, photographs):
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
    others = [pixels[::-1], pixels.reshape(pixels.shape[1], -1, 3)]
    assert computed(lambda: fitted.transform(others))[0] == 2
    copied.write_bytes(photographs[1].read_bytes())
    np.testing.assert_array_equal(fitted.transform([copied]), first[[1]])


def test_a_search_computes_every_image_once(path):
    y = np.random.default_rng(0).normal(size=20)
    model = make_pipeline(transformer(path, batch_size=1), DummyRegressor())
    search = GridSearchCV(model, {"dummyregressor__strategy": ["mean", "median"]}, cv=4)
    # Each fit looks at a grey image, once more for the width of a network of one's own.
    n_fits = 2 * 4 + 1
    n_computed, _ = computed(lambda: search.fit(images(20), y).predict(images(20)))
    assert n_computed <= 20 + n_fits


def test_a_slip_in_its_name_makes_no_cache(tmp_path):
    with pytest.raises(ValueError, match="cache='' names no file"):
        transformer("").fit(images(1))
    for name in ("slip/features.sqlite", "slip/here.db", "slip/folder"):
        with pytest.raises(ValueError, match=r"no folder '.*slip'; make it first"):
            transformer(tmp_path / name).fit(images(1))
    assert not any(tmp_path.iterdir())
