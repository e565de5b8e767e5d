"""Run all benchmarks, print one table, and compare it with the last release's.

    python benchmarks/run_all.py [--quick | --full] [--only NAME ...] [--list]
        [--output DIR] [--again] [--compare FILE] [--save-as VERSION]

``--quick`` (the default) takes about seven minutes on two idle cores, ``--full`` some hours;
``--list`` says what each script takes. Each script runs in a folder of its own under
``--output``, which keeps what it printed (``output.txt``) and its figures
(``figures.json``), beside ``summary.md`` and ``summary.json`` of all. Scripts that have
finished there with the same options, packages and cores are not run again, so an
interrupted run goes on when the command is repeated; after a change of the code give
``--again``.

A script that fails is said to have failed, and the others go on; the exit code is 1 then. One
that lacks its data (MEMORABILITY_TEST_DATA) or an optional package is skipped.

The table is compared with the newest file in ``benchmarks/figures/``, or that of
``--compare``: ratios, which are the same if the ranges of their repeats meet, or if they
differ by no more than 10 % where repeats have no range; and accuracies, by their standard
error. Seconds and bytes are a machine's and are not compared. ``--save-as`` writes
such a file.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
from _figures import Figure, read_figures
from _releases import newest, read_release, save_release
from _suite import DATA, SUITE, Entry
from _summary import Result, summarise

import sklearn_memorability

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "torchvision",
    "skorch",
    "joblib",
    "Pillow",
    "optuna",
    "hyperopt",
    "distributed",
    "ray",
    "zarr",
)


def environment() -> dict[str, Any]:
    """Return what figures depend on beside the code: packages, cores, processor."""
    packages = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"cores": joblib.cpu_count(), "machine": platform.machine(), "packages": packages}


def run(entry: Entry, mode: str, folder: Path, here: dict[str, Any], again: bool) -> Result:
    """Run one script unless it has finished, and return what came of it."""
    command = entry.command(mode)
    reason = entry.why_not(mode)
    if reason:
        return Result(entry.name, command, "skipped", notes=(reason,))
    same = {"command": command, "environment": here}
    state = read_state(folder)
    # Only a folder that is a script's is emptied.
    if state and (again or {key: state.get(key) for key in same} != same):
        shutil.rmtree(folder)
        state = {}
    if state.get("status") != "done":
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "state.json", {**same, "status": "running"})
        state = {**same, **start(entry, mode, folder)}
        write(folder / "state.json", state)
    return read_result(entry, command, folder, state)


def start(entry: Entry, mode: str, folder: Path) -> dict[str, Any]:
    """Run a script in its folder and return how it ended."""
    command = [sys.executable, "-u", str(entry.path.resolve()), *(entry.options(mode) or ())]
    figures = folder / "figures.json"
    figures.unlink(missing_ok=True)
    if entry.writes_figures():
        command += ["--json", figures.name]
    variables = dict(os.environ)
    if variables.get(DATA):
        variables[DATA] = str(Path(variables[DATA]).resolve())
    started = time.perf_counter()
    with (folder / "output.txt").open("w", encoding="utf-8") as text:
        child = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=text, stderr=subprocess.STDOUT
        )
        try:
            code = child.wait()
        finally:
            stop(child)
    seconds = round(time.perf_counter() - started, 1)
    return {"status": "done" if code == 0 else "failed", "code": code, "seconds": seconds}


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a script that is still running, so that it ends the processes it has started."""
    # Ctrl-C in a terminal reaches it, too, and a second one could break off its tidying up.
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(3)
        return
    child.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(10)
        return
    child.kill()
    child.wait()


def read_result(entry: Entry, command: str, folder: Path, state: dict[str, Any]) -> Result:
    """Return what a script that was run left in its folder."""
    text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    notes = [line.strip() for line in lines if "not measured" in line]
    status, figures = state["status"], folder / "figures.json"
    found: list[Figure] = []
    if status == "failed":
        notes.append(f"exit code {state['code']}: {lines[-1].strip() if lines else 'no output'}")
    if figures.exists():
        try:
            found = read_figures(figures)
        except ValueError as error:
            status = "failed"
            notes.append(f"its figures can't be read: {error}")
    return Result(entry.name, command, status, state["seconds"], tuple(notes), tuple(found))


def read_state(folder: Path) -> dict[str, Any]:
    """Return how far a script came, nothing if it was never run in the folder."""
    path = folder / "state.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(path: Path, what: Any) -> None:
    """Write a JSON file that is whole or not there."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def listing() -> str:
    """Return what there is to run."""
    lines = [
        f"{'name':20}{'--quick':>9}{'--full':>9}   what is measured (minutes on two idle cores)"
    ]
    for entry in SUITE:
        times = [
            "–" if entry.options(mode) is None else f"{minutes:g}"
            for mode, minutes in zip(("quick", "full"), entry.minutes, strict=True)
        ]
        lines.append(f"{entry.name:20}{times[0]:>9}{times[1]:>9}   {entry.about}")
        lines += [
            f"{'':41}--{mode}: {entry.command(mode)}"
            for mode in ("quick", "full")
            if entry.options(mode) is not None
        ]
        reason = entry.why_not("full")
        if reason:
            lines.append(f"{'':41}can't be run here: {reason}")
    return "\n".join(lines)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", dest="mode", action="store_const", const="quick", default="quick")
    mode.add_argument("--full", dest="mode", action="store_const", const="full")
    names = [entry.name for entry in SUITE]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="see --list")
    parser.add_argument("--list", action="store_true", help="what there is to run")
    parser.add_argument("--output", type=Path, help="default: build/benchmarks/quick or full")
    parser.add_argument("--again", action="store_true", help="run what has finished, too")
    parser.add_argument("--compare", type=Path, help="default: newest in benchmarks/figures")
    parser.add_argument("--save-as", metavar="VERSION", help="keep the figures as a release's")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, compare, and return the exit code."""
    parser = get_parser()
    options = parser.parse_args(argv)
    if options.list:
        print(listing())
        return 0
    if options.only and options.save_as:
        parser.error("--save-as keeps the whole suite: leave out --only")
    if options.save_as and not re.fullmatch(r"\d+(\.\w+)*", options.save_as):
        parser.error(f"--save-as: {options.save_as!r} is no version, such as 0.1.0")
    if options.compare and not options.compare.is_file():
        parser.error(f"--compare: there is no file {options.compare}")
    mode, here = options.mode, environment()
    output = (options.output or ROOT / "build" / "benchmarks" / mode).resolve()
    chosen = [entry for entry in SUITE if not options.only or entry.name in options.only]
    load = os.getloadavg()[0]
    if load > here["cores"] / 2:
        print(f"The machine is busy (load {load:.1f}): times will be off.", file=sys.stderr)
    results = []
    for i, entry in enumerate(chosen, start=1):
        minutes = entry.minutes[mode == "full"]
        print(
            f"[{i}/{len(chosen)}] {entry.name}, about {minutes:g} min", file=sys.stderr, flush=True
        )
        try:
            result = run(entry, mode, output / entry.name, here, options.again)
        except KeyboardInterrupt:
            print("\nInterrupted: the same command goes on here.", file=sys.stderr)
            return 130
        results.append(result)
        said = [f"  {result.status} ({result.seconds:.0f} s)", *result.notes]
        print(*said, sep="\n    ", file=sys.stderr, flush=True)

    path = options.compare or newest()
    release = read_release(path, mode) if path else None
    version = sklearn_memorability.__version__
    title = f"Benchmarks of sklearn-memorability {version}, --{mode}"
    text, summary = summarise(title, here, results, release)
    if release is None:
        what = (
            f"{path.name} has no figures of --{mode}" if path else "there is no release's file yet"
        )
        text += f"\nNot compared: {what}.\n"
    output.mkdir(parents=True, exist_ok=True)
    (output / "summary.md").write_text(text, encoding="utf-8")
    write(output / "summary.json", summary)
    print(text)
    if options.save_as:
        scripts = {
            r.name: (r.command, r.figures) for r in results if r.figures and r.status == "done"
        }
        saved = save_release(
            options.save_as,
            mode,
            command=f"python benchmarks/run_all.py --{mode} --save-as {options.save_as}",
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            environment=here,
            scripts=scripts,
        )
        print(f"Saved: {saved}")
        left_out = [r.name for r in results if r.name not in scripts]
        if left_out:
            print(f"  without {', '.join(left_out)}: failed, skipped or without figures")
    return int(any(result.status == "failed" for result in results))


if __name__ == "__main__":
    sys.exit(main())
