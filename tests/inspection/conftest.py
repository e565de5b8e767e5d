"""What the tests of displays share."""

import builtins
import sys

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def _no_figure_left():
    yield
    plt.close("all")


@pytest.fixture
def no_matplotlib(monkeypatch):
    """An installation without matplotlib."""
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without_matplotlib(name, *arguments, **named):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
