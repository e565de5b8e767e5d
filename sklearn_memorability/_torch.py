"""Where the device, the threads and the seeds of torch are decided, and nowhere else."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from joblib import cpu_count
from threadpoolctl import threadpool_limits

# Below this many multiplications a step, one thread is as fast as several on an idle
# machine, and on a busy one many times faster: threads that wait for each other at
# every small operation lose their turn at each. The paper's network on its 5,120
# features has 23 million: two threads were 15 to 40 % faster on two idle cores, and no
# slower where other processes kept both busy.
_WORTH_SEVERAL_THREADS = 20_000_000

_MOST_BATCHES = 8


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return the device to compute on; None takes the best there is: CUDA, MPS, then the CPU.

    A ValueError says so if torch does not know it, or this machine does not have it.
    """
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is not a device that torch knows.") from error
    if resolved.type == "cuda":
        n_devices = torch.cuda.device_count()
        missing = (resolved.index or 0) >= n_devices
        seen = f"torch sees {n_devices} CUDA device(s)"
    else:
        missing = resolved.type == "mps" and not torch.backends.mps.is_available()
        seen = "torch sees no MPS device"
    if missing:
        raise ValueError(
            f"device={str(resolved)!r} is not available: {seen} on this machine. "
            "Use device=None for the best one there is, or device='cpu'."
        )
    return resolved


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return "float32" or "bfloat16".

    "auto" is bfloat16 where the hardware multiplies matrices of it natively (CUDA from
    Ampere on, CPUs with AMX), and float32 elsewhere.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        # torch has no public name for it.
        native = device.type == "cpu" and getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    return "bfloat16" if native else "float32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return a context in which networks compute in a precision.

    In bfloat16, weights stay in single precision and so do the operations that need it.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def share_threads(device: torch.device) -> tuple[int, int]:
    """Return how many threads should work on images side by side, and torch's number in each.

    On the CPU they share torch's own number among them, elsewhere they only read.
    """
    if device.type != "cpu":
        return min(_MOST_BATCHES, cpu_count()), 1
    n_threads = torch.get_num_threads()
    n_batches = min(_MOST_BATCHES, n_threads)  # each takes memory
    return n_batches, n_threads // n_batches


def use_threads(n_threads: int) -> None:
    """Let torch use so many threads for what the calling thread does, from now on."""
    torch.get_num_threads()  # see suitable_threads
    threadpool_limits(n_threads, user_api="openmp")


def draw_seeds(random_state: np.random.RandomState, n_seeds: int) -> list[int]:
    """Draw seeds in [0, 2**31 - 1) for the generators of one fit.

    Initialisation, shuffling and dropout have generators of their own: torch's global
    ones are neither read nor moved, so fits in threads give what fits in processes give.
    """
    return [int(seed) for seed in random_state.randint(np.iinfo(np.int32).max, size=n_seeds)]


def suitable_threads(device: torch.device, multiplications: int) -> AbstractContextManager[object]:
    """Return a context in which small steps of training on a CPU run on one thread.

    ``multiplications`` are about those of a step: rows a batch times weights. The number
    of threads is that of the calling thread alone and is as it was afterwards.
    """
    if device.type != "cpu" or multiplications >= _WORTH_SEVERAL_THREADS:
        return nullcontext()
    # A thread's first use of torch sets its number of threads, which would undo a limit
    # set before; asking for the number is such a use.
    torch.get_num_threads()
    return threadpool_limits(1, user_api="openmp")
