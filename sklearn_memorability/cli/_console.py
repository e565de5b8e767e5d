"""What the command says: data to stdout, everything else to stderr."""

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

OK, SOME_FAILED, REFUSED, INTERRUPTED, READER_GONE = 0, 1, 2, 130, 141

_LISTED = 20
_STYLES = {"error": "bold red", "warning": "yellow"}


def stderr() -> Console:
    """Return a console on stderr; it has colours only where that is a terminal."""
    return Console(stderr=True, highlight=False)


def say(text: str, kind: str | None = None, console: Console | None = None) -> None:
    """Write one line to stderr.

    Parameters
    ----------
    text : str
        What to say; line breaks in it become spaces.
    kind : {"error", "warning"}, optional
        What it is; stands in front of it.
    console : rich.console.Console, optional
        The one that shows a progress bar, which the line goes above.
    """
    line = Text(" ".join(_printable(text).split()))
    if kind is not None:
        line = Text.assemble((f"{kind}: ", _STYLES[kind]), line)
    # Without soft wrapping, rich would cut lines at 80 columns in a log file too.
    (console or stderr()).print(line, soft_wrap=True)


def report_failures(failures: dict[str, str]) -> None:
    """Write a line to stderr for each picture that failed, up to a number of them.

    Parameters
    ----------
    failures : dict of str to str
        The pictures' names, and what is wrong with each.
    """
    for name in list(failures)[:_LISTED]:
        say(f"{name}: {failures[name]}", "warning")
    if len(failures) > _LISTED:
        say(f"and {len(failures) - _LISTED} more.", "warning")


def emit(text: str) -> None:
    """Write data to stdout, as UTF-8 and without conversion of line ends.

    Bytes of file names that are no UTF-8 come out as they are.

    Raises
    ------
    typer.Exit
        With the code 141, if the reader of a pipe went away.
    OSError
        If it can't be written, as on a full disk.
    """
    with whole_stdout():
        stream = sys.stdout.buffer
        stream.write(text.encode("utf-8", "surrogateescape"))
        stream.flush()


@contextmanager
def whole_stdout() -> Iterator[None]:
    """Tell what happens to stdout when it is written to, as :func:`emit` does."""
    try:
        yield
    except OSError as error:
        # Else Python writes to it once more at its end, says so, and exits with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(READER_GONE) from None
        error.filename = "<stdout>"
        raise


def emit_json(document: Any) -> None:
    """Write a JSON document to stdout."""
    emit(as_json(document))


def as_json(document: Any) -> str:
    """Return a document as JSON text; file names that are no UTF-8 are escaped."""
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


@contextmanager
def progress_bar(wanted: bool, *, rows_on_stdout: bool = False) -> Iterator[Progress]:
    """Yield a progress bar on stderr that shows only on a terminal, and goes when done.

    Parameters
    ----------
    wanted : bool
        What ``--progress`` says.
    rows_on_stdout : bool
        Whether rows are written to stdout meanwhile. Where that is a terminal too, they
        would get into each other's way, and show how far it is themselves.
    """
    console = stderr()
    in_the_way = rows_on_stdout and sys.stdout.isatty()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # Rich would send what goes to stdout to the bar's console.
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not wanted or in_the_way or not console.is_terminal,
    )
    # Rich before 14.3 writes an empty line at the end of a bar that is not shown.
    with nullcontext() if bar.disable else bar:
        yield bar


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show Python's warnings as lines for users, without the place in the code."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(str(message), "warning")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _printable(text: str) -> str:
    # A terminal's encoding may lack characters; a name's stray bytes have none at all.
    encoding = sys.stderr.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
