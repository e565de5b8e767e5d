"""Pictures that change while they are read."""

import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from faulting.bench import (
    Bench,
    N,
    Verdict,
    commanding,
    differing,
    ended,
    fault,
    settings,
    transforming,
    verdict,
)
from faulting.children import Child


def _spoil(chance: random.Random, path: str, other: str) -> str:
    """Change a file under its reader; return what it is then."""
    kind = chance.choice(["other", "other", "cut", "garbage", "gone", "folder", "pipe"])
    if kind == "cut":
        os.truncate(path, os.path.getsize(path) // 2)
    elif kind == "garbage":
        Path(path).write_bytes(os.urandom(200))
    elif kind == "other":
        shutil.copy(other, f"{path}.new")
        os.replace(f"{path}.new", path)
    else:
        os.unlink(path)
        if kind == "folder":
            os.mkdir(path)
        elif kind == "pipe":
            os.mkfifo(path)
    return kind


def spoil_some(
    bench: Bench, chance: random.Random, names: list[str], child: Child
) -> dict[int, str]:
    """Change some files at random moments of a child; return what they are then."""
    spoiled: dict[int, str] = {}
    for i in chance.sample(range(N), 12):
        child.until(chance.randint(0, N))
        spoiled[i] = _spoil(chance, names[i], bench.others[i])
    return spoiled


def own_copies(bench: Bench, box: Path) -> list[str]:
    """Return copies of the pictures that may be changed."""
    shutil.copytree(Path(bench.names[0]).parent, box / "own")
    return [str(box / "own" / Path(name).name) for name in bench.names]


def misread(bench: Bench, net: str, rows: np.ndarray, spoiled: dict[int, str]) -> Verdict:
    """Count rows that belong to nothing that was in their file."""
    wrong = 0
    for i, row in enumerate(rows):
        may_be = [bench.rows[net, "pictures"][i]]
        if spoiled.get(i) == "other":
            may_be.append(bench.rows[net, "others"][i])
        is_one = any(differing(row[None], one[None]) == 0 for one in may_be)
        may_be_missing = spoiled.get(i) not in {None, "other"}
        wrong += not (is_one or (may_be_missing and np.isnan(row).all()))
    return verdict(f"rows differ; {spoiled}", wrong=wrong)


@fault("becoming pipes: transform")
def becoming_pipes(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Make a file a pipe, or another file, just before it is opened."""
    how, names = settings(chance), own_copies(bench, box)
    kinds, seed = {}, chance.random()

    def before(child: Child) -> None:
        own, opened = random.Random(seed), os.open

        def opening(path: Any, *more: Any, **named: Any) -> int:
            if path in names and own.random() < 0.2:
                i = names.index(path)
                Child.note("spoiled", f"{i} {_spoil(own, path, bench.others[i])}")
            return opened(path, *more, **named)

        os.open = opening

    work = transforming(names=names, before=before, on_error="nan", **how)
    child = Child(box / "reading", work)
    child.join()
    result = ended(child)
    if result.bad:
        return result
    for line in child.noted("spoiled"):
        i, kind = line.split()
        kinds[int(i)] = kind
    return result + misread(bench, how["net"], np.load(child.folder / "rows.npy"), kinds)


@fault("changing files: transform")
def changing(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Cut, replace and remove files, and make them folders and pipes, while they are read."""
    how, cache, names = settings(chance), box / "cache.sqlite", own_copies(bench, box)
    on_error = chance.choice(["raise", "nan", "nan"])
    work = transforming(names=names, cache=cache, on_error=on_error, **how)
    child = Child(box / "reading", work)
    spoiled = spoil_some(bench, chance, names, child)
    found = child.join()
    if "error" in found:
        result = ended(child, fine=on_error == "nan", words=r"ImageReadError: Image in row \d+, '")
    else:
        result = misread(bench, how["net"], np.load(child.folder / "rows.npy"), spoiled)
    # Nothing came into the cache under another picture's content.
    for kind, whole in (("pictures", bench.names), ("others", bench.others)):
        again = Child(box / kind, transforming(names=whole, cache=cache, **how))
        result += ended(again) + bench.mistakes(again, how["net"], kind)
    return result


@fault("changing files: command")
def changing_command(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Do the same while the command reads."""
    names, output = own_copies(bench, box), box / "out.npz"
    work = commanding("extract", *names, "-o", output, "--cache", box / "cache.sqlite")
    child = Child(box / "reading", work)
    child.until(1, "began")
    spoiled = spoil_some(bench, chance, names, child)
    found = child.join()
    result = ended(child)
    if result.bad or not output.exists():
        return result + verdict(f"{found} {child.err}", lost=N)
    with np.load(output, allow_pickle=False) as arrays:
        result += misread(bench, "embedded", arrays["features"], spoiled)
        failed = int((arrays["errors"] != "").sum())
        silent = int((np.isnan(arrays["features"][:, 0]) & (arrays["errors"] == "")).sum())
    result += verdict("a row is NaN without an error", unclear=silent)
    bad = found["result"] != (1 if failed else 0)
    return result + verdict(f"exit code {found['result']}, {failed} failed", codes=int(bad))
