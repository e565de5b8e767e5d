import numpy as np
import pytest
import torch

from sklearn_memorability.regression._network import BranchedMLP


def _network(**changes):
    settings = {
        "branches": [slice(0, 4), (5, 4)],
        "branch_sizes": (7, 5),
        "hidden_layer_sizes": (6,),
        "n_classes": 3,
        "activation": "relu",
        "dropout": 0.5,
        "init_seed": 1,
        "dropout_seed": 2,
    }
    return BranchedMLP(**{**settings, **changes})


def _numpy_forward(network, X, activation):
    weights = {name: value.numpy() for name, value in network.state_dict().items()}

    def layer(x, name, active=True):
        out = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        return activation(out) if active else out

    first = layer(layer(X[:, 0:4], "branches.0.0"), "branches.0.1")
    second = layer(layer(X[:, [5, 4]], "branches.1.0"), "branches.1.1")
    shared = layer(np.hstack([first, second]), "shared.0")
    return layer(shared, "output", active=False)


@pytest.mark.parametrize(
    ("activation", "function"),
    [("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh)],
)
def test_forward_is_branches_merge_shared_layers_logits(activation, function):
    X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    network = _network(activation=activation).eval()
    with torch.inference_mode():
        found = network(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, _numpy_forward(network, X, function), atol=1e-5)


def test_sizes_may_be_empty():
    network = _network(branch_sizes=(), hidden_layer_sizes=())
    assert network(torch.zeros(2, 6)).shape == (2, 3)
    assert network.output.in_features == 6


def test_initialisation_is_glorots_and_seeded():
    network = _network(branches=[slice(0, 4), slice(4, 404)])
    weight = network.branches[1][0].weight
    limit = np.sqrt(6 / (400 + 7))
    assert weight.abs().max() <= limit
    assert float(weight.detach().std()) == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert not network.output.bias.any()
    again = _network(branches=[slice(0, 4), slice(4, 404)])
    assert torch.equal(again.branches[1][0].weight, weight)
    assert not torch.equal(_network().output.weight, _network(init_seed=3).output.weight)


def test_dropout_keeps_the_mean_and_the_stated_share():
    network = _network(dropout=0.25).train()
    dropped = network._drop(torch.ones(400, 500))
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(network.eval()._drop(torch.ones(3)), torch.ones(3))


def test_dropout_is_seeded_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, second = (_network().train()(torch.ones(50, 6)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, _network(dropout_seed=9).train()(torch.ones(50, 6)))
    assert torch.equal(torch.get_rng_state(), before)
