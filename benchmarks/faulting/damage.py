"""Damaged files of the package's own, and those of other versions and programs."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faulting.bench import Bench, Verdict, differing, ended, fault, settings, transforming, verdict
from faulting.children import Child
from sklearn_memorability.experiments._runs import Runs
from sklearn_memorability.features import FeatureCache


def flip(chance: random.Random, path: Path, n: int) -> None:
    """Flip so many bits of a file."""
    content = bytearray(path.read_bytes())
    for _ in range(n):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _other_application(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE features (row BLOB)")
    connection.commit()
    connection.close()


def _set_version(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def _use_cache(cache: Path, *, prune: bool) -> Callable[[Child], Any]:
    def work(child: Child) -> None:
        kept = FeatureCache(cache)
        for what in (lambda: len(kept), kept.contents, lambda: kept.prune(max_bytes=10**9)):
            try:
                what()
            except (OSError, ValueError) as error:
                if kept.path.name not in str(error):
                    raise
        if prune:
            kept.prune(max_bytes=0)

    return work


def _damaged(bench: Bench, chance: random.Random, box: Path, damage: Callable[[Path], None]) -> Any:
    how, cache = settings(chance), box / "cache.sqlite"
    shutil.copy(bench.root / f"{how['net']}.sqlite", cache)
    damage(cache)
    if chance.random() < 0.5:
        used = Child(box / "used", _use_cache(cache, prune=False))
        used_well = ended(used)
    else:
        used_well = Verdict()
    child = Child(box / "damaged", transforming(names=bench.names, cache=cache, **how))
    found = child.join()
    if "error" in found:
        return used_well + ended(child, fine=False, words="^ValueError.*cache.sqlite")
    child_well = bench.mistakes(child, how["net"])
    again = Child(box / "again", transforming(names=bench.names, cache=cache, **how))
    after = Child(box / "after", _use_cache(cache, prune=False))
    return used_well + child_well + ended(again) + bench.mistakes(again, how["net"]) + ended(after)


@fault("flipped bits: cache")
def flipped(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Flip some bits of a cache."""
    n = chance.choice([1, 3, 30, 300])
    return _damaged(bench, chance, box, lambda path: flip(chance, path, n))


@fault("flipped bits in the first pages: cache")
def flipped_head(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Flip bits where a cache says what it is."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        end = chance.choice([100, 4096, 12288])
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(16, end)] ^= 1 << chance.randrange(8)
        path.write_bytes(content)

    return _damaged(bench, chance, box, damage)


@fault("truncated: cache")
def truncated(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Cut a cache short."""
    part = chance.random()
    return _damaged(bench, chance, box, lambda p: os.truncate(p, int(p.stat().st_size * part)))


@fault("other version or owner: cache")
def other_version(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Take a cache of a newer or older version, of another program, or no database."""
    damage = chance.choice(
        [
            lambda path: _set_version(path, 2),
            lambda path: _set_version(path, 0),
            _other_application,
            lambda path: path.write_text("image,score\n"),
            lambda path: path.with_name(path.name + "-wal").write_bytes(os.urandom(9000)),
        ]
    )
    return _damaged(bench, chance, box, damage)


@fault("flipped bits: search")
def flipped_search(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Flip some bits of a search's storage."""
    storage = box / "trials.jsonl"
    ended(Child(box / "whole", bench.searching(storage)))
    flip(chance, storage, chance.choice([1, 3, 30]))
    child = Child(box / "again", bench.searching(storage))
    result = ended(child)
    if result.bad:
        return result
    scores = np.load(child.folder / "scores.npy")
    return verdict("scores differ", wrong=differing(scores[:, None], bench.scores[:, None]))


@fault("flipped bits: kept predictions")
def flipped_predictions(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Flip some bits of an experiment's predictions."""
    runs = Runs(box / "runs")
    runs.put("row", "f" * 64, bench.y)
    (path,) = (box / "runs").iterdir()
    if chance.random() < 0.3:
        os.truncate(path, chance.randrange(path.stat().st_size))
    else:
        flip(chance, path, chance.choice([1, 3]))
    found: list[np.ndarray | None] = []

    def work(child: Child) -> None:
        kept = runs.get("row", "f" * 64)
        np.save(child.folder / "rows.npy", bench.y if kept is None else kept)

    child = Child(box / "get", work)
    result = ended(child)
    if result.bad:
        return result
    found = np.load(child.folder / "rows.npy")
    return verdict("predictions differ", wrong=differing(found[:, None], bench.y[:, None]))
