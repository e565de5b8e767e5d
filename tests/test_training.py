import numpy as np
import pytest
import torch
from skorch.dataset import Dataset

from sklearn_memorability._training import OPTIMIZERS, IndexBatches, optimizer_settings

X = np.arange(20, dtype=np.float32).reshape(10, 2)
Y = np.arange(10, dtype=np.float32)


def test_batches_keep_the_order_without_a_seed():
    batches = list(IndexBatches(Dataset(X, Y), 4))
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    assert len(IndexBatches(Dataset(X, Y), 4)) == 3
    assert torch.cat([x for x, _ in batches]).tolist() == X.tolist()
    assert torch.cat([y for _, y in batches]).tolist() == Y.tolist()


def test_every_pass_shuffles_anew_and_keeps_rows_together():
    batches = IndexBatches(Dataset(X, Y), 3, seed=0)
    passes = []
    for _ in range(2):
        pairs = list(batches)
        rows = torch.cat([x for x, _ in pairs])
        targets = torch.cat([y for _, y in pairs])
        assert torch.equal(rows[:, 0], 2 * targets)
        assert sorted(targets.tolist()) == Y.tolist()
        passes.append(targets.tolist())
    assert passes[0] != passes[1]
    again = [y for _, y in IndexBatches(Dataset(X, Y), 3, seed=0)]
    assert torch.cat(again).tolist() == passes[0]


def test_batches_without_target_and_of_other_types():
    (batch,) = list(IndexBatches(Dataset(X.astype(np.float64)), 100))
    assert batch[0].dtype == torch.float32
    assert batch[0].tolist() == X.tolist()


def test_read_only_arrays_are_not_shared():
    frozen = X.copy()
    frozen.flags.writeable = False
    (batch,) = list(IndexBatches(Dataset(frozen, Y), 100))
    batch[0][0, 0] = 7
    assert frozen[0, 0] == 0


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizers_step_with_their_settings(name):
    settings = optimizer_settings(name, torch.device("cpu"))
    weight = torch.nn.Parameter(torch.ones(3))
    fused = {"fused": settings["optimizer__fused"]} if "optimizer__fused" in settings else {}
    assert bool(fused) == (name != "rmsprop")
    optimizer = settings["optimizer"]([weight], lr=0.1, **fused)
    weight.sum().backward()
    optimizer.step()
    assert (weight < 1).all()


def test_devices_without_fused_kernels_do_without():
    assert "optimizer__fused" not in optimizer_settings("adam", torch.device("mps"))
