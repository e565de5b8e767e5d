"""Data to stdout; messages and progress to stderr."""

import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

OK, SOME_FAILED, REFUSED, INTERRUPTED, READER_GONE = 0, 1, 2, 130, 141

_LISTED = 20
_STYLES = {"error": "bold red", "warning": "yellow"}


def say(text: str, kind: str | None = None) -> None:
    """Write one line to stderr, with ``"error"`` or ``"warning"`` in front of it."""
    # A terminal's encoding may lack characters; a file name's stray bytes have none at all.
    encoding = sys.stderr.encoding or "utf-8"
    line = Text(" ".join(text.encode(encoding, "backslashreplace").decode(encoding).split()))
    if kind is not None:
        line = Text.assemble((f"{kind}: ", _STYLES[kind]), line)
    # Without soft wrapping, rich would cut lines at 80 columns in a log file too.
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


def list_failures(failures: Mapping[str, str]) -> None:
    """Write a line to stderr for each image that failed, up to 20 of them."""
    for name in list(failures)[:_LISTED]:
        say(f"{name}: {failures[name]}", "warning")
    if len(failures) > _LISTED:
        say(f"and {len(failures) - _LISTED} more.", "warning")


def emit(text: str) -> None:
    """Write data to stdout as UTF-8; bytes of file names that are not UTF-8 stay as they are."""
    with checked_stdout():
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Exit with 141 if the reader of stdout is gone; name stdout in other errors."""
    try:
        yield
    except OSError as error:
        # Else Python writes to it once more at its end, says so, and exits with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(READER_GONE) from None
        error.filename = "<stdout>"
        raise


def as_json(document: Any) -> str:
    """Return a document as JSON text; file names that are not UTF-8 are escaped."""
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def show_tables(tables: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write tables to stdout, each under its title; the keys of their rows are the columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    console = Console(highlight=False)
    for title, rows in tables.items():
        # Folded, since half a path is none.
        table = Table(*(Column(name, overflow="fold") for name in rows[0]), box=SIMPLE_HEAD)
        for row in rows:
            # As Text, since brackets, as in an extra's name, would be markup.
            table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
        console.print(Text(title, "bold"))
        console.print(table)


def shows_progress(progress: bool) -> bool:
    """Tell whether progress bars are shown: if asked for, and on a terminal only."""
    return progress and sys.stderr.isatty()


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show Python's warnings as lines for users, without the place in the code."""

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        say(str(message), "warning")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
