"""The commands, and how their errors become one line and an exit code."""

import os
import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from sklearn_memorability.cli._app_page import app as page
from sklearn_memorability.cli._console import (
    INTERRUPTED,
    OK,
    REFUSED,
    checked_stdout,
    emit,
    say,
    warnings_as_lines,
)
from sklearn_memorability.cli._doctor import doctor
from sklearn_memorability.cli._fit import extract, fit
from sklearn_memorability.cli._models import models
from sklearn_memorability.cli._paper import tables
from sklearn_memorability.cli._predict import evaluate, predict, report

# Errors that say that something can't be done as asked. Others are not meant for users.
_EXPECTED = (ImportError, OSError, TypeError, ValueError)

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 some images failed; 2 can't be done; 130 interrupted.",
)
for command in (predict, fit, evaluate, extract, report, page, models, doctor, tables):
    app.command()(command)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        emit(f"sklearn-memorability {installed_version('sklearn-memorability')}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show it and exit."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Image memorability: images in, one score each out."""


def run(argv: list[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    # --debug may stand anywhere, so that it can be added to a line that failed.
    n_own = argv.index("--") if "--" in argv else len(argv)
    debug = "--debug" in argv[:n_own]
    argv = [argument for argument in argv[:n_own] if argument != "--debug"] + argv[n_own:]
    try:
        with warnings_as_lines():
            code = app(argv or ["--help"], prog_name="sklearn-memorability", standalone_mode=False)
        with checked_stdout():
            sys.stdout.flush()  # as Python does at its end, with exit codes of its own
    except typer.Exit as left:
        return left.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if debug:
            raise
        dashed = any(os.path.lexists(name) for name in argv if name.startswith("-"))
        hint = " Put -- before names of files that begin with '-'." if dashed else ""
        say(f"{_reason(error)}{hint}", "error")
        return REFUSED
    if code == INTERRUPTED:  # what typer makes of Ctrl-C
        say("Interrupted.")
    return code or OK


def _reason(error: Exception) -> str:
    if hasattr(error, "format_message"):  # typer's own, of classes that it doesn't export
        text = error.format_message()
        text += "" if text.endswith((".", "?")) else "."
        context = getattr(error, "ctx", None)
        return f"{text} See {context.command_path} --help" if context else text
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return f"there is not enough memory. Try --batch-size 1. {error}"
    if isinstance(error, _EXPECTED) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (run it again with --debug to see where)"
