"""Pictures shared among processes and machines, through the backends of joblib."""

import dataclasses
import logging
import warnings
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend

from sklearn_memorability._torch import resolve_device
from sklearn_memorability.features._cache import FeatureCache
from sklearn_memorability.features._extract import Extraction, extract
from sklearn_memorability.features._malloc import freed_memory_kept
from sklearn_memorability.features._networks import Recipe

logger = logging.getLogger(__name__)

# Each worker gets about this many tasks, so that the last one is not waited for long.
_TASKS_A_WORKER = 16
_LARGEST_TASK = 512

# What fits a CPU's caches, and what keeps a GPU busy.
_BATCH_ON_CPU, _BATCH_ELSEWHERE = 4, 64

# How often workers may die, one time after the other, without finishing anything.
_LIVES = 3

# How the engines say it, beside concurrent.futures. Their errors are told by name, as the
# engines may not be installed.
_DEATHS = {
    ("distributed", "KilledWorker"),
    ("ray", "NodeDiedError"),
    ("ray", "ObjectLostError"),
    ("ray", "OutOfMemoryError"),
    ("ray", "WorkerCrashedError"),
}

# A list of pictures with the row of the first one.
_Part = tuple[list[Any], int]


@dataclass(frozen=True)
class Work:
    """What all tasks of one transform share; with it, only paths travel.

    Attributes
    ----------
    recipe : Recipe
        How a worker comes by the network.
    any_device : bool
        Whether each worker takes the best device that it has, in place of the recipe's.
    batch_size : int or "auto"
        How many pictures go through the network at a time.
    cache : FeatureCache or None
        Where rows are looked up and kept, on each machine.
    on_error : {"raise", "nan"}
        As for :func:`~sklearn_memorability.features._extract.extract`.
    """

    recipe: Recipe
    any_device: bool
    batch_size: int | str
    cache: FeatureCache | None
    on_error: str

    def do(self, images: list[Any], first_row: int) -> Extraction:
        """Compute the rows of some pictures, in whichever process this is."""
        recipe = self.recipe
        if self.any_device:
            recipe = dataclasses.replace(recipe, device=str(resolve_device(None)))
        network = recipe.load(keep=True)
        batch_size = suitable_batch_size(self.batch_size, network.device)
        with freed_memory_kept():
            return extract(network, images, first_row, batch_size, self.cache, self.on_error)


def suitable_batch_size(batch_size: int | str, device: torch.device) -> int:
    """Return how many pictures go through a network at a time; ``"auto"`` asks the device."""
    if isinstance(batch_size, str):
        return _BATCH_ON_CPU if device.type == "cpu" else _BATCH_ELSEWHERE
    return int(batch_size)


def size_of_tasks(n_images: int, n_workers: int, batch_size: int) -> int:
    """Return how many pictures a task should have."""
    size = -(-n_images // (n_workers * _TASKS_A_WORKER))
    # Whole batches, so that none but the last is small.
    return min(-(-size // batch_size) * batch_size, max(batch_size, _LARGEST_TASK))


def share_out(
    work: Work, images: list[Any], parts: list[slice], n_jobs: int | None, n_workers: int
) -> Generator[tuple[int, Extraction]]:
    """Yield the number of each part, and what came of it, as it is finished.

    Parts of a worker that died are done again. Engines that replace it themselves, as Dask
    does, are left to it.

    Parameters
    ----------
    work : Work
        What to do.
    images : list
        All pictures.
    parts : list of slice
        The pictures of each task.
    n_jobs : int or None
        As for joblib.
    n_workers : int
        What joblib makes of ``n_jobs``.

    Raises
    ------
    RuntimeError
        If workers go on dying and none finishes anything.
    """
    left = dict(enumerate(parts))
    lives = _LIVES
    while left:
        tasks = ((i, (images[part], part.start)) for i, part in list(left.items()))
        try:
            for i, done in _run(work, tasks, n_jobs, n_workers):
                del left[i]
                lives = _LIVES
                yield i, done
        except Exception as error:
            if not _is_death(error):
                raise
            # Before this one, Dask has tried the same task several times.
            lives -= 2 if type(error).__name__ == "KilledWorker" else 1
            if lives <= 0:
                raise _given_up(left, parts) from error
            logger.warning(
                "A worker process died; %d of %d tasks are done again or still to do. %s",
                len(left),
                len(parts),
                error,
            )


def _run(
    work: Work, tasks: Iterator[tuple[int, _Part]], n_jobs: int | None, n_workers: int
) -> Iterator[tuple[int, Extraction]]:
    """Yield what comes of tasks, until all are done or a worker died."""
    backend, _ = get_active_backend()
    if type(backend).__name__ == "RayBackend":
        yield from _run_on_ray(work, tasks, n_workers, backend.ray_remote_args)
        return
    if type(backend).__name__ == "DaskDistributedBackend":
        yield from _run_on_dask(work, tasks, n_workers, backend)
        return
    if type(backend).__name__ == "LokyBackend":
        yield from _run_on_processes(work, tasks, n_jobs, n_workers)
        return
    calls = (delayed(_do)(work, i, *part) for i, part in tasks)
    if not backend.supports_return_generator:
        with Parallel(n_jobs=n_jobs, batch_size=1) as parallel:
            # In rounds, so that progress shows and an early end is possible.
            while some := list(islice(calls, 2 * n_workers)):
                yield from parallel(some)
        return
    results = Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator_unordered")(calls)
    try:
        for found in results:  # noqa: UP028 - "yield from" would close it with the warning
            yield found
    finally:
        with warnings.catch_warnings():
            # joblib warns of tasks that it cancels, which is what is wanted here.
            warnings.simplefilter("ignore")
            results.close()


def _run_on_processes(
    work: Work, tasks: Iterator[tuple[int, _Part]], n_jobs: int | None, n_workers: int
) -> Iterator[tuple[int, Extraction]]:
    """Do it with joblib's own processes, one task after the other from this thread.

    joblib hands out tasks in the thread that also learns of deaths; where a worker dies
    at once after another, ``Parallel`` now and then waits for a task that nobody has.
    """
    with Parallel(n_jobs=n_jobs) as parallel:
        workers = parallel._backend._workers
        waiting: set[Future[tuple[int, Extraction]]] = set()
        try:
            while True:
                for i, part in islice(tasks, 2 * n_workers - len(waiting)):
                    waiting.add(workers.submit(_do, work, i, *part))
                if not waiting:
                    return
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                # What was finished when a worker died counts.
                for task in sorted(finished, key=lambda task: task.exception() is not None):
                    yield task.result()
        finally:
            for task in waiting:
                task.cancel()


def _run_on_dask(
    work: Work, tasks: Iterator[tuple[int, _Part]], n_workers: int, backend: Any
) -> Iterator[tuple[int, Extraction]]:
    """Do it with futures of Dask's own.

    joblib is never told of a task that Dask gives up, and would wait for it forever; with a
    single worker left it would do the work in this process, and what killed the others
    would end it.
    """
    from distributed import as_completed

    def submit(n: int) -> list[Any]:
        return [
            backend.client.submit(_do, work, i, *part, pure=False, **backend.submit_kwargs)
            for i, part in islice(tasks, n)
        ]

    # A second task for each worker is on its way while it does the first.
    finished = as_completed(submit(2 * n_workers))
    waiting = set(finished.futures)
    try:
        # Inside a task of Dask, other tasks may run while this one waits.
        with backend.retrieval_context():
            for future in finished:
                waiting.discard(future)
                found = future.result()
                for more in submit(1):
                    waiting.add(more)
                    finished.add(more)
                yield found
    finally:
        backend.client.cancel(list(waiting))


def _run_on_ray(
    work: Work, tasks: Iterator[tuple[int, _Part]], n_workers: int, options: dict[str, Any] | None
) -> Iterator[tuple[int, Extraction]]:
    """Do it with tasks of Ray's own.

    Through joblib, every call would start new processes, each of which imports torch and
    loads the network, and results would only come all at once.
    """
    import ray

    do = ray.remote(_do).options(**{**(options or {}), "max_retries": 0})
    shared = ray.put(work)
    waiting = {do.remote(shared, i, *part) for i, part in islice(tasks, n_workers)}
    death = None
    try:
        while waiting:
            (finished,), _ = ray.wait(list(waiting), num_returns=1)
            waiting.remove(finished)
            try:
                found = ray.get(finished)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:
                if not _is_death(error):
                    raise
                # What else is under way is waited for.
                death = error
                continue
            if death is None:
                waiting |= {do.remote(shared, i, *part) for i, part in islice(tasks, 1)}
            yield found
    finally:
        for task in waiting:
            ray.cancel(task)
    if death is not None:
        raise death


def _do(work: Work, i: int, images: list[Any], first_row: int) -> tuple[int, Extraction]:
    return i, work.do(images, first_row)


def _is_death(error: Exception) -> bool:
    # Dask cancels what depends on data that a dead worker held.
    return isinstance(error, BrokenExecutor | CancelledError) or any(
        (kind.__module__.partition(".")[0], kind.__name__) in _DEATHS
        for kind in type(error).__mro__
    )


def _given_up(left: dict[int, slice], parts: list[slice]) -> RuntimeError:
    first = next(iter(left.values()))
    return RuntimeError(
        f"Worker processes died several times without finishing any of the {len(left)} tasks left "
        f"(of {len(parts)}; the first has rows {first.start} to {first.stop - 1}). Most often "
        "the memory does not suffice: use a smaller n_jobs, fewer workers on each machine or a "
        "smaller batch_size. A picture that crashes the library that reads it does the same: "
        "n_jobs=1 on those rows shows it."
    )
