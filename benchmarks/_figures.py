"""The figures that a benchmark writes for ``run_all.py``, and how it writes them.

A script keeps its printed output and gets one more option. Three lines do it::

    from _figures import add_json_option, timed, write_figures

    add_json_option(parser)  # the option --json FILE
    ...
    write_figures(arguments.json, [timed("ours / plain loop", ours, plain, peer_name="loop")])

``write_figures`` does nothing where the option was not given. ``run_all.py`` gives
``--json`` to every script whose text names it or ``add_json_option``; a script without it is
run all the same, and its figures are in its printed output only.

The file is a JSON list of objects. Each has

- ``name``: what was measured, unlike all other names of the script;
- ``ours``, ``unit``: our figure, in seconds, as a Spearman correlation, ...;
- ``better``: ``"higher"`` or ``"lower"``, of the ratio; of ``ours`` where there is none;

and may have

- ``peer``, ``peer_name``: the figure of what we are compared with, from the same run;
- ``ratio``: of the two, the way round that the script prints it;
- ``mark``: what is asked of the ratio; of ``ours`` where there is none;
- ``spread``: how far what is compared moves: half the range of repeats for a ratio, the
  standard error for an accuracy;
- ``compared``: what a release is compared by: ``"ratio"``, ``"ours"`` (for accuracies) or
  ``"nothing"`` (for seconds and bytes, which are the machine's). Without it, the ratio if
  there is one, else nothing;
- ``command``: what was run. ``write_figures`` fills it in.

Numbers that are not finite are written as null.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

REQUIRED = ("name", "ours", "better", "unit")
NUMBERS = ("ours", "peer", "ratio", "mark", "spread")


@dataclass(frozen=True)
class Figure:
    """One figure; the module says what each field means."""

    name: str
    ours: float | None
    better: str
    unit: str
    peer: float | None = None
    peer_name: str | None = None
    ratio: float | None = None
    mark: float | None = None
    spread: float | None = None
    compared: str | None = None
    command: str = ""

    def __post_init__(self) -> None:
        """Check what only some values are allowed for."""
        if self.better not in ("higher", "lower"):
            raise ValueError(f"{self.name!r}: better={self.better!r} must be 'higher' or 'lower'.")
        if self.compared not in (None, "ratio", "ours", "nothing"):
            raise ValueError(
                f"{self.name!r}: compared={self.compared!r} must be 'ratio', 'ours' or 'nothing'."
            )
        for field in NUMBERS:
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise ValueError(f"{self.name!r}: {field}={value!r} must be a number or null.")

    @property
    def value(self) -> float | None:
        """What the mark is about: the ratio, or ours where there is none."""
        return self.ours if self.ratio is None else self.ratio

    @property
    def compared_value(self) -> float | None:
        """What a release is compared by, None where it is not."""
        if self.compared == "ours":
            return self.ours
        return None if self.compared == "nothing" else self.ratio


def timed(
    name: str,
    ours: Sequence[float] | np.ndarray,
    peer: Sequence[float] | np.ndarray,
    *,
    peer_name: str,
    faster: bool = False,
    mark: float | None = None,
) -> Figure:
    """Return a figure of two sides' seconds, repeat by repeat.

    The ratio is the median of ``ours / peer``; with ``faster`` that of ``peer / ours``, which
    says how many times as fast ours is.
    """
    ratios = np.divide(peer, ours) if faster else np.divide(ours, peer)
    return Figure(
        name,
        float(np.median(ours)),
        "higher" if faster else "lower",
        "s",
        peer=float(np.median(peer)),
        peer_name=peer_name,
        ratio=float(np.median(ratios)),
        mark=mark,
        spread=float(np.ptp(ratios)) / 2 if len(ratios) > 1 else None,
    )


def scored(
    name: str,
    ours: Sequence[float] | np.ndarray,
    *,
    unit: str = "Spearman",
    better: str = "higher",
    peer: float | None = None,
    peer_name: str | None = None,
    error: float | None = None,
) -> Figure:
    """Return a figure of an accuracy on several folds, with its standard error if none is given."""
    if error is None and len(ours) > 1:
        error = float(np.std(ours, ddof=1) / np.sqrt(len(ours)))
    return Figure(
        name,
        float(np.mean(ours)),
        better,
        unit,
        peer=peer,
        peer_name=peer_name,
        spread=error,
        compared="ours",
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Give a script the option ``--json FILE``."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def write_figures(path: Path | None, figures: Iterable[Figure]) -> None:
    """Write figures, with the command that is running; do nothing without a path."""
    if path is None:
        return
    command = command_line(sys.argv)
    rows = as_rows(replace(figure, command=command) for figure in figures)
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def as_rows(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """Return figures as what JSON can hold, with four digits and without what is not given."""
    rows = []
    for figure in figures:
        row = asdict(figure)
        for key in NUMBERS:
            if row[key] is not None:
                row[key] = float(f"{row[key]:.4g}") if math.isfinite(row[key]) else None
        rows.append({key: v for key, v in row.items() if key in REQUIRED or v not in (None, "")})
    return rows


def from_rows(rows: Any, source: str | Path) -> list[Figure]:
    """Return the figures of a list of objects, and say of which source it is if it isn't one."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{source}: a list of objects was expected.")
    known = {field.name for field in fields(Figure)}
    found: dict[str, Figure] = {}
    for i, row in enumerate(rows):
        missing, unknown = set(REQUIRED) - set(row), set(row) - known
        if missing or unknown:
            raise ValueError(
                f"{source}: figure {i} lacks {sorted(missing)} and has the unknown "
                f"{sorted(unknown)}; benchmarks/_figures.py says what there is."
            )
        finite: dict[str, Any] = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        try:
            figure = Figure(**finite)
        except ValueError as error:
            raise ValueError(f"{source}: figure {i}: {error}") from None
        if figure.name in found:
            raise ValueError(f"{source}: two figures are named {figure.name!r}.")
        found[figure.name] = figure
    return list(found.values())


def read_figures(path: Path) -> list[Figure]:
    """Read what a script wrote."""
    return from_rows(json.loads(path.read_text(encoding="utf-8")), path.name)


def command_line(argv: Sequence[str]) -> str:
    """Return the command of a script in this folder, without ``--json FILE``."""
    options = list(argv[1:])
    if "--json" in options:
        at = options.index("--json")
        del options[at : at + 2]
    return shlex.join(["python", f"benchmarks/{Path(argv[0]).name}", *options])
