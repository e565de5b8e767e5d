"""Figures of a script as JSON, by its option ``--json FILE``."""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Figure:
    """Ours, what we are compared with from the same run, and their ratio or its spread."""

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


def timed(name: str, ours: Any, peer: Any, *, faster: bool = False, **more: Any) -> Figure:
    """Return a figure of two sides' seconds, repeat by repeat, with the median ratio."""
    ratios = np.divide(peer, ours) if faster else np.divide(ours, peer)
    better, sides = (
        "higher" if faster else "lower",
        (float(np.median(ours)), float(np.median(peer))),
    )
    ratio, spread = float(np.median(ratios)), float(np.ptp(ratios)) / 2
    return Figure(name, sides[0], better, "s", peer=sides[1], ratio=ratio, spread=spread, **more)


def scored(
    name: str, ours: Sequence[float], *, unit: str = "Spearman", better: str = "higher", **more: Any
) -> Figure:
    """Return a figure of an accuracy on several folds, with its standard error."""
    error = more.pop("error", None)
    if error is None and len(ours) > 1:
        error = float(np.std(ours, ddof=1) / np.sqrt(len(ours)))
    return Figure(name, float(np.mean(ours)), better, unit, spread=error, **more)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Give a script the option ``--json FILE``."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def write_figures(path: Path | None, figures: Iterable[Figure]) -> None:
    """Write figures; do nothing without a path."""
    if path is not None:
        path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
