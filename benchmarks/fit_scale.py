"""Memory and time of training at LaMem's size, beside one SVR fit.

    python benchmarks/fit_scale.py [--scores lamem_splits/train_1.txt]
        [--sizes 4500 45000] [--svr-rows 10000]

Synthetic float32 features of 5,120 columns; scores from the file given ("name score" a
line, such as LaMem's own splits), or drawn alike. Each fit runs in a process of its
own: the peak memory beyond that of the data is the process's peak less its size just
before ``fit``. One epoch, as time is the same in each.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from _figures import Figure, add_json_option, write_figures

N_FEATURES = 5120
SIZES = (4_500, 45_000)
SVR_ROWS = 10_000


def load(n_rows: int, scores: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features and scores."""
    chance = np.random.default_rng(0)
    X = chance.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    if scores:
        y = np.loadtxt(scores, usecols=1)[:n_rows]
    else:
        y = np.clip(chance.normal(0.76, 0.12, n_rows), 0, 1).round(3)
    return X, y


def resident() -> int:
    """Return the memory the process holds now, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Peak(threading.Thread):
    """Watches the memory the process holds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.stopped = 0, threading.Event()

    def run(self) -> None:
        """Look every ten milliseconds."""
        while not self.stopped.wait(0.01):
            self.most = max(self.most, resident())


def child(model: str, n_rows: int, scores: str) -> None:
    """Fit one model and print what it took."""
    import torch
    from sklearn.svm import SVR

    from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

    torch.set_num_threads(1)
    X, y = load(n_rows, scores)
    estimator = SVR(C=0.1, epsilon=0.05)
    if model == "ours":
        estimator = BalancedQuantileClassifierRegressor(
            branches=(4096, 1024), max_epochs=1, random_state=0
        )
        estimator.fit(X[:64], y[:64])  # what torch loads at first use is not the fit's
    before, peak = resident(), Peak()
    peak.start()
    started = time.perf_counter()
    estimator.fit(X, y)
    seconds = time.perf_counter() - started
    peak.stopped.set()
    peak.join()
    print(json.dumps({"seconds": seconds, "beyond": peak.most - before, "data": X.nbytes}))


def main() -> None:
    """Run each fit in its own process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", default="")
    parser.add_argument("--sizes", nargs=2, type=int, default=SIZES, help="few rows and many")
    parser.add_argument("--svr-rows", type=int, default=SVR_ROWS)
    add_json_option(parser)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], int(arguments.child[1]), arguments.scores)
        return
    found = {}
    sizes = arguments.sizes
    for model, n_rows in (*(("ours", n) for n in sizes), ("SVR", arguments.svr_rows)):
        command = [sys.executable, __file__, "--child", model, str(n_rows)]
        command += ["--scores", arguments.scores]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[model, n_rows] = json.loads(done.stdout.splitlines()[-1])
        row = found[model, n_rows]
        print(
            f"{model:5} {n_rows:6} x {N_FEATURES}: {row['seconds']:7.1f} s, peak beyond the data "
            f"{row['beyond'] / 1e6:7.1f} MB = {row['beyond'] / row['data']:.3f} of it",
            flush=True,
        )
    few, many = (found["ours", n] for n in sizes)
    print(
        f"memory beyond the data, {sizes[1]} rows: {many['beyond'] / many['data']:.3f} (mark: 0.3)"
    )
    print(f"time, {sizes[1]} / {sizes[0]} rows: {many['seconds'] / few['seconds']:.1f} (mark: 11)")
    svr = found["SVR", arguments.svr_rows]
    write_figures(
        arguments.json,
        (
            Figure(
                f"peak memory of a fit of {sizes[1]} rows",
                many["beyond"] / 1e6,
                "lower",
                "MB",
                peer=many["data"] / 1e6,
                peer_name="the data",
                ratio=many["beyond"] / many["data"],
                mark=0.3,
            ),
            Figure(
                f"time of {sizes[1]} rows",
                many["seconds"],
                "lower",
                "s",
                peer=few["seconds"],
                peer_name=f"{sizes[0]} rows",
                ratio=many["seconds"] / few["seconds"],
                mark=11,
            ),
            Figure(
                f"peak memory of a fit of {sizes[1]} rows, as a share of its data",
                many["beyond"] / many["data"],
                "lower",
                "",
                peer=svr["beyond"] / svr["data"],
                peer_name=f"SVR, {arguments.svr_rows} rows",
                ratio=many["beyond"] / many["data"] / (svr["beyond"] / svr["data"]),
            ),
        ),
    )


if __name__ == "__main__":
    main()
