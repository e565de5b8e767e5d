"""``sklearn-memorability extract``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability.cli._console import (
    INTERRUPTED,
    OK,
    REFUSED,
    SOME_FAILED,
    progress_bar,
    report_failures,
    say,
)
from sklearn_memorability.cli._features import Rows, compute_rows, make_extractor
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.cli._tables import number, whole_file, write_table


def extract(
    pictures: Sequence[Found],
    output: Path,
    *,
    backbone: str | None,
    embedding: str | None,
    progress: bool,
    **settings: Any,
) -> int:
    """Compute features and write them; return the exit code.

    Parameters
    ----------
    pictures : sequence of Found
        The pictures.
    output : pathlib.Path
        Ends in ``.npz``, ``.csv`` or ``.parquet``.
    backbone, embedding
        As :func:`~sklearn_memorability.cli._features.make_extractor` takes them.
    progress : bool
        Whether to show a progress bar on a terminal.
    **settings
        Parameters of the transformers.

    Returns
    -------
    int
    """
    extractor = make_extractor(backbone, embedding, **settings)
    extractor.fit([found.name for found in pictures])
    with progress_bar(progress) as bar:
        rows = compute_rows(pictures, extractor.transform, bar, "Computing features")
    report_failures(rows.errors)
    if rows.good.any():
        # A FeatureUnion names columns cnn__imagefeatures0.
        names = [str(name) for name in extractor.get_feature_names_out()]
        _write(output, names, rows)
        say(
            f"Wrote {output}: {len(rows.names)} x {len(names)} features, {len(rows.errors)} failed."
        )
    if rows.interrupted:
        return INTERRUPTED
    if not rows.good.any():
        say("no picture could be read, so nothing is written.", "error")
        return REFUSED
    return SOME_FAILED if rows.errors else OK


def _write(output: Path, names: list[str], rows: Rows) -> None:
    errors = [rows.errors.get(name) for name in rows.names]
    if output.suffix.lower() == ".npz":
        with whole_file(output) as part, part.open("wb") as file:
            np.savez(
                file,
                features=rows.values,
                images=np.array(rows.names, dtype=np.str_),
                names=np.array(names, dtype=np.str_),
                errors=np.array([error or "" for error in errors], dtype=np.str_),
            )
        return
    header = ["image", *names, "error"]
    table = [
        [name, *map(number, row), error]
        for name, row, error in zip(rows.names, rows.values.tolist(), errors, strict=True)
    ]
    write_table(output, header, table)
