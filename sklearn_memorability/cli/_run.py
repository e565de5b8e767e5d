"""From arguments to an exit code; every error becomes one line."""

import re
import sys

import typer

from sklearn_memorability.cli._app import app
from sklearn_memorability.cli._console import (
    INTERRUPTED,
    REFUSED,
    say,
    warnings_as_lines,
    whole_stdout,
)
from sklearn_memorability.cli._interrupts import interrupts_remembered

# Errors by which the package, Python and the libraries say that something can't be done
# as asked. Others are not meant for users.
_EXPECTED = (ImportError, MemoryError, OSError, TypeError, ValueError)

# What arguments of functions are called here.
_OPTIONS = re.compile(r"\b(image_column|score_column|group_column|score_range|batch_size)\b")


def run(argv: list[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    code = _run(argv)
    try:
        with whole_stdout():
            sys.stdout.flush()  # as Python does at its end, with exit codes of its own
    except typer.Exit as left:
        return left.exit_code
    except OSError as error:
        say(_reason(error), "error")
        return REFUSED
    return code


def _run(argv: list[str]) -> int:
    own = argv[: argv.index("--")] if "--" in argv else argv
    try:
        with warnings_as_lines(), interrupts_remembered():
            code = app(argv, prog_name="sklearn-memorability", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        # typer's own errors are of classes that have moved between its versions.
        is_usage = hasattr(error, "format_message")
        if "--debug" in own and not is_usage:
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
        else:
            say(_usage(error) if is_usage else _reason(error), "error")
        return REFUSED
    if code == INTERRUPTED:
        say("Interrupted.")
    return int(code or 0)


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = "sklearn-memorability" if context is None else context.command_path
    text = error.format_message().replace("Value error, ", "")  # type: ignore[attr-defined]
    end = "" if text.endswith((".", "?")) else "."
    return f"{text}{end} See {path} --help"


def _reason(error: Exception) -> str:
    text = _OPTIONS.sub(lambda found: "--" + found[0].replace("_", "-"), str(error))
    if isinstance(error, MemoryError | RuntimeError) and _is_out_of_memory(error, text):
        return f"there is not enough memory: {text or 'Python got none.'} Try --batch-size 1."
    if isinstance(error, _EXPECTED) and text:
        return text
    return f"{type(error).__name__}: {text} (run it again with --debug to see where)"


def _is_out_of_memory(error: Exception, text: str) -> bool:
    # Networks say it in words, CUDA's with a class of its own that is a RuntimeError too.
    return (
        isinstance(error, MemoryError)
        or re.search("out of memory|allocate memory", text) is not None
    )
