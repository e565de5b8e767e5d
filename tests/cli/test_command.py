"""The command as a whole: help, errors, exit codes, and as a process of its own."""

import csv
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest

from sklearn_memorability.cli import main

COMMANDS = ["predict", "fit", "evaluate", "extract", "report", "models", "tables"]
PROGRAM = [sys.executable, "-m", "sklearn_memorability.cli"]
PIPES = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
GUIDES = "".join(
    (Path(__file__).parents[2] / "docs" / name).read_text(encoding="utf-8")
    for name in ("command.md", "experiments.md")
)


def test_help_lists_the_commands_and_the_version_is_the_packages(run):
    for arguments in (["--help"], []):
        done = run(*arguments)
        assert (done.code, done.err) == (0, "")
        assert all(f"\n  {command} " in done.out for command in COMMANDS)
    version = metadata.version("sklearn-memorability")
    assert run("--version").out == f"sklearn-memorability {version}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_fits_a_terminal_and_has_the_options_of_the_guides(
    run, command, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    done = run(command, "-h")
    assert done.code == 0
    assert done.out.startswith(f"Usage: sklearn-memorability {command} ")
    assert max(map(len, done.out.splitlines())) <= 80
    blocks = "".join(re.findall(r"```(?:bash|console)\n.*?```", GUIDES, re.DOTALL))
    lines = re.findall(rf"sklearn-memorability {command}\b([^|>\n]*)", blocks.replace("\\\n", ""))
    assert lines
    for line in lines:
        options = re.findall(r"(?<!\S)(--[a-z-]+|-[a-z0])(?!\S)", line.partition(" -- ")[0])
        assert all(option in done.out for option in options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predit"], "Did you mean 'predict'? See sklearn-memorability --help"),
        (["predict"], "See sklearn-memorability predict --help"),
        (["predict", "--colour"], "--colour"),
        (["fit", "--images", "x"], "'--scores'"),
        (["tables"], "TABLE"),
        (["tables", "table4"], "table4"),
    ],
)
def test_what_is_not_understood_is_told_in_one_line(run, arguments, message):
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err


@pytest.mark.parametrize("place", [0, 4])
def test_debug_shows_where_an_error_comes_from(place, folder):
    arguments = ["predict", "china.jpg", "-m", "gone.skops"]
    arguments.insert(place, "--debug")
    with pytest.raises(Exception, match="gone.skops"):
        main(arguments)
    assert main(["predict", "-m", "gone.skops", "--", "--debug"]) == 2


def test_without_its_packages_the_extra_is_named(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sklearn_memorability.cli._")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["--help"]) == 2
    assert "pip install 'sklearn-memorability[cli]'" in capsys.readouterr().err


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys; from sklearn_memorability.cli import main; main(['predict', '--help']); "
        "print(*sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = said.stdout.splitlines()[-1].split()
    assert {"torch", "sklearn", "numpy", "pandas", "PIL"}.isdisjoint(modules)


@pytest.fixture
def many(folder):
    """1000 names; the first block of 128 has one image and is done soon."""
    names = [f"image {i}.jpg" for i in range(1000)]
    for name in names[127:]:
        (folder / name).symlink_to("china.jpg")
    return names


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_keeps_the_rows_that_are_done(model_file, folder, many):
    command = [*PROGRAM, "predict", "-", "-m", model_file, "--no-classes"]
    with subprocess.Popen(command, **PIPES) as process:
        process.stdin.write("\n".join(many).encode())
        process.stdin.close()
        first = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest, said = process.stdout.read(), process.stderr.read()
        assert process.wait(timeout=60) == 130
    header, *rows = b"".join([*first, rest]).decode().splitlines()
    assert header == "image,score,q05,q95,error"
    assert [row.split(",")[0] for row in rows] == many[: len(rows)]
    assert 1 < len(rows) < len(many)
    # No progress, no colours, no traceback where nobody looks.
    *warnings, last, end = said.decode().splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert (last, end) == (f"{len(rows)} of 1000 images done.", "Interrupted.")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_reader_that_goes_away_is_no_error(model_file, folder):
    names = ["china.jpg"] + [f"{i}.jpg" for i in range(3000)]
    command = [*PROGRAM, "predict", "-", "-m", model_file]
    with subprocess.Popen(command, **PIPES) as process:
        process.stdin.write("\n".join(names).encode())
        process.stdin.close()
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_stdout_is_an_error():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PROGRAM, "--version"], stdout=full, stderr=-1, text=True, check=False
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_ctrl_c_on_a_terminal_writes_what_is_done_to_the_file(model_file, folder, many):
    import pty
    import termios

    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    arguments = ["predict", "gone.jpg", *many, "-m", model_file, "-o", "scores.csv"]
    with subprocess.Popen([*PROGRAM, *arguments], stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown, n_asked = b"", 0
        # Linux says by an error that the other end of a terminal is closed.
        with suppress(OSError):
            while part := os.read(ours, 100_000):
                shown += part
                # Python forgets a Ctrl-C that falls into a destructor: ask again.
                n_done = max(map(int, re.findall(rb"(\d+)/1001", shown)), default=0)
                if n_done >= n_asked + 128:
                    process.send_signal(signal.SIGINT)
                    n_asked = n_done
        assert process.wait(timeout=60) == 130
    os.close(ours)
    shown = shown.decode()
    with open("scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["gone.jpg", *many][: len(rows)]
    assert 128 <= len(rows) < 1001
    n_failed = sum(bool(row["error"]) for row in rows)
    assert f"Wrote scores.csv: {len(rows)} images, {n_failed} failed." in shown
    assert shown.endswith("Interrupted.\r\n")
    assert "\x1b[33mwarning: " in shown
