"""Clocks that stand still, go back, or jump."""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faulting.bench import (
    YEAR,
    Bench,
    Verdict,
    differing,
    ended,
    fault,
    output_of,
    search_resumed,
    settings,
    some_command,
    transforming,
    verdict,
)
from faulting.children import Child
from sklearn_memorability.features import FeatureCache


def _lie(chance: random.Random) -> Callable[[], None]:
    """Return what makes the clocks of this process lie."""
    kind, seed = chance.choice(["still", "back", "jump"]), chance.random()

    def patch() -> None:
        own = random.Random(seed)
        for name in ("time", "monotonic", "perf_counter"):
            start, calls = getattr(time, name)(), Counter()

            def lying(start: float = start, calls: Any = calls) -> float:
                calls["n"] += 1
                if kind == "still":
                    return start
                if kind == "back":
                    return start - calls["n"]
                return start + own.choice([-60, -1, 0, 1, 60, 9000]) * YEAR

            setattr(time, name, lying)

    return patch


@fault("lying clock: transform and cache")
def lying_clock(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Clocks stand still, go back, or jump by years."""
    how, cache, patch = settings(chance), box / "cache.sqlite", _lie(chance)
    how["pause"] = 0.0
    work = transforming(names=bench.names, cache=cache, before=lambda _: patch(), **how)
    child = Child(box / "lied to", work)
    result = ended(child) + bench.mistakes(child, how["net"])

    def using(child: Child) -> None:
        from datetime import timedelta

        kept = FeatureCache(cache)
        kept.contents()
        patch()
        for days in (0, 1, 1e6):
            kept.prune(unused_for=timedelta(days=days))
            kept.contents()

    used = Child(box / "used", using)
    result += ended(used)
    again = Child(box / "again", transforming(names=bench.names, cache=cache, **how))
    return result + ended(again) + bench.mistakes(again, how["net"])


@fault("lying clock: search")
def lying_clock_search(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Do the same to a search that goes on from its storage."""
    storage, patch, work = box / "trials.jsonl", _lie(chance), bench.searching(box / "trials.jsonl")

    def lied_to(child: Child) -> None:
        patch()
        time.sleep = lambda seconds: None
        work(child)

    child = Child(box / "lied to", lied_to)
    result = ended(child)
    if not result.bad:
        scores = np.load(child.folder / "scores.npy")
        result += verdict("scores differ", wrong=differing(scores[:, None], bench.scores[:, None]))
    return result + search_resumed(bench, box, storage)


@fault("lying clock: command")
def lying_clock_command(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Do the same to the command."""
    output, make = some_command(bench, chance, box)
    patch, work = _lie(chance), make(output)

    def lied_to(child: Child) -> Any:
        patch()
        return work(child)

    child = Child(box / "lied to", lied_to)
    code = child.join().get("result")
    if code != 0:
        return ended(child) + verdict(f"{child.join()} {child.err}", codes=1)
    return ended(child) + output_of(bench, output)
