"""The C library's memory, kept while a network runs, where Dask has it given back at once."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# glibc's numbers (malloc.h), and its own values in the absence of any setting.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_THRESHOLD = 128 * 1024

# What glibc works its way up to by itself if it is not told otherwise (mallopt(3)).
_LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024
_TRIMMED_BY_DASK = "MALLOC_TRIM_THRESHOLD_"


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let malloc keep what a network frees, as the next layer asks for as much again.

    Dask starts its workers with ``MALLOC_TRIM_THRESHOLD_=65536``, so that they seem no larger
    than their data. Every layer's output then comes as new pages from the kernel, and a
    network takes about three times as long. The setting is back afterwards. Without it, or
    with another C library, nothing is done.
    """
    threshold = os.environ.get(_TRIMMED_BY_DASK, "")
    libc = _glibc()
    if not threshold.isdecimal() or libc is None:
        yield
        return
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        libc.mallopt(_M_TRIM_THRESHOLD, int(threshold))
        libc.malloc_trim(0)


@cache
def _glibc() -> Any:
    """Return the C library if it is glibc, which alone has these functions."""
    try:
        libc = ctypes.CDLL(None)
        return libc if hasattr(libc, "gnu_get_libc_version") else None
    except (OSError, TypeError):
        return None
