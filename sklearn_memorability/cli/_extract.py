"""``sklearn-memorability extract``."""

import sys
import warnings
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
from sklearn_memorability.cli._parts import unreadable
from sklearn_memorability.cli._pictures import Found
from sklearn_memorability.cli._tables import number, whole_file, write_table
from sklearn_memorability.features import UnreadableImagesWarning, write_features


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


def extract_to_disk(
    pictures: Sequence[Found],
    output: Path,
    *,
    backbone: str | None,
    embedding: str | None,
    progress: bool,
    overwrite: bool,
    stored: dict[str, Any],
    **settings: Any,
) -> int:
    """Compute features chunk by chunk, go on where it stopped; return the exit code.

    Parameters
    ----------
    pictures : sequence of Found
        The pictures.
    output : pathlib.Path
        Ends in ``.npy`` or ``.zarr``. Beside it, a table names the picture of each row.
    backbone, embedding
        As :func:`~sklearn_memorability.cli._features.make_extractor` takes them.
    progress : bool
        Whether to show a progress bar on a terminal.
    overwrite : bool
        Whether to replace other features.
    stored : dict
        ``part``, ``dtype`` and ``chunk_rows`` of
        :func:`~sklearn_memorability.features.write_features`, where they are given.
    **settings
        Parameters of the transformers.

    Returns
    -------
    int
    """
    names = [found.name for found in pictures]
    extractor = make_extractor(backbone, embedding, on_error="nan", **settings)
    extractor.fit(names)
    try:
        with warnings.catch_warnings():
            # The pictures are listed below, as everywhere in the command.
            warnings.simplefilter("ignore", UnreadableImagesWarning)
            features = write_features(
                extractor,
                names,
                output,
                overwrite=overwrite,
                verbose=int(progress and sys.stderr.isatty()),
                **stored,
            )
    except KeyboardInterrupt:
        say("The rows that are done stay; the same command goes on.")
        return INTERRUPTED
    except ValueError as error:
        raise ValueError(str(error).replace("overwrite=True", "--force")) from error
    if features is None:
        say(f"This part of {output} is written; rows of other parts are missing.")
        return OK
    errors = _errors(pictures, features.finite_rows())
    beside = output.with_name(f"{output.stem}.images.csv")
    write_table(beside, ["image", "error"], [[name, errors.get(name)] for name in names])
    report_failures(errors)
    rows, columns = features.shape
    say(f"Wrote {output}: {rows} x {columns} features, {len(errors)} failed. Names: {beside}.")
    if len(errors) == rows:
        say("no picture could be read: all rows are NaN.", "error")
        return REFUSED
    return SOME_FAILED if errors else OK


def _errors(pictures: Sequence[Found], is_finite: np.ndarray) -> dict[str, str]:
    bad = [pictures[row] for row in np.flatnonzero(~is_finite).tolist()]
    reasons = unreadable([found.name for found in bad])
    return {
        found.name: found.error or reasons.get(found.name, "its features are not finite.")
        for found in bad
    }


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
