"""A short run of the fuzzer on all readers, and what it would find.

``benchmarks/fuzz.py`` runs for as long as one likes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing.readers import READERS

FUZZER = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"
SECONDS = 2  # a reader
NAMES = [reader.name for reader in READERS]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the fuzzer needs fork"),
]


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    command = [sys.executable, FUZZER, "--minutes", str(SECONDS * len(READERS) / 60), "--seed", "7"]
    command += ["--log", folder / "log.jsonl", "--keep", folder / "kept"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (folder / "log.jsonl").exists(), done.stderr
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {line["reader"]: line for line in lines}, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_withstands_damaged_files(short_run, name):
    found, output = short_run
    assert found[name]["findings"] == 0, output


def test_cases_were_read(short_run):
    # On a busy machine a reader's turn may end before its first case.
    found, _ = short_run
    assert sum(line["cases"] > 0 for line in found.values()) > len(NAMES) / 2


# Readers that do what none may do, and what the fuzzer makes of each.
BAD = """
import ctypes, os, subprocess, sys, time
sys.path.insert(0, {benchmarks!r})
import fuzz
from pathlib import Path
from fuzzing import worker
from fuzzing.reader import Reader
worker.CPU_SECONDS, fuzz._STALLED = 2, 100

def spin():
    while True:
        pass

def deeper():
    return deeper()

BAD = {{
    "SIGSEGV": lambda folder: ctypes.string_at(0),
    "hang": lambda folder: spin(),
    "hang without work": lambda folder: time.sleep(60),
    "memory": lambda folder: bytearray(600 << 20),
    "KeyError": lambda folder: {{}}["a"],
    "RecursionError": lambda folder: deeper(),
    "UnicodeDecodeError without the file's name": lambda folder: b"\\xff".decode(),
    "event os.system": lambda folder: os.system("true"),
    "event subprocess.Popen": lambda folder: subprocess.run(["true"]),
    "event open": lambda folder: open({outside!r}, "w").close(),
    "event os.mkdir": lambda folder: os.mkdir({outside!r} + "d"),
    "event exec": lambda folder: exec("1", {{}}),
    "event import": lambda folder: __import__("hypothesis.vendor.pretty"),
    "exit 70": lambda folder: (_ for _ in ()).throw(KeyboardInterrupt),
}}
for kind, act in BAD.items():
    def read(variant, data, folder, act=act):
        if data != b"a valid file":
            act(folder)
    run = fuzz.Run(Reader(kind.replace(" ", "-"), lambda: {{"x": b"a valid file"}}, read))
    fuzz.Fuzzer([run], 0, Path({kept!r})).turn(run, 0.3)
    kinds = [finding.kind for finding in run.findings]
    print(kind, "->", kinds, file=sys.stderr)
    assert set(kinds) == {{kind}}, (kind, kinds)
    assert run.findings[0].case != b"a valid file"
"""


def test_a_reader_that_breaks_its_promise_is_found(tmp_path):
    code = BAD.format(
        benchmarks=str(FUZZER.parent), outside=str(tmp_path / "x"), kept=str(tmp_path / "kept")
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert len(list((tmp_path / "kept").iterdir())) == done.stdout.count("FINDING")
