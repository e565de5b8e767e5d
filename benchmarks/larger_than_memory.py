"""Training on features larger than the memory allowed, and what reading from disk costs.

    python benchmarks/larger_than_memory.py [--limit 1GiB] [--times 4] [--folder FOLDER]
        [--epochs 1] [--steps 0] [--batch-size 256]

Random float32 features of 1,280 columns with a planted signal, ``--times`` the limit, are
written to ``--folder`` as .npy and as Zarr (chunks of 1,024 rows), and removed in the end.
Each fit runs in a process of its own that first makes a small fit, so that libraries are
loaded, and then limits itself: what it has by then is not counted.

- .npy: a memory cgroup of ``--limit`` (v1 or v2) where one can be made, which counts the
  pages of the file too and takes them away again; else RLIMIT_DATA.
- Zarr: RLIMIT_AS, the address space, beyond that of the loaded libraries.

Then, without a limit, the same fit on an eighth of the rows: in memory and from disk, with
the time of each and the largest difference of the predictions. The file is dropped from
the page cache before each fit, where the system can do that.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _figures import Figure, add_json_option, write_figures

N_COLUMNS = 1280
CHUNK_ROWS = 1024
UNITS = {"MiB": 2**20, "GiB": 2**30}


def n_bytes(text: str) -> int:
    """Return the bytes of a size such as 512MiB."""
    match = re.fullmatch(r"(\d+)(MiB|GiB)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} must be a size such as 512MiB or 1GiB")
    return int(match[1]) * UNITS[match[2]]


def write(folder: Path, n_rows: int) -> None:
    """Write the features, in both formats, and the scores."""
    import zarr

    signal = np.random.default_rng(1).normal(size=N_COLUMNS) / np.sqrt(N_COLUMNS)
    scores = np.empty(n_rows)
    X = np.lib.format.open_memmap(
        folder / "X.npy", mode="w+", dtype=np.float32, shape=(n_rows, N_COLUMNS)
    )
    Z = zarr.create_array(
        str(folder / "X.zarr"), shape=X.shape, chunks=(CHUNK_ROWS, N_COLUMNS), dtype="float32"
    )
    for start in range(0, n_rows, CHUNK_ROWS):
        chance = np.random.default_rng([2, start])
        stop = min(start + CHUNK_ROWS, n_rows)
        block = chance.standard_normal((stop - start, N_COLUMNS), dtype=np.float32)
        X[start:stop], Z[start:stop] = block, block
        noise = chance.normal(size=stop - start)
        scores[start:stop] = 1 / (1 + np.exp(-1 - block @ signal - 0.5 * noise))
    X.flush()
    np.save(folder / "y.npy", scores)
    np.save(folder / "eighth.npy", X[: n_rows // 8])


def forget(path: Path) -> None:
    """Drop files from the page cache."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file() and hasattr(os, "posix_fadvise"):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def status(name: str) -> int:
    """Return bytes of a line of this process's status."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


@contextlib.contextmanager
def peak_of(name: str) -> Iterator[dict[str, int]]:
    """Watch a line of this process's status; fills in ``before`` and ``peak``."""
    found = {"before": status(name), "peak": 0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            found["peak"] = max(found["peak"], status(name))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def make_cgroup(limit: int) -> Path | None:
    """Return the folder of a new memory cgroup, None where none can be made."""
    for root, file in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ):
        folder = Path(root, f"larger_than_memory_{os.getpid()}")
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / file).write_text(str(limit), encoding="utf-8")
            return folder
        except OSError:
            folder.rmdir()
    return None


def limit_to(kind: str, limit: int, cgroup: str) -> None:
    """Limit this process from here on."""
    if kind == "cgroup":
        # What was allocated before stays counted where it was.
        Path(cgroup, "cgroup.procs").write_text(str(os.getpid()), encoding="utf-8")
    elif kind == "data":
        most = status("VmData") + limit
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    elif kind == "address":
        most = status("VmSize") + limit
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def child(spec: dict[str, Any]) -> None:
    """Fit and predict once; print time, memory and figures as JSON."""
    from sklearn_memorability.features import StoredFeatures
    from sklearn_memorability.metrics import spearman_score
    from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor

    folder, path = Path(spec["folder"]), Path(spec["folder"], spec["file"])
    settings = {name: spec[name] for name in ("max_epochs", "min_steps", "batch_size")}
    make = {"mlp": mlp_regressor, "recommended": recommended_regressor}[spec["model"]]
    model = make(random_state=0, device="cpu", **settings)
    y = np.load(folder / "y.npy")
    X = StoredFeatures(path)
    few = X[: N_COLUMNS + 2 * CHUNK_ROWS]
    model.fit(few, y[: len(few)]).predict(few)
    forget(path)
    limit_to(spec["limited_by"], spec["limit"], spec["cgroup"])
    with peak_of("RssAnon") as memory:
        start = time.perf_counter()
        rows = np.load(path) if spec["in_memory"] else X
        predicted = model.fit(rows, y[: len(rows)]).predict(rows)
        seconds = time.perf_counter() - start
    np.save(folder / f"predicted_{spec['name']}.npy", predicted)
    found = {
        "seconds": seconds,
        "peak": memory["peak"] - memory["before"],
        "spearman": spearman_score(y[: len(rows)], predicted),
        "data": 4 * rows.shape[0] * rows.shape[1],
    }
    print(json.dumps(found))


def run(**spec: Any) -> dict[str, Any]:
    """Run a child; print and return what it found."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(spec)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{spec['name']} failed ({done.returncode}):\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{spec['name']:30} {spec['limited_by'] or 'no limit':8} {found['data'] / 2**20:7.0f} MiB  "
        f"{found['seconds']:7.1f} s  peak {found['peak'] / 2**20:6.0f} MiB  "
        f"Spearman {found['spearman']:.3f}",
        flush=True,
    )
    return found


def main() -> None:
    """Write the files, run each fit in its own process, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=n_bytes, default=2**30)
    parser.add_argument("--times", type=int, default=4, help="size of the features, in limits")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=256)
    add_json_option(parser)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(json.loads(arguments.child))
        return
    folder = arguments.folder.resolve() / f"larger_than_memory_{os.getpid()}"
    folder.mkdir(parents=True)
    cgroup = make_cgroup(arguments.limit)
    try:
        measure(arguments, folder, cgroup)
    finally:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
        if cgroup is not None:
            cgroup.rmdir()


def measure(arguments: argparse.Namespace, folder: Path, cgroup: Path | None) -> None:
    """Run all fits on the files in a folder."""
    n_rows = arguments.times * arguments.limit // (4 * N_COLUMNS)
    write(folder, n_rows)
    common = {
        "folder": str(folder),
        "limit": arguments.limit,
        "cgroup": str(cgroup),
        "max_epochs": arguments.epochs,
        "min_steps": arguments.steps,
        "batch_size": arguments.batch_size,
    }
    figures = []
    for model in ("mlp", "recommended"):
        for file, limited_by in (
            ("X.npy", "data" if cgroup is None else "cgroup"),
            ("X.zarr", "address"),
        ):
            name = f"{model}, {file}"
            found = run(
                name=name, model=model, file=file, limited_by=limited_by, in_memory=False, **common
            )
            figures.append(
                Figure(
                    f"peak memory of {name}",
                    found["peak"] / 2**20,
                    "lower",
                    "MiB",
                    peer=found["data"] / 2**20,
                    peer_name="the data",
                    ratio=found["peak"] / found["data"],
                )
            )
        seconds, predicted = {}, {}
        for place in ("memory", "disk"):
            name = f"{model}, an eighth from {place}"
            found = run(
                name=name,
                model=model,
                file="eighth.npy",
                limited_by="",
                in_memory=place == "memory",
                **common,
            )
            seconds[place] = found["seconds"]
            predicted[place] = np.load(folder / f"predicted_{name}.npy")
        difference = float(np.abs(predicted["memory"] - predicted["disk"]).max())
        ratio = seconds["disk"] / seconds["memory"]
        print(f"{model}: time disk / memory {ratio:.2f}, largest difference {difference:.1e}")
        figures += [
            Figure(
                f"{model}: time of fit and predict from disk",
                seconds["disk"],
                "lower",
                "s",
                peer=seconds["memory"],
                peer_name="in memory",
                ratio=ratio,
            ),
            Figure(
                f"{model}: largest difference of predictions", difference, "lower", "", mark=1e-6
            ),
        ]
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
