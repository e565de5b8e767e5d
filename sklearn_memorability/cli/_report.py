"""``sklearn-memorability report``."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from sklearn_memorability.cli._console import (
    OK,
    SOME_FAILED,
    progress_bar,
    report_failures,
    say,
    stderr,
)
from sklearn_memorability.cli._model import open_model
from sklearn_memorability.cli._parts import unreadable
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.cli._scored import Columns, read_columns
from sklearn_memorability.datasets._tables import read_scores
from sklearn_memorability.inspection._report import write_report


def report(
    pictures: Sequence[Found],
    model: str,
    output: Path,
    *,
    scores: Path | None,
    columns: Columns,
    title: str | None,
    progress: bool,
    **settings: Any,
) -> int:
    """Write the page and return the exit code.

    Parameters
    ----------
    pictures : sequence of Found
        The pictures.
    model : str
        As :func:`~sklearn_memorability.cli._model.open_model` takes it.
    output : pathlib.Path
        The page's file.
    scores : pathlib.Path or None
        A table of true scores.
    columns : Columns
        The table's columns.
    title : str or None
        The page's title.
    progress : bool
        Whether to show progress bars on a terminal.
    **settings
        Of :func:`~sklearn_memorability.cli._model.open_model`.

    Returns
    -------
    int
    """
    true = None
    if scores is not None:
        pictures, true = _with_scores(pictures, scores, columns)
    scorer = open_model(model, **settings)
    failures = {found.name: found.error for found in pictures if found.error is not None}
    names = [found.name for found in pictures if found.error is None]
    with progress_bar(progress) as bar:
        task = bar.add_task("Reading pictures", total=len(names))
        for name in names:
            # The page lists what it leaves out, but does not tell the command of it.
            failures.update(unreadable([name]))
            bar.advance(task)
    report_failures(failures)
    write_report(
        scorer.model,
        names,
        true,
        output,
        title=title,
        on_error="skip",
        verbose=int(progress and stderr().is_terminal),
    )
    say(f"Wrote {output}: {len(pictures) - len(failures)} pictures, {len(failures)} failed.")
    return SOME_FAILED if failures else OK


def _with_scores(
    pictures: Sequence[Found], scores: Path, columns: Columns
) -> tuple[list[Found], np.ndarray]:
    """Return the pictures that a table has scores of, and these."""
    table = read_columns(scores, columns)
    known = dict(
        zip(
            [PurePath(str(name)).parts for name in table[columns.image]],
            read_scores(table[columns.score], columns.score, None),
            strict=True,
        )
    )
    depths = sorted({len(parts) for parts in known}, reverse=True)
    kept, true = [], []
    for found in pictures:
        parts = PurePath(found.name).parts
        # The longest name that the path ends in says most.
        ends = (parts[-depth:] for depth in depths)
        score = next((known[end] for end in ends if end in known), None)
        if found.error is None and score is not None:
            kept.append(found)
            true.append(score)
    if not kept:
        raise ValueError(
            f"--scores {scores}: column {columns.image!r} names none of the pictures, such as "
            f"{pictures[0].name!r}; it has {'/'.join(next(iter(known)))!r}."
        )
    if len(kept) < len(pictures):
        n_left = len(pictures) - len(kept)
        say(f"{n_left} of {len(pictures)} pictures are not in {scores} and left out.", "warning")
    return kept, np.array(true)
