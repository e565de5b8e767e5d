import pytest
import torch

from sklearn_memorability._torch import resolve_device


def test_none_takes_the_best_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device(None) == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device(None) == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device(None) == torch.device("cuda")


@pytest.mark.parametrize("device", ["abacus", ""])
def test_unknown_devices_are_refused(device):
    with pytest.raises(ValueError, match="not a device"):
        resolve_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_missing_device_is_named_with_the_way_out(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=rf"'{device}' is not available.*0 CUDA.*device='cpu'"):
        resolve_device(device)
