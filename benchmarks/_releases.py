"""The figures of releases, kept in ``figures/``, and what has become of each since.

A file holds a release's figures by mode, ``quick`` and ``full``::

    {"version": "0.1.0",
     "runs": {"full": {"command": ..., "date": ..., "environment": {"cores": ..., ...},
                       "scripts": {"fit_speed": {"command": ..., "figures": [...]}}}}}

Only ratios and accuracies are compared, and only between runs with the same options: seconds
and bytes are those of a machine.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from _figures import Figure, as_rows, from_rows

FOLDER = Path(__file__).parent / "figures"
# How far a ratio may move where neither run says how far its repeats do.
TOLERANCE = 0.1


class Release(NamedTuple):
    """What one file says of one mode."""

    version: str
    command: str
    environment: dict[str, Any]
    commands: dict[str, str]
    figures: dict[str, dict[str, Figure]]

    def before(self, script: str, command: str) -> dict[str, Figure] | None:
        """Return a script's figures by name, None where it was not run with these options."""
        if self.commands.get(script) != command:
            return None
        return self.figures[script]


def newest() -> Path | None:
    """Return the file of the newest release."""
    files = sorted(
        FOLDER.glob("*.json"), key=lambda path: [int(n) for n in re.findall(r"\d+", path.stem)]
    )
    return files[-1] if files else None


def read_release(path: Path, mode: str) -> Release | None:
    """Return a release's figures of a mode, None if the file has none."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    run = kept["runs"].get(mode)
    if run is None:
        return None
    figures = {
        name: {f.name: f for f in from_rows(script["figures"], f"{path.name}, {name}")}
        for name, script in run["scripts"].items()
    }
    commands = {name: script["command"] for name, script in run["scripts"].items()}
    return Release(kept["version"], run["command"], run["environment"], commands, figures)


def save_release(
    version: str,
    mode: str,
    *,
    command: str,
    date: str,
    environment: dict[str, Any],
    scripts: Mapping[str, tuple[str, Iterable[Figure]]],
) -> Path:
    """Write a release's figures of one mode, and leave those of the other as they are."""
    path = FOLDER / f"{version}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": {}}
    kept["version"] = version
    kept["runs"][mode] = {
        "command": command,
        "date": date,
        "environment": environment,
        "scripts": {
            name: {
                "command": its_command,
                # The command is said once.
                "figures": [
                    {key: value for key, value in row.items() if key != "command"}
                    for row in as_rows(figures)
                ],
            }
            for name, (its_command, figures) in scripts.items()
        },
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


def verdict(now: Figure, before: Figure | None) -> str:
    """Say whether a figure is better, the same or worse; nothing where it is not compared."""
    new = now.compared_value
    if new is None:
        return ""
    if before is None:
        return "new"
    old = before.compared_value
    if old is None:
        return "new"
    gain = new - old if now.better == "higher" else old - new
    if abs(gain) <= tolerance(now, before):
        return "same"
    return "better" if gain > 0 else "worse"


def tolerance(now: Figure, before: Figure) -> float:
    """Return by how much a figure may move and be called the same.

    Ratios are the same if the ranges of their repeats meet. The folds of an accuracy are the
    same in both runs, so its standard error is far more than chance moves it by.
    """
    spreads = [figure.spread for figure in (now, before) if figure.spread is not None]
    if now.compared == "ours" and spreads:
        return max(spreads)
    if spreads:
        return sum(spreads)
    return TOLERANCE * abs(before.compared_value or 0.0)
