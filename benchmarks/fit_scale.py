"""Memory and time of training at LaMem's size: the ready Pipelines and their parts.

    python benchmarks/fit_scale.py [--rows 45000] [--models mlp recommended svr]

Synthetic float32 features of 5,120 columns; one epoch, as time is the same in each. Every model
runs in a process of its own. Printed is the peak of memory beyond what the process held before
``fit``, in shares of the data; of each step by itself too.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor, svr_regressor

N_FEATURES = 5120
MODELS: dict[str, Callable[[], Any]] = {
    "mlp": lambda: mlp_regressor(max_epochs=1, random_state=0),
    "recommended": lambda: recommended_regressor(max_epochs=1, random_state=0),
    "svr": svr_regressor,
}


def resident() -> int:
    """Return the memory that this process holds now, in bytes (on Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(name: str, fit: Callable[[], Any], data: np.ndarray) -> None:
    """Print the time and the peak of memory of a fit."""
    stopped = threading.Event()
    before = most = resident()

    def watch() -> None:
        nonlocal most
        while not stopped.wait(0.01):
            most = max(most, resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    started = time.perf_counter()
    fit()
    seconds = time.perf_counter() - started
    stopped.set()
    watcher.join()
    print(
        f"{name:24} {seconds:8.1f} s   {(most - before) / data.nbytes:6.2f} x the data", flush=True
    )


def run(name: str, n_rows: int) -> None:
    """Fit one model on all rows, then each of its steps."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    y = np.clip(rng.normal(0.76, 0.12, n_rows), 0, 1).round(3)
    pipeline = MODELS[name]()
    pipeline.fit(X[:64], y[:64])  # what torch loads at first use is not the fit's
    measure(name, lambda: pipeline.fit(X, y), X)
    measure("  scaler alone", lambda: pipeline[0].fit(X), X)
    measure("  model alone", lambda: pipeline[-1].fit(X, y), X)


def main() -> None:
    """Run each model in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=45_000)
    parser.add_argument("--models", nargs="+", default=["mlp", "recommended"], choices=MODELS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        run(arguments.models[0], arguments.rows)
        return
    for name in arguments.models:
        command = [sys.executable, __file__, "--here", "--rows", str(arguments.rows)]
        subprocess.run([*command, "--models", name], check=True)


if __name__ == "__main__":
    main()
