"""The command as a whole: help, errors, exit codes, and as a process of its own."""

import os
import signal
import subprocess
import sys
from importlib import metadata

import pytest

from sklearn_memorability.cli import _console, main

COMMANDS = ["predict", "fit", "evaluate", "extract", "report", "models", "tables"]
PROGRAM = [sys.executable, "-m", "sklearn_memorability.cli"]
PIPES = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)


def test_the_version_is_that_of_the_package(run):
    assert run("--version").out == (
        f"sklearn-memorability {metadata.version('sklearn-memorability')}\n"
    )


def test_help_lists_the_commands(run):
    done = run("--help")
    assert (done.code, done.err) == (0, "")
    for command in COMMANDS:
        assert f"\n  {command} " in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_commands_help_fits_a_terminal(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = run(command, "-h")
    assert done.code == 0
    assert done.out.startswith(f"Usage: sklearn-memorability {command} ")
    assert max(map(len, done.out.splitlines())) <= 80


def test_without_arguments_help_is_shown_and_nothing_done(run):
    done = run()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predit"], "Did you mean 'predict'? See sklearn-memorability --help"),
        (["predict"], "See sklearn-memorability predict --help"),
        (["predict", "--colour"], "--colour"),
        (["fit", "--images", "x"], "'--scores'"),
        (["tables"], "TABLE"),
    ],
)
def test_what_is_not_understood_is_told_in_one_line(run, arguments, message):
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err


def test_debug_shows_where_an_error_comes_from():
    with pytest.raises(FileNotFoundError):
        main(["predict", "x.jpg", "-m", "gone.skops", "--debug"])
    with pytest.raises(FileNotFoundError):
        main(["--debug", "predict", "x.jpg", "-m", "gone.skops"])
    assert main(["predict", "-m", "gone.skops", "--", "--debug"]) == 2


def test_errors_that_nobody_foresaw_say_how_to_learn_more(run, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("sklearn_memorability.cli._model.load", fail)
    done = run("predict", "x.jpg")
    assert done.code == 2
    assert done.err == (
        "error: ZeroDivisionError: division by zero (run it again with --debug to see where)\n"
    )


def test_errors_of_several_lines_become_one(run, monkeypatch):
    def fail(*_, **__):
        raise ValueError("one\n  two")

    monkeypatch.setattr("sklearn_memorability.cli._model.load", fail)
    assert run("predict", "x.jpg").err == "error: one two\n"


def test_without_its_packages_the_extra_is_named(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sklearn_memorability.cli._")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["--help"]) == 2
    assert "pip install 'sklearn-memorability[cli]'" in capsys.readouterr().err


def test_tables_passes_everything_on(run, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "sklearn_memorability.experiments._command.main", lambda argv: asked.append(argv) or 0
    )
    assert run("tables", "table1", "--lamem", "DIR", "--rows", "cnn-svr").code == 0
    assert asked == [["table1", "--lamem", "DIR", "--rows", "cnn-svr"]]


def test_tables_shows_its_own_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["tables", "table1", "--help"])
    assert stop.value.code == 0
    assert "--nested" in capsys.readouterr().out


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, time; begun = time.perf_counter(); "
        "from sklearn_memorability.cli import main; main(['predict', '--help']); "
        "print(time.perf_counter() - begun, *sys.modules)"
    )
    durations = []
    for _ in range(3):
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        duration, *modules = said.splitlines()[-1].split()
        durations.append(float(duration))
        assert {"torch", "sklearn", "numpy", "pandas", "PIL"}.isdisjoint(modules)
    assert min(durations) < 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_a_process_reads_a_pipe_and_keeps_what_is_done_when_interrupted(
    model_file, photographs, tmp_path
):
    names = [f"picture {i}.jpg" for i in range(3000)]
    for name in names:
        (tmp_path / name).symlink_to(photographs[0])
    command = [*PROGRAM, "predict", "-", "-0", "-m", model_file, "--no-classes"]
    with subprocess.Popen(command, **PIPES, cwd=tmp_path) as process:
        process.stdin.write("\0".join(names).encode())
        process.stdin.close()
        first = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest, said = process.stdout.read(), process.stderr.read()
        assert process.wait(timeout=60) == 130
    header, *rows = b"".join([*first, rest]).decode().splitlines()
    assert header == "image,score,q05,q95,error"
    assert [row.split(",")[0] for row in rows] == names[: len(rows)]
    assert 16 <= len(rows) < len(names)
    # No progress, no colours, no traceback where nobody looks.
    assert said.decode() == f"{len(rows)} of 3000 pictures done.\nInterrupted.\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_reader_that_goes_away_is_no_error():
    code = (
        "import sys\n"
        "from sklearn_memorability.cli import _app, main\n"
        "from sklearn_memorability.cli._console import emit\n"
        "@_app.app.command()\n"
        "def rows():\n"
        "    while True:\n"
        "        emit('row\\n')\n"
        "sys.exit(main(['rows']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], **PIPES) as process:
        assert process.stdout.readline() == b"row\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("no_colour", [False, True])
def test_progress_shows_on_a_terminal_and_no_color_is_respected(tmp_path, no_colour):
    import pty

    code = (
        "from sklearn_memorability.cli._console import progress_bar, say\n"
        "with progress_bar(True) as bar:\n"
        "    bar.advance(bar.add_task('Scoring pictures', total=2))\n"
        "    bar.refresh()\n"
        "say('no such file', 'error')\n"
    )
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    if no_colour:
        environment["NO_COLOR"] = "1"
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment)
    os.close(theirs)
    assert process.wait(timeout=60) == 0
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "1/2" in shown
    assert shown.endswith("no such file\r\n")
    assert ("\x1b[1;31merror: " in shown) is not no_colour
    assert ("\x1b[1merror: " in shown) is no_colour


def test_messages_are_not_cut_into_lines(capsys):
    _console.say("word " * 100, "warning")
    assert capsys.readouterr().err.count("\n") == 1
