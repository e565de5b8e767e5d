"""The formulas: losses and encoders, pair by pair and step by step."""

import numpy as np
import pytest
import torch

from sklearn_memorability.captions._network import RankingLoss, encoder_of


def _loss_by_hand(S, owner, negatives, margin, temperature):
    """Every pair on its own."""
    n = len(S)
    total = 0.0
    for direction in (S, S.T):
        for i in range(n):
            wrong = [j for j in range(n) if owner[j] != owner[i]]
            if negatives == "softmax":
                logits = np.array([direction[i, i], *direction[i, wrong]]) / temperature
                total += (np.log(np.exp(logits).sum()) - logits[0]) / n
                continue
            costs = [max(0, margin + direction[i, j] - direction[i, i]) for j in wrong]
            total += max(costs, default=0) if negatives == "hardest" else sum(costs)
    return total


@pytest.mark.parametrize("negatives", ["sum", "hardest", "softmax"])
def test_the_loss_is_that_of_all_pairs_but_those_of_one_image(negatives):
    rng = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 7, 4)))
    owner = np.array([0, 1, 2, 1, 3, 4, 0])
    loss = RankingLoss(negatives, 0.2, 0.1)
    value = loss((torch.from_numpy(a), torch.from_numpy(b)), torch.from_numpy(owner))
    assert float(value) == pytest.approx(_loss_by_hand(a @ b.T, owner, negatives, 0.2, 0.1))
    assert float(loss((torch.eye(3), torch.eye(3)), torch.zeros(3, dtype=torch.int64))) == 0


def _weights(kind, n_words=9, word_dim=5, n=6):
    rng = np.random.default_rng(0)
    shapes = {"words.weight": (n_words, word_dim)}
    if kind == "bow":
        shapes |= {"project.weight": (n, word_dim), "project.bias": (n,)}
    else:
        m = {"lstm": 4, "gru": 3}[kind] * n
        shapes |= {"recurrent.weight_ih_l0": (m, word_dim), "recurrent.weight_hh_l0": (m, n)}
        shapes |= {"recurrent.bias_ih_l0": (m,), "recurrent.bias_hh_l0": (m,)}
    return {k: rng.normal(size=shape).astype(np.float32) for k, shape in shapes.items()}


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_encoders_are_the_cells_step_by_step(kind):
    weights = _weights(kind)
    encoder = encoder_of(kind, weights, 6)
    w = {name: value.astype(float) for name, value in weights.items()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    h = c = np.zeros(6)
    for number in [4, 2, 0]:
        x = w["words.weight"][number]
        from_x = w["recurrent.weight_ih_l0"] @ x + w["recurrent.bias_ih_l0"]
        from_h = w["recurrent.weight_hh_l0"] @ h + w["recurrent.bias_hh_l0"]
        if kind == "gru":
            (rx, zx, nx), (rh, zh, nh) = np.split(from_x, 3), np.split(from_h, 3)
            z = sigmoid(zx + zh)
            h = (1 - z) * np.tanh(nx + sigmoid(rx + rh) * nh) + z * h
        else:
            i, f, g, o = np.split(from_x + from_h, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
    rows = encoder(torch.tensor([[4, 2, 0, 0]]))[0].numpy()
    np.testing.assert_allclose(rows, h, atol=1e-6)


def test_a_bag_is_the_projected_mean_of_its_words():
    w = _weights("bow")
    rows = encoder_of("bow", w, 6)(torch.tensor([[3, 3, 5, 0], [0, 0, 0, 0]])).numpy()
    table = w["words.weight"]
    means = np.stack([(2 * table[3] + table[5]) / 3, table[0]])
    expected = means @ w["project.weight"].T + w["project.bias"]
    np.testing.assert_allclose(rows, expected, atol=1e-6)
