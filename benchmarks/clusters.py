"""Pictures on a cluster's workers beside as many processes of joblib's own.

    python benchmarks/clusters.py [FOLDER] [--pictures 2000] [--repeats 3]

FOLDER holds pictures (default: the photographs of MEMORABILITY_TEST_DATA); where it has
too few, seeded crops of them, written as JPEG, make up the number, so that all differ.
``ImageFeatures(n_jobs=2)`` computes their features with two workers of one thread each:
processes of joblib's (loky), a Dask cluster on loopback, and Ray. The workers are
started, have imported what they need and hold the network before the clock runs; sending
paths, reading, decoding, the network and bringing the rows home are inside.

In each repeat the engines take turns, and ratios are of the same repeat; medians are
printed with the range. The rows are compared with those of one process. Then one worker
of each engine is killed on the way, and the rows are compared again. Run it on an idle
machine.
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import joblib
import numpy as np
from _figures import Figure, add_json_option, timed, write_figures
from joblib.externals.loky import reusable_executor
from PIL import Image

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.images import list_images

N_WORKERS = 2
# Rounding differs with the pictures that share a batch.
TOLERANCE = 1e-4

# How an engine's workers are found, as process numbers.
Workers = Callable[[], list[int]]


@contextmanager
def loky() -> Iterator[Workers]:
    """Give processes of joblib's own."""
    yield lambda: list(reusable_executor._executor._processes)


@contextmanager
def dask() -> Iterator[Workers]:
    """Start two workers of one thread, whose nannies start others in their place."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=N_WORKERS, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield lambda: list(client.run(os.getpid).values())


@contextmanager
def ray() -> Iterator[Workers]:
    """Start Ray on this machine, with two cores to give away."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    ray.init(num_cpus=N_WORKERS, include_dashboard=False, log_to_driver=False)

    def soon() -> int:
        time.sleep(0.5)  # so that each worker gets one of these
        return os.getpid()

    task = ray.remote(soon)
    try:
        yield lambda: ray.get([task.remote() for _ in range(N_WORKERS)])
    finally:
        ray.shutdown()


ENGINES = {"loky": loky, "dask": dask, "ray": ray}


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    add_json_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        paths = pictures(options.folder or photographs(), options.pictures, Path(folder))
        print(f"{len(paths)} pictures, load {os.getloadavg()[0]:.1f}")
        begun = time.perf_counter()
        expected = ImageFeatures(n_jobs=1).fit_transform(paths)
        print(f"one process, all cores: {time.perf_counter() - begun:.1f} s")
        workers = {name: stack.enter_context(engine()) for name, engine in ENGINES.items()}
        figures = speed(paths, expected, options.repeats)
        figures += deaths(paths, expected, workers, figures)
    write_figures(options.json, figures)


def speed(paths: list[Path], expected: np.ndarray, repeats: int) -> list[Figure]:
    """Print how long each engine takes."""
    transformer = ImageFeatures(n_jobs=N_WORKERS).fit(paths[:1])
    times: dict[str, list[float]] = {name: [] for name in ENGINES}
    largest = dict.fromkeys(ENGINES, 0.0)
    for name in ENGINES:  # imports and the network
        with joblib.parallel_config(name):
            transformer.transform(paths[:64])
    for _ in range(repeats):
        for name in ENGINES:
            with joblib.parallel_config(name):
                begun = time.perf_counter()
                found = transformer.transform(paths)
                times[name].append(time.perf_counter() - begun)
            largest[name] = max(largest[name], float(np.abs(found - expected).max()))
    print(f"\n{'engine':8}{'seconds':>9}  {'loky / engine':24}{'largest difference':>20}")
    figures = []
    for name in ENGINES:
        ratios = np.array(times["loky"]) / times[name]
        span = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        print(f"{name:8}{np.median(times[name]):9.1f}  {span:24}{largest[name]:20.1e}")
        if name != "loky":
            label = f"{name}: time of local processes / time"
            figures.append(
                timed(label, times[name], times["loky"], peer_name="loky", faster=True, mark=0.9)
            )
        if largest[name] > TOLERANCE:
            raise SystemExit(f"{name} gave other rows than one process.")
    return figures


def deaths(
    paths: list[Path], expected: np.ndarray, workers: dict[str, Workers], timings: list[Figure]
) -> list[Figure]:
    """Kill a worker of each engine on the way, and print what comes of the rows."""
    print(f"\n{'engine':8}{'killed after':>13}{'done after':>12}  same rows")
    transformer = ImageFeatures(n_jobs=N_WORKERS).fit(paths[:1])
    delay = 0.3 * float(timings[0].peer or 1.0)
    figures = []
    for name in ENGINES:
        with joblib.parallel_config(name):
            transformer.transform(paths[:64])
            victim = workers[name]()[0]
            timer = threading.Timer(delay, os.kill, (victim, signal.SIGKILL))
            begun = time.perf_counter()
            timer.start()
            found = transformer.transform(paths)
            seconds = time.perf_counter() - begun
            timer.cancel()
        if seconds < delay or is_running(victim):
            raise SystemExit(f"No worker of {name} was killed on the way.")
        difference = float(np.abs(found - expected).max())
        same = difference <= TOLERANCE
        outcome = f"{'yes' if same else 'NO'} ({difference:.1e})"
        print(f"{name:8}{delay:11.1f} s{seconds:10.1f} s  {outcome}")
        figures.append(
            Figure(
                f"{name}: rows of a killed worker that differ",
                0.0 if same else float(len(paths)),
                "lower",
                "rows",
                mark=0,
                compared="nothing",
            )
        )
    return figures


def is_running(process: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pictures(folder: Path, n_pictures: int, made: Path) -> list[Path]:
    """Return so many different pictures, of a folder or cut from its own."""
    paths = list_images(folder)[:n_pictures]
    if not paths:
        raise SystemExit(f"There is no picture in {folder}.")
    chance = np.random.default_rng(0)
    for i in range(n_pictures - len(paths)):
        with Image.open(paths[i % len(paths)]) as picture:
            picture = picture.convert("RGB")
            left, top = (chance.uniform(0, 0.2) * size for size in picture.size)
            box = left, top, left + 0.8 * picture.width, top + 0.8 * picture.height
            cut = picture.resize(picture.size, box=box)
        cut.save(made / f"{i:06}.jpg", quality=90)
    return paths + sorted(made.iterdir())


def photographs() -> Path:
    """Return the folder of the photographs."""
    data = os.environ.get("MEMORABILITY_TEST_DATA")
    if not data:
        raise SystemExit("Give a folder of pictures, or set MEMORABILITY_TEST_DATA.")
    return Path(data) / "things_images" / "images"


if __name__ == "__main__":
    main()
