"""
One network in several processes
================================

A fit with ``accelerate=True`` shares every batch among the processes of a launch: the
GPUs of a machine, or several machines. Save this script and start it by one of ::

    accelerate launch examples/accelerate_training.py
    torchrun --nproc-per-node 2 examples/accelerate_training.py

or by ``python`` alone, which is one process. It needs the extras ``accelerate`` and
``share``, runs offline, and takes a few seconds. So small a network is quicker in one
process; the guide says what to share out instead.
"""

import argparse
from pathlib import Path

import torch
from sklearn.model_selection import train_test_split

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import recommended_regressor

parser = argparse.ArgumentParser(description="Train one network in several processes.")
parser.add_argument("--output", type=Path, default=Path("model.skops"), help="the model's file")
arguments = parser.parse_args()

# %%
# All rows in every process
# -------------------------
# Each process reads the same rows and calls ``fit`` with the same arguments. Which of a
# batch's rows are its own, it finds out itself. ``batch_size`` is that of the whole
# batch, so the result does not depend on the number of processes, but for what dropout
# leaves out.

X, y = load_things_concepts(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = recommended_regressor(accelerate=True, random_state=0).fit(X_train, y_train)

# %%
# One process speaks for all
# --------------------------
# All have the same model now. Anything that is to be done once, the first one does.

n_processes, index = 1, 0
if torch.distributed.is_initialized():
    n_processes, index = torch.distributed.get_world_size(), torch.distributed.get_rank()
if index == 0:
    score = spearman_score(y_test, model.predict(X_test))
    print(f"{n_processes} processes on {model[-1].device_.type}: Spearman {score:.3f}")
    save(model, arguments.output)
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
