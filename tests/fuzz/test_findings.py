"""What the fuzzer once found: a documented error today, or what is right.

The small files in ``findings`` are named as the fuzzer names them: reader, variant, digest.
The others are built here.
"""

import csv
import io
import json
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from fuzzing import files, tables
from fuzzing.formats import zip_members, zip_of
from fuzzing.readers import READERS
from fuzzing.worker import judged

from sklearn_memorability.cli._tables import csv_text
from sklearn_memorability.datasets._matlab import read_matlab

FOLDER = Path(__file__).parent / "findings"
READER = {reader.name: reader for reader in READERS}


@pytest.fixture
def holds(tmp_path):
    """Give a reader a case; return the error that came, if it is a documented one."""

    def check(name, variant, case):
        folder = tmp_path / "fuzzed"
        folder.mkdir()
        finding, error = judged(READER[name], variant, case, folder)
        assert finding is None, finding.told
        return error

    return check


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.stem)
def test_a_file_that_was_found_is_refused(holds, path):
    name, variant, _ = path.stem.split("--")
    assert isinstance(holds(name, variant, path.read_bytes()), ValueError | OSError)


# MATLAB's format, as far as the cases below need it.
HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"


def _part(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _array(kind, shape, *parts):
    head = _part(6, struct.pack("<II", kind, 0)) + _part(5, struct.pack("<2i", *shape))
    return _part(14, head + _part(1, b"img") + b"".join(parts))


NUMBER = _array(6, (1, 1), _part(9, struct.pack("<d", 1.5)))


def _nested(depth):
    array = NUMBER
    for _ in range(depth):
        array = _array(1, (1, 1), array)
    return array


def _names(length, names):
    return _part(5, struct.pack("<i", length)) + _part(1, names)


MATLAB = {
    # SciPy looks kinds up in a table without looking where the table ends: a crash.
    "a kind of numbers that there is not": _array(6, (1, 1), _part(200, bytes(8))),
    "a class that there is not": _array(99, (1, 1), _part(9, bytes(8))),
    # 16 GB for a file of 200 bytes.
    "two thousand million cells": _array(1, (2**16, 2**15)),
    "two thousand million characters": _array(4, (1, 2**31 - 1), _part(1, b"")),
    "a negative shape": _array(1, (-1, -1), NUMBER),
    "more bytes than there are": _array(6, (1, 1), struct.pack("<II", 9, 2**31) + bytes(8)),
    "nested a thousand times": _nested(1000),
    "fields without names": _array(2, (1, 1), _names(0, b"abc")),
    "a name that does not end": _array(2, (1, 1), _names(4, b"abcd"), NUMBER),
    "a part cut short": _part(15, zlib.compress(NUMBER)[:-6]),
    "no array": _part(9, bytes(8)),
}


@pytest.mark.parametrize("what", MATLAB)
def test_a_matlab_file_whose_parts_lie_is_refused_before_it_is_read(tmp_path, monkeypatch, what):
    path = tmp_path / "set.mat"
    path.write_bytes(HEAD + MATLAB[what])
    monkeypatch.setattr("scipy.io.loadmat", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(ValueError, match=r"set\.mat' can't be read as a MATLAB file"):
        read_matlab(path)


def test_the_bytes_of_a_matlab_file_are_counted_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_memorability.datasets._matlab_check._LARGEST", 10_000)
    path = tmp_path / "set.mat"
    bomb = _array(9, (1, 20_000), _part(2, bytes(20_000)))
    path.write_bytes(HEAD + _part(15, zlib.compress(bomb)))
    with pytest.raises(ValueError, match="more than 10,000 bytes when it is unpacked"):
        read_matlab(path)


def test_sound_matlab_files_of_all_kinds_are_read(tmp_path):
    path = tmp_path / "set.mat"
    field = _array(2, (1, 1), _names(4, b"abc\0"), _nested(20))
    compressed = zlib.compress(field)
    # Compressed parts are not filled up to eight bytes.
    path.write_bytes(HEAD + struct.pack("<II", 15, len(compressed)) + compressed)
    assert read_matlab(path)["img"].dtype.names == ("abc",)


def _with_cell(place):
    members = [
        (info, content.replace(b"</sheetData>", cell.encode() + b"</sheetData>"))
        for cell in [f'<row r="{place[1:]}"><c r="{place}"><v>1</v></c></row>']
        for info, content in zip_members(tables.spreadsheets()["xlsx"])
    ]
    return zip_of(members)


def test_a_cell_far_away_does_not_make_a_spreadsheet_large(holds):
    assert "can't be read as a spreadsheet" in str(
        holds("spreadsheet", "xlsx", _with_cell("Z1048576"))
    )


def test_a_spreadsheet_that_is_large_when_it_is_unpacked_is_refused(holds, monkeypatch):
    monkeypatch.setattr("sklearn_memorability.datasets._spreadsheet_check._LARGEST", 500)
    error = holds("spreadsheet", "xlsx", tables.spreadsheets()["xlsx"])
    assert "more than 500 bytes when it is unpacked" in str(error)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"\x42"])
@pytest.mark.parametrize("suffix", ["tar", "tgz"])
def test_what_describes_a_member_may_not_fill_the_memory(holds, suffix, kind):
    info = tarfile.TarInfo("a")
    info.type, info.size = kind, 3 << 20
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if suffix == "tgz" else "w") as tape:
        tape.addfile(info, io.BytesIO(b"x" * info.size))
        tape.addfile(tarfile.TarInfo("b"))
    assert "damaged" in str(holds("archive", f"1.{suffix}", buffer.getvalue()))


def test_a_member_without_a_name_is_refused(holds):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.filename = ""
        archive.writestr(info, b"a")
    assert "'' is there twice" in str(holds("archive", "zip", buffer.getvalue()))


def test_names_that_no_file_can_have_are_refused_by_row(holds):
    error = holds("tables", "tsv", b"image\tscore\na.jpg\t.5\nb\0.jpg\t.5\n")
    assert r"'b\x00.jpg' in row 2" in str(error)


def test_bytes_that_are_no_text_are_refused_with_the_file(holds):
    assert "train_1.txt' can't be read as text" in str(holds("tables", "lamem", b"\x8f"))


@pytest.mark.parametrize("given", [b"5", b"0.5", b"true"])
def test_what_is_no_list_of_captions_is_refused(holds, given):
    assert "captions must hold" in str(holds("captions", "captions", given))


@pytest.mark.parametrize("variant", ["downloads", "part", "osf"])
def test_brackets_without_end_are_no_record(holds, variant):
    holds("records", variant, b"[" * 100_000)


def test_an_embedding_with_words_that_are_none_is_refused(holds):
    data = files.embeddings()["bow"]
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8 : 8 + size])
    settings = json.loads(head["__metadata__"]["settings"])
    settings["prefix"] = [{}]
    head["__metadata__"]["settings"] = json.dumps(settings)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    case = struct.pack("<Q", len(text)) + text + data[8 + size :]
    assert "its words are no words" in str(holds("embedding", "bow", case))


def _read_back(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("start", [*"=+-@\t\r\n＝", "\r\n="])
def test_no_name_in_a_table_is_a_formula(start):
    name = f"{start}cmd|' /C calc'!A0.jpg"
    text = csv_text([[name, -0.5, None], ["b.jpg", 0.25, None]])
    assert text.splitlines()[0].lstrip('"').startswith("./")
    assert _read_back(text) == [[f"./{name}", "-0.5", ""], ["b.jpg", "0.25", ""]]


def test_a_carriage_return_in_a_name_ends_no_row():
    rows = [["a\rb.jpg", 0.5, None], ["c.jpg", np.pi, "it's gone"]]
    assert [row[0] for row in _read_back(csv_text(rows))] == ["a\rb.jpg", "c.jpg"]
