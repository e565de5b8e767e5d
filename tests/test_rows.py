import pickle
import subprocess
import sys

import numpy as np
import pytest
import zarr
from sklearn.utils import _safe_indexing

from sklearn_memorability._fingerprint import fingerprint
from sklearn_memorability._rows import StoredFeatures, _stored_features, _zarr, as_stored

N_ROWS, N_FEATURES = 300, 7


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    np.save(folder / "X.npy", values)
    np.save(folder / "fortran.npy", np.asfortranarray(values))
    write_zarr(folder / "X.zarr", values)
    return folder


def write_zarr(path, values, chunk_rows=64, **attributes):
    array = zarr.create_array(
        str(path),
        shape=values.shape,
        chunks=(chunk_rows, *values.shape[1:]),
        dtype=values.dtype,
        attributes=attributes,
    )
    array[:] = values
    return array


SOURCES = {
    "npy": lambda folder, values: folder / "X.npy",
    "zarr": lambda folder, values: str(folder / "X.zarr"),
    "fortran": lambda folder, values: folder / "fortran.npy",
    "array": lambda folder, values: values,
    "memmap": lambda folder, values: np.load(folder / "X.npy", mmap_mode="r"),
    "zarr.Array": lambda folder, values: zarr.open_array(folder / "X.zarr", mode="r"),
}


@pytest.fixture(params=SOURCES)
def stored(request, folder, values):
    return StoredFeatures(SOURCES[request.param](folder, values))


SELECTIONS = {
    "all": slice(None),
    "some": slice(20, 250, 3),
    "backwards": slice(None, None, -2),
    "none": slice(7, 7),
    "numbers": [5, 2, 2, -1],
    "reversed": np.arange(N_ROWS)[::-1],
    "mask": np.arange(N_ROWS) % 3 == 1,
    "no numbers": np.array([], dtype=int),
}


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_a_selection_holds_the_rows_that_an_array_would_give(stored, values, selection):
    chosen = values[selection]
    found = stored[selection]
    assert isinstance(found, StoredFeatures)
    assert (found.shape, len(found), found.ndim) == (chosen.shape, len(chosen), 2)
    np.testing.assert_array_equal(np.asarray(found), chosen)
    np.testing.assert_array_equal(stored.take(selection), chosen)
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(found))), chosen)


def test_selections_of_selections_are_those_of_arrays(stored, values):
    first, second = np.random.default_rng(1).random(N_ROWS) < 0.5, [3, 90, 4]
    np.testing.assert_array_equal(stored[first][second].take([2, 0]), values[first][second][[2, 0]])
    np.testing.assert_array_equal(stored[10:200:2][::-1][second], values[10:200:2][::-1][second])


def test_scikit_learn_selects_rows_without_reading(stored, values, monkeypatch):
    monkeypatch.setattr(StoredFeatures, "__array__", None)
    found = _safe_indexing(stored, np.array([8, 3]))
    assert isinstance(found, StoredFeatures)
    np.testing.assert_array_equal(found.take([0, 1]), values[[8, 3]])


def test_blocks_are_all_rows_in_order(stored, values):
    blocks = list(stored.blocks(70))
    assert [rows for rows, _ in blocks[-2:]] == [slice(210, 280), slice(280, 300)]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), values)
    np.testing.assert_array_equal(list(stored[:3]), values[:3])
    np.testing.assert_array_equal(stored[4], values[4])


def test_rows_are_scaled_when_they_are_read(stored, values):
    mean, scale = np.arange(7.0), np.arange(1.0, 8.0)
    expected = (values.astype(float) - mean) / scale
    np.testing.assert_allclose(stored.scaled(mean, scale)[5:9], expected[5:9], rtol=1e-5)
    twice = stored.scaled(mean, None).scaled(None, scale)
    np.testing.assert_allclose(twice.take([9]), expected[[9]], rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(stored), values)


def test_rows_that_are_not_finite_are_found(values, tmp_path):
    broken = values.copy()
    broken[[3, 200], [0, 6]] = np.nan, np.inf
    np.save(tmp_path / "X.npy", broken)
    finite = StoredFeatures(tmp_path / "X.npy").finite_rows()
    assert np.flatnonzero(~finite).tolist() == [3, 200]


@pytest.mark.parametrize("dtype", ["float16", "float64", "int16", ">f4", "uint8", "bool"])
def test_every_number_comes_out_in_single_precision(dtype, values, tmp_path):
    stored = (10 * values).astype(dtype)
    np.save(tmp_path / "X.npy", stored)
    found = StoredFeatures(tmp_path / "X.npy").take([4, 250])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, stored[[4, 250]].astype(np.float32))


@pytest.mark.parametrize("kind", SOURCES)
def test_their_fingerprint_is_that_of_equal_values(kind, folder, values):
    def known(change=lambda stored: stored):
        return fingerprint(change(StoredFeatures(SOURCES[kind](folder, values))))

    changes = [
        lambda stored: stored[:9],
        lambda stored: stored[[3, 1]],
        lambda stored: stored[[1, 3]],
        lambda stored: stored.scaled(np.ones(N_FEATURES), None),
        lambda stored: stored.scaled(None, np.ones(N_FEATURES)),
    ]
    found = [known(), *map(known, changes)]
    assert found == [known(), *map(known, changes)]
    assert len(set(found)) == len(found)
    stored = StoredFeatures(SOURCES[kind](folder, values))
    for one, other in [(slice(4, 20), np.arange(4, 20)), (slice(9, 3, -2), [9, 7, 5])]:
        assert fingerprint(stored[one]) == fingerprint(stored[other])


@pytest.mark.parametrize("name", ["X.npy", "X.zarr"])
def test_a_file_that_was_written_anew_has_another_fingerprint(values, tmp_path, name):
    path = tmp_path / name
    write = {"X.npy": np.save, "X.zarr": write_zarr}[name]
    write(path, values)
    before = fingerprint(StoredFeatures(path))
    if path.is_dir():
        zarr.open_array(path, mode="r+")[70, 2] += 1
    else:
        write(path, values + 1)
    assert fingerprint(StoredFeatures(path)) != before


def test_a_pickle_holds_no_values(folder):
    for name in ("X.npy", "X.zarr"):
        assert len(pickle.dumps(StoredFeatures(folder / name)[10:])) < 1000
    mapped = np.load(folder / "X.npy", mmap_mode="r")[10:]
    assert len(pickle.dumps(StoredFeatures(mapped))) < 1000


def test_a_copy_on_write_is_read_from_memory(folder):
    changed = np.load(folder / "X.npy", mmap_mode="c")
    changed[3] = 5
    assert (StoredFeatures(changed)[3] == 5).all()
    assert (pickle.loads(pickle.dumps(StoredFeatures(changed)))[3] == 5).all()


def test_a_take_decodes_each_chunk_once(folder, monkeypatch):
    decoded = []
    original = _zarr.ZarrSource._decode
    monkeypatch.setattr(
        _zarr.ZarrSource, "_decode", lambda s, number: decoded.append(number) or original(s, number)
    )
    monkeypatch.setattr(_zarr, "KEPT_BYTES", 0)  # two chunks
    X = StoredFeatures(folder / "X.zarr")
    X.take(np.random.default_rng(0).permutation(N_ROWS))
    assert decoded == [0, 1, 2, 3, 4]
    decoded.clear()
    list(StoredFeatures(folder / "X.zarr").blocks(10))
    assert decoded == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("kept_chunks", "expected"), [(4, 2), (5, 5)])
def test_a_pass_keeps_chunks_only_if_all_of_them_can_be_kept(
    folder, monkeypatch, kept_chunks, expected
):
    monkeypatch.setattr(_zarr, "KEPT_BYTES", kept_chunks * 64 * N_FEATURES * 4)
    X = StoredFeatures(folder / "X.zarr")
    list(X[np.arange(N_ROWS)].blocks(10))
    assert len(X._source._chunks) == expected
    X.take(np.arange(N_ROWS))
    assert len(X._source._chunks) == kept_chunks


def test_the_order_of_rows_in_files_is_that_of_arrays(folder):
    found = StoredFeatures(folder / "X.npy")[20:].permutation(np.random.default_rng(3))
    np.testing.assert_array_equal(found, np.random.default_rng(3).permutation(280))


def test_chunks_are_shuffled_and_rows_within_some_of_them(folder, monkeypatch):
    monkeypatch.setattr(_stored_features, "KEPT_BYTES", 0)  # two chunks
    X = StoredFeatures(folder / "X.zarr")[np.arange(N_ROWS) % 2 == 0]
    order = X.permutation(np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(order), np.arange(150))
    chunk = 2 * order // 64
    assert len({*chunk[:50]}) <= 3  # a group of two, and perhaps a last, small chunk
    assert np.abs(np.diff(order)).mean() > 5
    assert (order != X.permutation(np.random.default_rng(1))).any()
    np.testing.assert_array_equal(order, X.permutation(np.random.default_rng(0)))


def test_only_tables_on_disk_are_taken_for_stored(folder, values):
    mapped = np.load(folder / "X.npy", mmap_mode="r")
    assert as_stored(values) is None
    assert as_stored(values.tolist()) is None
    assert as_stored(mapped[0]) is None
    assert isinstance(as_stored(mapped), StoredFeatures)
    assert isinstance(as_stored(zarr.open_array(folder / "X.zarr")), StoredFeatures)
    X = StoredFeatures(mapped)
    assert as_stored(X) is X


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([300], IndexError, "Row 300 is out of range for 300 rows"),
        (-301, IndexError, "Row -301"),
        (np.ones(5, dtype=bool), IndexError, "mask has 5 values for 300 rows"),
        ("a", TypeError, "row numbers or by a mask"),
        ([0.5], TypeError, "float64"),
        ((slice(None), [0, 1]), TypeError, "by rows alone"),
    ],
)
def test_other_indices_are_refused(folder, rows, error, words):
    with pytest.raises(error, match=words):
        StoredFeatures(folder / "X.npy")[rows]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5), "has 1 dimensions"),
        (np.zeros((2, 2, 2)), "has 3 dimensions"),
        (np.array([["a", "b"]]), "features are numbers"),
        (np.array([[1, None]]), "features are numbers"),
        (np.zeros((2, 2), dtype=complex), "complex128"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(array, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        StoredFeatures(array)
    np.save(tmp_path / "X.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=words):
        StoredFeatures(tmp_path / "X.npy")


def header(shape, descr="<f4"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a .npy file"),
        (b"PK\x03\x04 an npz", "not a .npy file"),
        (b"\x93NUMPY\x09\x09" + b" " * 100, "its version is"),
        (b"\x93NUMPY\x01\x00\xff\xff{'descr'", "not a .npy file"),
        (header("(3, 4)").replace(b"descr", b"descX"), "not a .npy file"),
        (header("(3, ((((") + b" " * 100, "not a .npy file"),
        (header("(3, 4)") + bytes(47), "damaged or not finished"),
        (header("(9999999999999999999999, 4)") + bytes(48), "damaged or not finished"),
        (header("(-3, 4)") + bytes(48), "damaged or not finished"),
        (header("(3, 4)", "<U99") + bytes(4800), "features are numbers"),
    ],
)
def test_a_damaged_file_is_refused(content, words, tmp_path):
    (tmp_path / "X.npy").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        StoredFeatures(tmp_path / "X.npy")


def test_a_file_that_is_cut_while_in_use_says_so(values, tmp_path):
    np.save(tmp_path / "X.npy", values)
    X = StoredFeatures(tmp_path / "X.npy")
    with (tmp_path / "X.npy").open("r+b") as file:
        file.truncate(2000)
    with pytest.raises(OSError, match="has been cut"):
        X.take([0, 100, 299])


def test_a_file_that_is_not_there_and_other_sources_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        StoredFeatures(tmp_path / "none.npy")
    with pytest.raises(ValueError, match="not a Zarr array"):
        StoredFeatures(tmp_path)
    with pytest.raises(TypeError, match="must be the path of"):
        StoredFeatures([[1.0, 2.0]])


def test_a_store_that_is_not_finished_is_refused(values, tmp_path):
    array = write_zarr(tmp_path / "X.zarr", values, memorability_unfinished=True)
    for source in (array, tmp_path / "X.zarr"):
        with pytest.raises(ValueError, match="Call write_features again"):
            StoredFeatures(source)


def test_a_zarr_array_with_a_missing_or_damaged_chunk_is_refused(values, tmp_path):
    write_zarr(tmp_path / "X.zarr", values)
    chunk = tmp_path / "X.zarr" / "c" / "2" / "0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    X = StoredFeatures(tmp_path / "X.zarr")
    np.testing.assert_array_equal(X.take([5]), values[[5]])
    with pytest.raises(OSError, match="Rows 128 to 191 of"):
        X.take([130])
    chunk.unlink()
    with pytest.raises(ValueError, match="of 5 chunks there are 4"):
        StoredFeatures(tmp_path / "X.zarr")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("300", "9" * 30),
        ('"chunk_shape": [\n        64', '"chunk_shape": [\n        99999999999'),
        ('"float32"', '"float99"'),
        ('"zarr_format": 3', '"zarr_format": 7'),
        ('"attributes": {}', '"attributes": "none"'),
        ("{", "["),
    ],
)
def test_damaged_metadata_of_zarr_are_refused(values, tmp_path, old, new):
    write_zarr(tmp_path / "X.zarr", values)
    file = tmp_path / "X.zarr" / "zarr.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises((ValueError, OSError)):
        StoredFeatures(tmp_path / "X.zarr")


def test_without_zarr_the_error_names_the_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"sklearn-memorability\[zarr\]"):
        StoredFeatures(folder / "X.zarr")


def test_a_npy_file_needs_no_zarr(folder):
    code = (
        "import sys; from sklearn_memorability._rows import StoredFeatures\n"
        f"StoredFeatures({str(folder / 'X.npy')!r}).take([1]); assert 'zarr' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
