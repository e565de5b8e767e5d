"""``sklearn-memorability predict``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn_memorability.cli._console import (
    INTERRUPTED,
    OK,
    REFUSED,
    SOME_FAILED,
    emit,
    emit_json,
    progress_bar,
    report_failures,
    say,
)
from sklearn_memorability.cli._model import open_model
from sklearn_memorability.cli._parts import in_parts
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.cli._tables import csv_text, number, write_table


def predict(
    pictures: Sequence[Found],
    model: str,
    *,
    output: Path | None,
    as_json: bool,
    classes: bool,
    progress: bool,
    **settings: Any,
) -> int:
    """Score pictures and write the table; return the exit code.

    Parameters
    ----------
    pictures : sequence of Found
        The pictures.
    model : str
        As :func:`~sklearn_memorability.cli._model.open_model` takes it.
    output : pathlib.Path or None
        The file; None writes CSV to stdout.
    as_json : bool
        Whether to write a JSON document to stdout.
    classes : bool
        Whether the table has the class probabilities.
    progress : bool
        Whether to show a progress bar on a terminal.
    **settings
        Of :func:`~sklearn_memorability.cli._model.open_model`.

    Returns
    -------
    int
    """
    scorer = open_model(model, **settings)
    columns = scorer.columns + (scorer.class_columns if classes else [])
    header = ["image", *columns, "error"]
    streams = output is None and not as_json
    if streams:
        emit(csv_text([header]))
    rows: list[list[Any]] = []
    failures: dict[str, str] = {}
    interrupted = False
    failure: Exception | None = None
    try:
        with progress_bar(progress, rows_on_stdout=streams) as bar:
            for part in in_parts(pictures, scorer.predict, bar, "Scoring pictures"):
                values = iter(() if part.result is None else part.result)
                new = [
                    [name, *[None] * len(columns), part.errors[name]]
                    if name in part.errors
                    else [name, *map(number, next(values)[: len(columns)]), None]
                    for name in part.names
                ]
                # First of all, as Ctrl-C may come as soon as a reader sees them.
                rows += new
                failures.update(part.errors)
                if streams:
                    emit(csv_text(new))
    except KeyboardInterrupt:
        interrupted = True
    except Exception as error:
        # What is done may have taken hours; it is written all the same.
        if streams or not rows:
            raise
        interrupted, failure = True, error
    report_failures(failures)
    if output is not None and (rows or not interrupted):
        write_table(output, header, rows)
        say(f"Wrote {output}: {_count(len(rows))}, {len(failures)} failed.")
    if as_json:
        emit_json(
            {
                "model": model,
                "n_pictures": len(pictures),
                "n_failed": len(failures),
                "interrupted": interrupted,
                "pictures": [dict(zip(header, row, strict=True)) for row in rows],
            }
        )
    if interrupted:
        say(f"{len(rows)} of {_count(len(pictures))} done.")
        if failure is not None:
            raise failure
        return INTERRUPTED
    if failures and len(failures) == len(rows):
        say("no picture could be scored.", "error")
        return REFUSED
    return SOME_FAILED if failures else OK


def _count(n: int) -> str:
    return "1 picture" if n == 1 else f"{n} pictures"
