"""What the fuzzer once found: a documented error today, or what is right.

The small files in ``findings`` are named as the fuzzer names them: reader, variant, digest.
The others are built here.
"""

import csv
import hashlib
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from fuzzing import files
from fuzzing.formats import zip_members, zip_of
from fuzzing.readers import READERS
from fuzzing.worker import judged

from sklearn_memorability.cli._tables import csv_text

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


@pytest.mark.parametrize("header", ["{'shape': (", "{'a' b}", "{" * 200, "(" * 2000])
def test_an_array_whose_head_is_no_python_is_refused(holds, header):
    members = zip_members(files.models()["regressor"])
    array = next(i for i, (info, _) in enumerate(members) if info.filename.endswith(".npy"))
    text = header.encode() + b"\n"
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text
    members[array] = members[array][0], content
    hashes = {info.filename: hashlib.sha256(content).hexdigest() for info, content in members}
    facts = next(i for i, (info, _) in enumerate(members) if info.filename == "facts.json")
    known = json.loads(members[facts][1])
    known["members"] = {name: hashes[name] for name in known["members"]}
    members[facts] = members[facts][0], json.dumps(known).encode()
    assert "is not an array" in str(holds("model", "regressor", zip_of(members)))


def test_bytes_that_are_no_text_are_refused_with_the_file(holds):
    assert "train_1.txt' can't be read as text" in str(holds("tables", "lamem", b"\x8f"))


@pytest.mark.parametrize("given", [b"5", b"0.5", b"true"])
def test_what_is_no_list_of_captions_is_refused(holds, given):
    assert "captions must hold" in str(holds("captions", "captions", given))


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
