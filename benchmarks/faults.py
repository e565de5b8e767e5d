"""Break the package's long work in many ways, and check what must hold all the same.

    python benchmarks/faults.py [--faults 200] [--seed 0] [--only "killed: transform"]
        [--repeat 17] [--keep]

Each fault is one child process, or a few: killed, interrupted, short of disk or memory, with
damaged or changing files, other processes beside it, or a clock that lies. Then it is checked:

- wrong: rows (or scores) that are not those of an undisturbed run, within 1e-4;
- lost: rows (or candidates) that were told as done, or kept, and were computed again;
- codes: exit codes of the command that are not those it documents;
- unclear: errors that don't say what happened and to what;
- hung: children that did not end within a minute.

All must be 0, or the exit code is 1. ``--repeat`` runs one fault of a seed alone, as often as
``--faults`` says; when signals arrive depends on the machine too, so some need several tries.
The faults need Linux; as root, disks are really full and really read-only.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from faulting import clocks, damage, disks, files, memory, stops, writes  # noqa: F401 - enter their faults
from faulting.bench import FAULTS, IS_ROOT, Bench, Verdict, verdict


def schedule(seed: int) -> Iterator[tuple[str, int]]:
    """Yield which fault comes next and its seed, for ever: each kind once a round."""
    chance = random.Random(seed)
    names = [name for name in FAULTS if IS_ROOT or not name.startswith("full disk")]
    while True:
        chance.shuffle(names)
        for name in names:
            yield name, chance.getrandbits(32)


def inject(bench: Bench, name: str, seed: int, box: Path) -> Verdict:
    """Inject one fault and return what came of it."""
    box.mkdir()
    try:
        return FAULTS[name](bench, random.Random(seed), box)
    except Exception:  # what fails here was left broken by the fault
        return verdict(traceback.format_exc(), unclear=1)


def run(options: argparse.Namespace, root: Path) -> int:
    """Run the faults, print the table, and return the exit code."""
    begun = time.perf_counter()
    bench = Bench(root, options.seed)
    bench.prepare()
    counts: Counter[str] = Counter()
    totals: dict[str, Verdict] = {}
    chosen: list[tuple[int, str, int]] = []
    for i, (name, seed) in enumerate(schedule(options.seed)):
        if options.repeat is not None:
            if i == options.repeat:
                chosen = [(i, name, seed)] * options.faults
        elif options.only is None or options.only in name:
            chosen.append((i, name, seed))
        if len(chosen) >= options.faults:
            break
    for turn, (i, name, seed) in enumerate(chosen):
        box = root / f"fault{turn}"
        started = time.perf_counter()
        found = inject(bench, name, seed, box)
        counts[name] += 1
        totals[name] = totals.get(name, Verdict()) + found
        if found.bad:
            notes = "\n    ".join("\n".join(filter(None, found.notes)).splitlines())
            print(f"fault {i}, {name}, {found[:5]}:\n    {notes}")
            print(f"    again: python benchmarks/faults.py --seed {options.seed} --repeat {i}")
        elif options.verbose:
            print(f"fault {i}, {name}: fine, {time.perf_counter() - started:.1f} s", flush=True)
        if not options.keep:
            shutil.rmtree(box, ignore_errors=True)
    _print_table(counts, totals)
    print(f"{sum(counts.values())} faults, seed {options.seed}, ", end="")
    print(f"{time.perf_counter() - begun:.0f} s")
    return int(any(total.bad for total in totals.values()))


def _print_table(counts: Counter[str], totals: dict[str, Verdict]) -> None:
    columns = ["times", "wrong", "lost", "codes", "unclear", "hung"]
    print("\n| fault | subject | " + " | ".join(columns) + " |")
    print("|---|---|" + "---:|" * len(columns))
    for name in filter(totals.__contains__, FAULTS):
        what, _, subject = name.partition(": ")
        numbers = " | ".join(map(str, (counts[name], *totals[name][:5])))
        print(f"| {what} | {subject} | {numbers} |")
    total = [sum(one[k] for one in totals.values()) for k in range(5)]
    print(f"| all | | {sum(counts.values())} | " + " | ".join(map(str, total)) + " |\n")


def main() -> int:
    """Run the faults that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="only faults whose name has this in it")
    parser.add_argument("--repeat", type=int, help="only the fault of this number")
    parser.add_argument("--keep", action="store_true", help="keep what the faults leave behind")
    parser.add_argument("--verbose", action="store_true", help="tell of each fault")
    options = parser.parse_args()
    if options.only is not None and not any(options.only in name for name in FAULTS):
        parser.error(f"--only {options.only}: there are {'; '.join(FAULTS)}")
    root = Path(tempfile.mkdtemp(prefix="faults"))
    root.chmod(0o755)
    try:
        return run(options, root)
    finally:
        if options.keep:
            print(f"Left behind: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
