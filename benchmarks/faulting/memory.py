"""Too little memory, in networks and in the whole process."""

import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from faulting.bench import (
    Bench,
    Verdict,
    ended,
    fault,
    n_kept,
    output_of,
    recomputed,
    resumed,
    settings,
    some_command,
    transforming,
    verdict,
)
from faulting.children import Child


def _starve(chance: random.Random) -> Callable[[Child], None]:
    """Return what lets networks run out of memory, at random calls."""
    error = chance.choice(
        [
            lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
            MemoryError,
        ]
    )
    share, seed = chance.choice([0.003, 0.05, 0.5]), chance.random()

    def before(child: Child) -> None:
        own = random.Random(seed)

        def hook(module: nn.Module, inputs: Any) -> None:
            if own.random() < share:
                raise error()

        torch.nn.modules.module.register_module_forward_pre_hook(hook)

    return before


@fault("no memory: transform")
def starved(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Let passes through the network fail for want of memory."""
    how, cache = settings(chance), box / "cache.sqlite"
    work = transforming(names=bench.names, cache=cache, before=_starve(chance), **how)
    child = Child(box / "starved", work)
    if "error" in child.join():
        result = ended(child, fine=False, words="memory")
    else:
        result = ended(child) + bench.mistakes(child, how["net"])
    return result + resumed(bench, box, how, cache, child.told)


@fault("no memory: command")
def starved_command(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Do the same to the command."""
    output, make = some_command(bench, chance, box)
    work, starve, cache = make(output, "--cache", box / "cache.sqlite"), _starve(chance), box

    def starving(child: Child) -> Any:
        starve(child)
        return work(child)

    child = Child(box / "starved", starving)
    found = child.join()
    result = ended(child)
    code = found.get("result")
    result += verdict(f"exit code {code}: {child.err}", codes=int(code not in {0, 2}))
    if code == 0:
        return result + output_of(bench, output)
    if "memory" not in child.err.lower() or "Traceback" in child.err:
        result += verdict(child.err, unclear=1)
    kept = n_kept(cache / "cache.sqlite")
    again = Child(box / "again", make(output, "--force", "--cache", cache / "cache.sqlite"))
    return result + ended(again) + output_of(bench, output) + recomputed(again, kept)


@fault("little memory: transform")
def little_memory(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Let the system give no more memory, whoever asks."""
    how, cache = settings(chance), box / "cache.sqlite"
    room = int(2 ** (12 + 15 * chance.random()))  # up to 128 MiB

    def before(child: Child) -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))

    child = Child(
        box / "little", transforming(names=bench.names, cache=cache, before=before, **how)
    )
    if "error" in child.join():
        result = ended(child, fine=False, words="memory|can't start new thread")
    else:
        result = ended(child) + bench.mistakes(child, how["net"])
    return result + resumed(bench, box, how, cache, child.told)
