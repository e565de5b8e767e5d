"""Features written to disk chunk by chunk, stopped and short of room."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faulting.bench import Bench, Verdict, ended, extractor, fault, recomputed, verdict
from faulting.children import Child
from faulting.disks import remounted, small_disk
from faulting.files import misread, own_copies, spoil_some
from sklearn_memorability.features import write_features

N_STOP = 40  # pictures, at most, before the stop


def writing(
    bench: Bench,
    net: str,
    path: Path,
    *,
    pause: float = 0.004,
    names: list[str] | None = None,
    **params: Any,
) -> Callable[[Child], Any]:
    """Return the work of writing features."""
    names = bench.names if names is None else names

    def work(child: Child) -> None:
        Child.note("began", "")
        transformer = extractor(net, batch_size=4, **params).fit(names)
        Child.hook = lambda: time.sleep(pause)
        write_features(transformer, names, path, chunk_rows=8, verbose=1)

    return work


def _where(chance: random.Random, folder: Path) -> tuple[str, Path]:
    net = chance.choice(["small", "small", "embedded"])
    return net, folder / f"features{chance.choice(['.npy', '.zarr'])}"


def _completed(bench: Bench, box: Path, net: str, path: Path, told: int) -> Verdict:
    """Go on: nothing that was told as done is computed again, and all rows are right."""
    child = Child(box / "completed", writing(bench, net, path, pause=0.0))
    result = ended(child)
    if result.bad:
        return result
    result += recomputed(child, 0, told)
    reading = Child(box / "reading", lambda own: _copy(path, own.folder / "rows.npy"))
    return result + ended(reading) + bench.mistakes(reading, net)


def _copy(path: Path, target: Path) -> None:
    if path.suffix == ".npy":
        shutil.copy(path, target)
        return
    import zarr

    np.save(target, zarr.open_array(path, mode="r")[:])


def _stopped(bench: Bench, chance: random.Random, box: Path, number: int) -> Verdict:
    net, path = _where(chance, box)
    result, told = Verdict(), 0
    for i in range(chance.randint(1, 3)):
        child = Child(box / f"{i}", writing(bench, net, path))
        child.until(1, "began")
        child.until(chance.randint(0, N_STOP))
        time.sleep(chance.random() * 0.02)
        sent = child.send(number)
        found = child.join()
        expected = {None, "KeyboardInterrupt"} if number == signal.SIGINT and sent else {None}
        if number == signal.SIGINT and found.get("error") not in expected:
            result += verdict(f"{found}", unclear=1)
        told = max(told, child.told)
    return result + _completed(bench, box, net, path, told)


@fault("killed: write_features")
def killed(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGKILL, up to three times, and go on."""
    return _stopped(bench, chance, box, signal.SIGKILL)


@fault("Ctrl-C: write_features")
def interrupted(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGINT, up to three times, and go on."""
    return _stopped(bench, chance, box, signal.SIGINT)


@fault("full disk: write_features")
def full_disk(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Give the features too little room, then enough."""
    with small_disk(box / "disk", 4096 * chance.randint(2, 16)) as disk:
        net, path = _where(chance, disk)
        child = Child(box / "full", writing(bench, net, path, pause=0.0))
        found = child.join()
        result = Verdict()
        if "error" in found:
            result += ended(child, fine=False, words="OSError.*(full|space|room)")
            if path.name not in found["text"]:
                result += verdict(found["text"], unclear=1)
        remounted(disk, "size=64m")
        return result + _completed(bench, box, net, path, child.told)


@fault("flipped bits: write_features")
def flipped(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Flip bits of what an unfinished run has written, and go on."""
    net, path = _where(chance, box)
    child = Child(box / "stopped", writing(bench, net, path))
    child.until(chance.randint(16, 56))
    child.send(signal.SIGKILL)
    child.join()
    files = [Path(folder, name) for folder, _, names in os.walk(box) for name in names]
    files = [one for one in files if "features" in str(one.relative_to(box)) and one.stat().st_size]
    for one in chance.sample(files, min(len(files), chance.choice([1, 2]))):
        content = bytearray(one.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        one.write_bytes(content)
    again = Child(box / "again", writing(bench, net, path, pause=0.0))
    if "error" in again.join():
        return ended(again, fine=False, words="features.(npy|zarr)")
    reading = Child(box / "reading", lambda own: _copy(path, own.folder / "rows.npy"))
    return ended(reading) + bench.mistakes(reading, net)


@fault("changing files: write_features")
def changing(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Cut, replace and remove files while their features are written; mend them and go on."""
    net, path = _where(chance, box)
    names = own_copies(bench, box)
    child = Child(box / "reading", writing(bench, net, path, names=names, on_error="nan"))
    spoiled = spoil_some(bench, chance, names, child)
    child.join()
    result = ended(child)
    if result.bad:
        return result
    reading = Child(box / "rows", lambda own: _copy(path, own.folder / "rows.npy"))
    result += ended(reading)
    return result + misread(bench, net, np.load(reading.folder / "rows.npy"), spoiled)
