"""The faults that ``faults.py`` injects."""

import os

# Children are forked from one process, which therefore must have no threads.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
