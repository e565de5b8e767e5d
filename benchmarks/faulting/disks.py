"""Disks and databases without room, and those that may only be read."""

import contextlib
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from faulting.bench import (
    IS_ROOT,
    N_ITER,
    Bench,
    N,
    Verdict,
    commanding,
    differing,
    ended,
    fault,
    n_kept,
    recomputed,
    search_resumed,
    settings,
    some_command,
    transforming,
    verdict,
)
from faulting.children import Child
from sklearn_memorability.features import _cache_rows as cache_rows
from sklearn_memorability.persistence import load, save
from sklearn_memorability.pipelines import svr_regressor

FULL = "space|full|too large|disk I/O"


def _with_room(bench: Bench, box: Path, how: dict[str, Any], cache: Path, child: Child) -> Verdict:
    """Check a transform whose cache could not take all; then go on with room again."""
    result = ended(child) + bench.mistakes(child, how["net"])
    said = child.join().get("warnings", [])
    kept = n_kept(cache) if cache.exists() and cache.stat().st_size else 0
    if kept < N and not any(re.search(FULL, one, re.I) and cache.name in one for one in said):
        result += verdict(f"no warning tells of {cache.name}: {said}", unclear=1)
    again = Child(box / "again", transforming(names=bench.names, cache=cache, **how))
    result += ended(again) + bench.mistakes(again, how["net"]) + recomputed(again, kept)
    return result + verdict("rows missing in the cache", lost=N - n_kept(cache))


@fault("file-size limit: transform")
def limited_files(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Let no file grow beyond a random size."""
    how, cache = settings(chance), box / "cache.sqlite"
    size = chance.randint(0, 300_000)

    def before(child: Child) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = max(size, N * 64 * 2 + 20_000) if how["net"] == "small" else size
        limit = max(limit, 4096)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    # Rows are written to a file too, so their number of bytes must fit.
    work = transforming(names=bench.names, cache=cache, before=before, **how)

    def lifted(child: Child) -> None:
        saved = np.save

        def saving(file: Any, rows: np.ndarray) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            saved(file, rows)

        np.save = saving
        work(child)

    return _with_room(bench, box, how, cache, Child(box / "limited", lifted))


@fault("full database: transform")
def limited_pages(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Let SQLite itself say that the disk is full."""
    how, cache, pages = settings(chance), box / "cache.sqlite", chance.randint(1, 60)

    def before(child: Child) -> None:
        opened = cache_rows.connect

        def limited(path: Path) -> sqlite3.Connection:
            connection = opened(path)
            connection.execute(f"PRAGMA max_page_count = {pages}")
            return connection

        cache_rows.connect = limited

    work = transforming(names=bench.names, cache=cache, before=before, **how)
    return _with_room(bench, box, how, cache, Child(box / "limited", work))


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Mount something at a folder for a while."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remounted(folder: Path, option: str) -> None:
    """Mount a disk anew with another option."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def small_disk(folder: Path, size: int) -> Any:
    """Mount a disk with so many bytes."""
    return mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


@fault("full disk: transform")
def full_disk_cache(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Give the cache a disk with little room."""
    how = settings(chance)
    with small_disk(box / "disk", chance.choice([4096, 16384, 65536, 131072, 262144])) as disk:
        cache = disk / "cache.sqlite"
        child = Child(box / "full", transforming(names=bench.names, cache=cache, **how))
        child.join()
        remounted(disk, "size=16m")
        return _with_room(bench, box, how, cache, child)


@fault("full disk: search")
def full_disk_search(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Give the storage a disk with little room, or none."""
    with small_disk(box / "disk", 8192) as disk:
        storage = disk / "trials.jsonl"
        (disk / "filler").write_bytes(bytes(4096 * chance.randint(0, 1)))
        if chance.random() < 0.5:
            storage.write_bytes(b"\n" * chance.randint(1, 4000))
        child = Child(box / "full", bench.searching(storage))
        result = ended(child)
        if result.bad:
            return result
        scores = np.load(child.folder / "scores.npy")
        result += verdict("scores differ", wrong=differing(scores[:, None], bench.scores[:, None]))
        said = child.join()["warnings"]
        n = sum(line.endswith(b"}") for line in storage.read_bytes().split(b"\n")[:-1])
        if n < N_ITER and not any("trials.jsonl" in one and "space" in one for one in said):
            result += verdict(f"nothing tells that {N_ITER - n} are not kept: {said}", unclear=1)
        remounted(disk, "size=1m")
        return result + search_resumed(bench, box, storage)


@fault("full disk: command")
def full_disk_command(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Give the command's output, or its stdout, no room."""
    _, make = some_command(bench, chance, box)
    kind = chance.choice(["file", "stdout"])
    with small_disk(box / "disk", 4096) as disk:
        (disk / "filler").write_bytes(bytes(4096))
        if kind == "file":
            output = disk / ("out.csv" if make == bench.predicting else "out.npz")
            child = Child(box / "full", make(output))
        else:
            pictures = str(Path(bench.names[0]).parent)
            work = commanding("predict", pictures, "-m", bench.model)

            def to_full(child: Child) -> Any:
                os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
                return work(child)

            child = Child(box / "full", to_full)
        found = child.join()
        result = ended(child)
        code = found.get("result")
        result += verdict(f"exit code {code}: {child.err}", codes=int(code != 2))
        words = "out\\." if kind == "file" else "stdout|output"
        clear = "No space" in child.err and re.search(words, child.err) is not None
        left = sorted(path.name for path in disk.iterdir() if path.name != "filler")
        result += verdict(f"{left} left over", wrong=len(left))
        return result + verdict(child.err, unclear=int(not clear or "Traceback" in child.err))


@fault("full disk: save over a model")
def full_disk_save(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Give a new model no room: the old one stays."""
    with small_disk(box / "disk", 65536) as disk:
        path, models = disk / "model.skops", [svr_regressor(), svr_regressor()]
        for model in models:
            model.fit(bench.X, bench.y + len(path.name) * (model is models[1]))
        save(models[0], path)
        free = shutil.disk_usage(disk).free
        (disk / "filler").write_bytes(bytes(max(0, free - 4096 * chance.randint(0, 2))))
        child = Child(box / "save", lambda _: save(models[1], path))
        result = ended(child, fine=False, words="model.skops.*space|space.*model.skops")
        left = [one.name for one in disk.iterdir()]
        result += verdict(f"{left}", wrong=int(len(left) != 2))
        right = np.array_equal(load(path).predict(bench.X), models[0].predict(bench.X))
        return result + verdict("the old model is gone", wrong=int(not right))


@fault("read-only: transform")
def read_only(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Write-protect a cache, which a killed process may have left."""
    how, folder = settings(chance), box / "cache"
    folder.mkdir()
    cache, work = folder / "cache.sqlite", {"names": bench.names, **how}
    child = Child(box / "killed", transforming(cache=cache, **work))
    child.until(chance.randint(N // 4, N))
    if chance.random() < 0.7:
        child.send(signal.SIGKILL)
    child.join()
    told = child.told
    if IS_ROOT and chance.random() < 0.5:
        frozen = mounted(folder, "-o", "bind,ro", "--bind", str(folder))
        user = None
    else:
        frozen, user = contextlib.nullcontext(), 65534 if IS_ROOT else None
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)

    def before(child: Child) -> None:
        if user is not None:
            os.setuid(user)

    with frozen:
        again = Child(box / "frozen", transforming(cache=cache, before=before, **work))
        result = ended(again) + bench.mistakes(again, how["net"]) + recomputed(again, 0, told)
        said = again.join().get("warnings", [])
        if not any("can't be kept" in one and "cache.sqlite" in one for one in said):
            result += verdict(f"no warning: {said}", unclear=1)
    folder.chmod(0o755)
    return result
