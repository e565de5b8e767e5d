"""Features on disk: whole and right, or not there, whatever happened on the way."""

import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_memorability.features import (
    ImageFeatures,
    StoredFeatures,
    UnreadableImagesWarning,
    _write_npy,
    _write_zarr,
    write_features,
)
from sklearn_memorability.images import ImageReadError

zarr = pytest.importorskip("zarr")

BOTH = pytest.mark.parametrize("name", ["features.npy", "features.zarr"])
N, WIDTH, CHUNK = 23, 5, 4
N_CHUNKS = 6


SEEN: list[int] = []  # how many pictures each transform was given
BREAKS_AT: list[int] = []  # the transform that is interrupted


class Bytes:
    """Makes a row of each file's first bytes."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def transform(self, paths):
        SEEN.append(len(paths))
        if len(SEEN) in BREAKS_AT:
            raise KeyboardInterrupt
        rows = [np.frombuffer(Path(path).read_bytes()[:WIDTH], np.uint8) for path in paths]
        return self.factor * np.array(rows, dtype=np.float64)


@pytest.fixture(autouse=True)
def log():
    """Return, and forget, how many pictures each transform was given."""
    SEEN.clear()
    return lambda: (SEEN.copy(), SEEN.clear())[0]


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "pictures").mkdir()
    chance = np.random.default_rng(0)
    made = [tmp_path / "pictures" / f"{i:02}" for i in range(N)]
    for path in made:
        path.write_bytes(chance.bytes(WIDTH))
    return made


def _expected(paths):
    return np.array([list(path.read_bytes()[:WIDTH]) for path in paths], dtype=np.float32)


def _write(paths, target, transformer=None, **options):
    options = {"chunk_rows": CHUNK, **options}
    return write_features(transformer or Bytes(), paths, target, **options)


def _break_off(paths, target, after):
    """Write some chunks, then be interrupted."""
    SEEN.clear()
    BREAKS_AT.append(after + 1)
    with pytest.raises(KeyboardInterrupt):
        _write(paths, target)
    BREAKS_AT.clear()
    SEEN.clear()


def _rows_on_disk(target):
    return np.asarray(StoredFeatures(target))


def test_a_npy_file_is_numpys_own_with_a_row_a_picture(paths, tmp_path, log):
    stored = _write(paths, tmp_path / "features.npy")
    assert isinstance(stored, StoredFeatures)
    assert stored.shape == (N, WIDTH)
    read = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, _expected(paths))
    assert log() == [CHUNK] * 5 + [3]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"pictures", "features.npy", "features.npy.journal", ".features.npy.lock"}


def test_a_zarr_folder_has_a_file_a_chunk(paths, tmp_path):
    stored = _write(paths, tmp_path / "features.zarr")
    read = zarr.open_array(tmp_path / "features.zarr", mode="r")
    assert read.metadata.zarr_format == 3
    assert (read.shape, read.chunks, read.dtype) == ((N, WIDTH), (CHUNK, WIDTH), np.float32)
    np.testing.assert_array_equal(read[:], _expected(paths))
    np.testing.assert_array_equal(np.asarray(stored), _expected(paths))
    assert len(list((tmp_path / "features.zarr" / "c").glob("*/*"))) == N_CHUNKS
    assert "memorability_unfinished" not in read.attrs


def test_rows_of_a_large_zarr_chunk_can_be_read_without_the_others(tmp_path):
    class Counting:
        def transform(self, X):
            return np.asarray(X, dtype=float)

    X = np.arange(2500.0)[:, None]
    stored = write_features(Counting(), X, tmp_path / "features.zarr", chunk_rows=1024)
    read = zarr.open_array(tmp_path / "features.zarr", mode="r")
    assert (read.chunks, read.shards) == ((128, 1), (1024, 1))
    np.testing.assert_array_equal(np.asarray(stored), X)


@BOTH
@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_the_same_call_goes_on_where_it_was_interrupted(
    paths, tmp_path, monkeypatch, log, name, after
):
    target = tmp_path / name
    _break_off(paths, target, after)
    if after and name.endswith("zarr"):
        with pytest.raises(ValueError, match="not finished"):
            StoredFeatures(target)
    else:
        assert not target.exists()
    _write(paths, target)
    assert len(log()) == N_CHUNKS - after
    np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))


@BOTH
def test_a_finished_store_is_returned_without_computing(paths, tmp_path, log, name):
    _write(paths, tmp_path / name)
    log()
    again = _write([str(path) for path in paths], tmp_path / name)
    assert log() == []
    np.testing.assert_array_equal(np.asarray(again), _expected(paths))


# Forks, as each new process would load torch again. Children of the first kind are killed
# at random moments until one of them gets to its end, those of the second begin together.
FORKING = """
import os, pathlib, random, signal, sys, time
import numpy as np, zarr
from sklearn_memorability.features import write_features

class Slow:
    def transform(self, X):
        with open(log, "ab", buffering=0) as file:
            file.write(b"x")
        time.sleep(0.004)
        return np.sqrt(np.asarray(X)[:, None] + np.arange(700.0))

def fork(*arguments, **options):
    child = os.fork()
    if child == 0:
        write_features(Slow(), X, *arguments, chunk_rows=8, **options)
        os._exit(0)
    return child

folder, X, chance = pathlib.Path(sys.argv[1]), np.arange(20 * 8.0), random.Random(0)
for name in ("features.npy", "features.zarr"):
    log, kills, killed = folder / f"{name}.log", 0, False
    while True:
        child = fork(folder / name)
        if kills < 5:
            before = log.stat().st_size if log.exists() else 0
            while (log.stat().st_size if log.exists() else 0) < before + chance.randrange(3):
                time.sleep(0.0005)
            time.sleep(chance.random() * 0.01)
            os.kill(child, signal.SIGKILL)
        if os.waitpid(child, 0)[1] == 0:
            break
        kills += 1
    print(kills, log.stat().st_size)
log = folder / "together.log"
children = [fork(folder / "together.zarr", part=(i, 4)) for i in range(4)]
print([os.waitpid(child, 0)[1] for child in children])
"""


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    if not hasattr(os, "fork"):
        pytest.skip("needs a system that can fork")
    folder = tmp_path_factory.mktemp("forked")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, folder],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = np.sqrt(np.arange(160.0)[:, None] + np.arange(700.0)).astype(np.float32)
    return folder, done.stdout.splitlines(), expected


@BOTH
def test_kills_at_any_moment_lose_at_most_a_chunk_each(forked, name):
    folder, printed, expected = forked
    kills, computed = map(int, printed[name.endswith("zarr")].split())
    assert kills >= 3
    assert 20 <= computed <= 20 + kills
    np.testing.assert_array_equal(_rows_on_disk(folder / name), expected)
    assert not list(folder.rglob("*.partial"))
    assert not list(folder.rglob("*.unfinished"))


def test_parts_that_begin_at_the_same_moment_make_one_array(forked):
    folder, printed, expected = forked
    assert printed[2] == "[0, 0, 0, 0]"
    np.testing.assert_array_equal(_rows_on_disk(folder / "together.zarr"), expected)
    assert not list(folder.glob(".together*"))


@BOTH
def test_rows_that_were_damaged_on_disk_are_computed_again(paths, tmp_path, monkeypatch, log, name):
    target = tmp_path / name
    _break_off(paths, target, 4)
    file = target / "c" / "2" / "0" if name.endswith("zarr") else Path(f"{target}.unfinished")
    content = bytearray(file.read_bytes())
    place = len(content) // 2  # of the .npy file, in the third chunk
    content[place] ^= 1
    file.write_bytes(content)
    _write(paths, target)
    assert len(log()) == 3
    np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))


def test_an_unfinished_file_that_was_cut_or_lost_is_written_again(
    paths, tmp_path, monkeypatch, log
):
    target = tmp_path / "features.npy"
    for damage in (lambda file: os.truncate(file, 150), os.unlink):
        _break_off(paths, target, 4)
        damage(f"{target}.unfinished")
        _write(paths, target)
        assert len(log()) >= 5
        np.testing.assert_array_equal(np.load(target), _expected(paths))
        target.unlink()
        Path(f"{target}.journal").unlink()


def _damaged(content, chance):
    """Return a file as some accident may leave it."""
    lines = content.split(b"\n")
    kind = chance.randrange(6)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    if kind == 1:
        place = chance.randrange(len(content))
        return (
            content[:place]
            + bytes([content[place] ^ (1 << chance.randrange(8))])
            + (content[place + 1 :])
        )
    if kind == 2:
        chance.shuffle(lines)
    elif kind == 3:
        del lines[chance.randrange(len(lines))]
    elif kind == 4:
        lines.insert(chance.randrange(len(lines)), chance.randbytes(50))
    else:  # one chunk's rows under another's name
        lines = [line.replace(b'"start": 4', b'"start": 8') for line in lines]
    return b"\n".join(lines)


@BOTH
def test_no_damage_to_a_journal_gives_a_wrong_row(paths, tmp_path, monkeypatch, name):
    target = tmp_path / name
    _break_off(paths, target, 4)
    journal = target / "journal" / "0-of-1.jsonl"
    if name.endswith("npy"):
        journal = Path(f"{target}.journal")
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "pictures" not in str(path)]
    kept = {path: path.read_bytes() for path in files}
    chance = random.Random(0)
    for _ in range(25):
        journal.write_bytes(_damaged(kept[journal], chance))
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            _write(paths, target)
        np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))
        for path in (target, Path(f"{target}.journal")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for path, content in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def test_a_journal_that_tells_nothing_is_a_warning(paths, tmp_path, monkeypatch, log):
    target = tmp_path / "features.npy"
    _break_off(paths, target, 4)
    Path(f"{target}.journal").write_text("{}\n")
    with pytest.warns(UserWarning, match="is damaged; all rows are computed again"):
        _write(paths, target)
    assert len(log()) == N_CHUNKS


def test_a_finished_store_whose_journal_is_damaged_is_not_written_to(paths, tmp_path, log):
    for name in ("features.npy", "features.zarr"):
        target = tmp_path / name
        _write(paths, target)
        journal = target / "journal" / "0-of-1.jsonl"
        if name.endswith("npy"):
            journal = Path(f"{target}.journal")
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(lines[:2] + lines[3:]))
        log()
        with pytest.raises(ValueError, match="the journal is damaged.*overwrite=True"):
            _write(paths, target)
        assert log() == []


@BOTH
def test_a_picture_that_changed_is_computed_again_as_long_as_it_is_not_finished(
    paths, tmp_path, monkeypatch, log, name
):
    target = tmp_path / name
    _break_off(paths, target, 4)
    paths[5].write_bytes(b"other")
    os.utime(paths[5], ns=(0, 1))
    _write(paths, target)
    assert len(log()) == 3
    np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))
    os.utime(paths[5], ns=(0, 2))
    with pytest.raises(ValueError, match=r"rows 4 to 7: the pictures' files have changed"):
        _write(paths, target)
    _write(paths, target, overwrite=True)
    assert len(log()) == N_CHUNKS


@BOTH
@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transformer": Bytes(2.0)}, r"transformer.*is .* there and .* here"),
        ({"paths": slice(None, None, -1)}, "rows 0 to 3: they are of other pictures"),
        ({"paths": slice(20)}, "n_rows is 23 there and 20 here"),
        ({"dtype": "float16"}, 'dtype is "float32" there and "float16" here'),
        ({"chunk_rows": 8}, "chunk_rows is 4 there and 8 here"),
    ],
)
def test_other_features_under_the_path_are_refused_unless_overwritten(
    paths, tmp_path, monkeypatch, name, is_finished, change, message
):
    target = tmp_path / name
    if is_finished:
        _write(paths, target)
    else:
        _break_off(paths, target, 3)
    change = dict(change)
    paths = paths[change.pop("paths", slice(None))]
    with pytest.raises(ValueError, match=message) as raised:
        _write(paths, target, **change)
    assert "overwrite=True" in str(raised.value)
    _write(paths, target, **change, overwrite=True)
    factor = 2 if "transformer" in change else 1
    np.testing.assert_array_equal(_rows_on_disk(target), factor * _expected(paths))


@BOTH
def test_overwriting_goes_on_with_what_an_equal_call_began(paths, tmp_path, monkeypatch, log, name):
    _break_off(paths, tmp_path / name, 4)
    _write(paths, tmp_path / name, overwrite=True)
    assert len(log()) == 2


def test_a_file_of_somebody_elses_is_not_overwritten_by_chance(paths, tmp_path):
    theirs = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "features.npy", theirs)
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "folder.zarr" / "thesis.txt").write_text("...")
    zarr.create_array(tmp_path / "theirs.zarr", data=theirs)
    for name in ("features.npy", "theirs.zarr", "folder.zarr"):
        with pytest.raises(ValueError, match="exists, and nothing"):
            _write(paths, tmp_path / name)
    with pytest.raises(ValueError, match="not in Zarr's format, so it is not overwritten"):
        _write(paths, tmp_path / "folder.zarr", overwrite=True)
    assert (tmp_path / "folder.zarr" / "thesis.txt").read_text() == "..."
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), theirs)
    for name in ("features.npy", "theirs.zarr"):
        _write(paths, tmp_path / name, overwrite=True)
        np.testing.assert_array_equal(_rows_on_disk(tmp_path / name), _expected(paths))


def test_a_finished_file_that_was_copied_is_compared_and_one_that_was_changed_refused(
    paths, tmp_path, log
):
    target = tmp_path / "features.npy"
    _write(paths, target)
    (tmp_path / "copies").mkdir()
    copy = tmp_path / "copies" / "features.npy"
    shutil.copyfile(target, copy)
    shutil.copyfile(f"{target}.journal", f"{copy}.journal")
    log()
    _write(paths, copy)
    np.save(target, np.load(target) + 1)
    with pytest.raises(ValueError, match="was changed after it was written"):
        _write(paths, target)
    np.save(target, np.load(target)[1:])
    with pytest.raises(ValueError, match="was changed after it was written"):
        _write(paths, target)
    assert log() == []


def test_a_chunk_that_is_lost_from_a_finished_zarr_array_is_computed_again(paths, tmp_path, log):
    target = tmp_path / "features.zarr"
    _write(paths, target)
    (target / "c" / "3" / "0").unlink()
    log()
    _write(paths, target)
    assert log() == [CHUNK]
    np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))


def test_damage_to_a_finished_zarr_array_is_an_error_when_it_is_read(paths, tmp_path):
    target = tmp_path / "features.zarr"
    stored = _write(paths, target)
    file = target / "c" / "3" / "0"
    content = bytearray(file.read_bytes())
    content[20] ^= 4
    file.write_bytes(content)
    with pytest.raises(OSError, match="can't be read"):
        np.asarray(stored)


def test_damaged_metadata_of_a_zarr_array_are_an_error_with_a_way_out(paths, tmp_path, monkeypatch):
    target = tmp_path / "features.zarr"
    chance = random.Random(1)
    for _ in range(8):
        _break_off(paths, target, 4)
        metadata = target / "zarr.json"
        metadata.write_bytes(_damaged(metadata.read_bytes(), chance))
        try:
            _write(paths, target)
        except ValueError as error:
            # Some changes are found, some change nothing, so no raises() fits.
            assert "overwrite=True" in str(error)  # noqa: PT017
            if metadata.stat().st_size:
                _write(paths, target, overwrite=True)
        if metadata.stat().st_size:
            np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))
        shutil.rmtree(target)


def test_settings_that_no_codec_can_work_with_are_an_error_with_a_way_out(paths, tmp_path):
    target = tmp_path / "features.zarr"
    _break_off(paths, target, 4)
    metadata = target / "zarr.json"
    sound = metadata.read_text()
    damaged = re.sub(r'"typesize": \d+', '"typesize": 4294967295', sound)
    assert damaged != sound
    metadata.write_text(damaged)
    with pytest.raises(ValueError, match=r"zarr\.json' is damaged: .*remove the folder"):
        _write(paths, target)
    metadata.write_text(sound)
    _write(paths, target)
    np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))


@BOTH
def test_two_writers_at_once_are_kept_apart(paths, tmp_path, name):
    target, errors = tmp_path / name, []

    class Second(Bytes):
        def transform(self, X):
            with pytest.raises(BlockingIOError, match="Another process is writing") as raised:
                _write(paths, target)
            errors.append(raised.value)
            return super().transform(X)

    _write(paths, target, Second())
    assert len(errors) == N_CHUNKS
    np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))


def test_parts_in_any_order_make_one_array(paths, tmp_path, log):
    target = tmp_path / "features.zarr"
    counts = []
    for i in (2, 0, 3, 1):
        stored = _write(paths, target, part=(i, 4))
        counts.append(log())
        if i != 1:
            assert stored is None
            with pytest.raises(ValueError, match="not finished"):
                StoredFeatures(target)
    np.testing.assert_array_equal(np.asarray(stored), _expected(paths))
    assert counts == [[4], [4], [4, 3], [4, 4]]  # whole chunks
    assert sorted(path.name for path in (target / "journal").iterdir()) == [
        f"{i}-of-4.jsonl" for i in range(4)
    ]
    assert _write(paths, target, part=(3, 4)).shape == (N, WIDTH)
    assert _write(paths, target).shape == (N, WIDTH)
    assert log() == []


def test_a_call_without_part_goes_on_with_what_parts_have_done(paths, tmp_path, log):
    target = tmp_path / "features.zarr"
    assert _write(paths, target, part=(1, 2)) is None
    n_done = len(log())
    _write(paths, target)
    assert len(log()) == N_CHUNKS - n_done
    np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))


def test_more_parts_than_chunks_leave_some_with_nothing_to_do(paths, tmp_path):
    target = tmp_path / "features.zarr"
    results = [_write(paths, target, part=(i, 20)) for i in range(20)]
    assert results[0] is None
    np.testing.assert_array_equal(np.asarray(results[-1]), _expected(paths))


def test_parts_with_other_arguments_are_refused(paths, tmp_path):
    target = tmp_path / "features.zarr"
    _write(paths, target, part=(0, 2))
    with pytest.raises(ValueError, match="holds other features: transformer"):
        _write(paths, target, Bytes(3.0), part=(1, 2))


def test_too_little_room_is_told_before_much_is_computed(paths, tmp_path, monkeypatch, log):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(_write_npy.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"features.npy'.* need 588 bytes, 100 are free.*goes on"):
        _write(paths, tmp_path / "features.npy")
    assert len(log()) == 1
    assert not (tmp_path / "features.npy").exists()


@BOTH
def test_a_disk_that_gets_full_keeps_what_is_written(paths, tmp_path, monkeypatch, log, name):
    module = _write_npy if name.endswith("npy") else _write_zarr
    flush = module.flush

    def full(file):
        if len(SEEN) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(file)

    target = tmp_path / name
    with monkeypatch.context() as patch:
        patch.setattr(module, "flush", full)
        with pytest.raises(OSError, match="No room for .*the same call goes on") as raised:
            _write(paths, target)
    assert raised.value.errno == errno.ENOSPC
    assert f"need {(N - 3 * CHUNK) * WIDTH * 4} bytes" in str(raised.value)
    log()
    _write(paths, target)
    assert len(log()) == N_CHUNKS - 3
    np.testing.assert_array_equal(_rows_on_disk(target), _expected(paths))


@BOTH
def test_half_precision_takes_half_the_room(paths, tmp_path, name):
    stored = _write(paths, tmp_path / name, Bytes(np.pi), dtype="float16")
    rows = np.asarray(stored)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, np.pi * _expected(paths), rtol=2.0**-11)
    if name.endswith("npy"):
        assert (tmp_path / name).stat().st_size == 128 + N * WIDTH * 2
    with pytest.raises(ValueError, match=r"Row 0 has the value .*too large for dtype='float16'"):
        _write(paths, tmp_path / f"large-{name}", Bytes(1e5), dtype="float16")


@pytest.fixture(scope="module")
def extractor(photographs):
    return ImageFeatures(on_error="nan").fit(photographs)


@BOTH
def test_unreadable_pictures_are_rows_of_nan_and_one_warning(
    photographs, tmp_path, extractor, name
):
    X = [photographs[0], "gone.jpg", photographs[1], b"", photographs[1]]
    for _ in range(2):  # once more from disk
        with pytest.warns(UnreadableImagesWarning) as warned:
            stored = write_features(extractor, X, tmp_path / name, chunk_rows=2)
        (text,) = [str(warning.message) for warning in warned]
        assert text.startswith("2 image(s) could not be read; their rows are NaN:")
        assert "Image in row 1, 'gone.jpg': the file does not exist." in text
        assert "Image in row 3: the content is empty." in text
    rows = np.asarray(stored)
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, False, True, False]
    expected = extractor.transform(photographs)
    np.testing.assert_allclose(rows[[0, 2, 4]], expected[[0, 1, 1]], rtol=1e-4, atol=1e-5)


def test_with_on_error_raise_the_error_names_the_row_among_all(photographs, tmp_path, extractor):
    X = [*photographs, *photographs, "gone.jpg"]
    strict = ImageFeatures().fit(photographs)
    with pytest.raises(ImageReadError, match="Image in row 4, 'gone.jpg'"):
        write_features(strict, X, tmp_path / "features.npy", chunk_rows=2)
    # What is there is as good for a transformer that goes on.
    with pytest.warns(UnreadableImagesWarning, match="row 4"):
        stored = write_features(extractor, X, tmp_path / "features.npy", chunk_rows=2)
    assert np.isnan(np.asarray(stored)[4]).all()


def test_pictures_in_memory_are_known_by_their_content(tmp_path, log):
    class Sums(Bytes):
        def transform(self, pictures):
            SEEN.append(len(pictures))
            return np.array([[np.asarray(picture, dtype=float).sum()] for picture in pictures])

    def pictures():
        arrays = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
        return [Image.fromarray(array) if i % 2 else array for i, array in enumerate(arrays)]

    target = tmp_path / "features.npy"
    _write(pictures(), target, Sums(), chunk_rows=2)
    log()
    _write(pictures(), target, Sums(), chunk_rows=2)
    assert log() == []
    other = pictures()
    other[2] = other[2].copy()
    other[2][0, 0, 0] ^= 1
    with pytest.raises(ValueError, match="rows 2 to 3: they are of other pictures"):
        _write(other, target, Sums(), chunk_rows=2)


def test_series_and_arrays_of_paths_are_the_same_list(paths, tmp_path, log):
    pandas = pytest.importorskip("pandas")
    names = [str(path) for path in paths]
    _write(names, tmp_path / "features.npy")
    log()
    _write(np.array(names), tmp_path / "features.npy")
    _write(pandas.Series(names, index=np.arange(N)[::-1]), tmp_path / "features.npy")
    assert log() == []


def test_the_bar_counts_rows_that_are_on_disk(paths, tmp_path, monkeypatch, capsys):
    target = tmp_path / "features.npy"
    _break_off(paths, target, 3)
    journal = Path(f"{target}.journal").read_text().splitlines()
    assert [json.loads(line)["start"] for line in journal[1:]] == [0, 4, 8]
    _write(paths, target, verbose=1)
    shown = capsys.readouterr().err
    assert f"{N}/{N}" in shown
    assert "features.npy" in shown


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"path": "features.csv"}, ValueError, "must end in .npy or .zarr"),
        ({"path": "none/features.npy"}, FileNotFoundError, "no folder .*none"),
        ({"chunk_rows": 0}, ValueError, "chunk_rows=0 must be"),
        ({"chunk_rows": 1.5}, ValueError, "chunk_rows=1.5 must be"),
        ({"dtype": "float64"}, ValueError, "dtype='float64' must be"),
        ({"part": (0, 2)}, ValueError, r"part=\(0, 2\) needs a path that ends in .zarr"),
        ({"part": (2, 2), "path": "a.zarr"}, ValueError, r"part=\(2, 2\) must be"),
        ({"part": 1, "path": "a.zarr"}, ValueError, "part=1 must be"),
        (
            {"part": (0, 2), "path": "a.zarr", "overwrite": True},
            ValueError,
            "overwrite=True can't be used with part",
        ),
        ({"X": []}, ValueError, "X holds no picture"),
        ({"X": "a.jpg"}, TypeError, "X must be a list of pictures.*a str"),
        ({"X": iter(["a.jpg"])}, TypeError, "can be sliced"),
    ],
)
def test_bad_arguments_are_named(paths, tmp_path, change, error, message):
    arguments = {"X": paths, "path": "features.npy", **change}
    X, path = arguments.pop("X"), tmp_path / arguments.pop("path")
    with pytest.raises(error, match=message):
        write_features(Bytes(), X, path, **arguments)
    assert [entry.name for entry in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda n: np.zeros(n), r"shape \(4,\) for 4 pictures"),
        (lambda n: np.zeros((n + 1, 2)), r"shape \(5, 2\) for 4 pictures"),
        (lambda n: np.zeros((n, 0)), r"shape \(4, 0\)"),
        (lambda n: np.full((n, 2), "a"), "values of type <U1"),
        (lambda n: np.zeros((n, n)), "gave 3 features for the rows .* and 4 for others"),
        (lambda n: np.full((n, 2), 1e300), r"Row 0 .*1e\+300.* too large for dtype='float32'"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(paths, tmp_path, rows, message):
    class Odd:
        def transform(self, X):
            return rows(len(X))

    with pytest.raises(ValueError, match=message):
        _write(paths, tmp_path / "features.npy", Odd())
    assert not (tmp_path / "features.npy").exists()


def test_without_zarr_the_extra_is_named(paths, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r'pip install "sklearn-memorability\[zarr\]"'):
        _write(paths, tmp_path / "features.zarr")


def test_the_guide_runs_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "larger_than_memory.md"
    text = page.read_text(encoding="utf-8").partition("## Train from it")[0]
    blocks = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    names = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
    # What the comments in the guide promise.
    assert capsys.readouterr().out.splitlines() == ["(8, 1280)", "float32 8", "(8, 1280)"]
    assert names["again"].shape == (8, 1280)
