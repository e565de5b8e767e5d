import copy

import numpy as np
import pytest
import torch

from sklearn_memorability.captions._network import (
    BagEncoder,
    Dropout,
    JointNetwork,
    RankingLoss,
    RecurrentEncoder,
    SentenceEncoder,
)


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
def test_the_loss_is_that_of_all_pairs_but_those_of_one_picture(negatives):
    chance = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in chance.normal(size=(2, 7, 4)))
    owner = np.array([0, 1, 2, 1, 3, 4, 0])
    loss = RankingLoss(negatives, 0.2, 0.1)
    found = loss((torch.from_numpy(a), torch.from_numpy(b)), torch.from_numpy(owner))
    assert float(found) == pytest.approx(_loss_by_hand(a @ b.T, owner, negatives, 0.2, 0.1))


@pytest.mark.parametrize("negatives", ["sum", "hardest", "softmax"])
def test_a_batch_of_one_picture_costs_nothing(negatives):
    rows = torch.eye(3), torch.eye(3)
    loss = RankingLoss(negatives, 0.2, 0.1)(rows, torch.zeros(3, dtype=torch.int64))
    assert float(loss) == 0


@pytest.mark.parametrize("kind", ["lstm", "gru", "bow"])
def test_what_shorter_captions_are_filled_up_with_changes_nothing(kind):
    encoder = BagEncoder(9, 5, 6) if kind == "bow" else RecurrentEncoder(9, 5, 6, kind)
    short = torch.tensor([[3, 4, 0]])
    beside_longer = torch.tensor([[3, 4, 0, 0, 0], [5, 6, 7, 8, 0]])
    torch.testing.assert_close(encoder(short)[0], encoder(beside_longer)[0])


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_encoders_are_the_cells_step_by_step(kind):
    encoder = RecurrentEncoder(9, 5, 6, kind, seeds=(1, 2))
    w = {name: p.detach().numpy().astype(float) for name, p in encoder.named_parameters()}

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
    found = encoder(torch.tensor([[4, 2, 0, 0]]))[0].detach().numpy()
    np.testing.assert_allclose(found, h, atol=1e-6)


def test_a_bag_is_the_mean_of_its_words():
    encoder = BagEncoder(9, 4, 4)
    table = encoder.words.weight.detach()
    found = encoder(torch.tensor([[3, 3, 5, 0], [0, 0, 0, 0]])).detach()
    torch.testing.assert_close(found[0], (2 * table[3] + table[5]) / 3)
    torch.testing.assert_close(found[1], table[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda seeds: RecurrentEncoder(9, 5, 6, "lstm", 0.5, seeds),
        lambda seeds: BagEncoder(9, 5, 6, 0.5, seeds),
        lambda seeds: SentenceEncoder(5, 6, 0.5, seeds),
    ],
    ids=["recurrent", "bag", "sentence"],
)
def test_chance_comes_from_the_seeds_alone(make):
    before = torch.random.get_rng_state()
    text = torch.tensor([[3, 4, 0]])
    inputs = torch.ones(1, 5) if isinstance(make((0, 0)), SentenceEncoder) else text
    first, again, other = make((1, 2)), make((1, 2)), make((3, 4))
    torch.testing.assert_close(first(inputs), again(inputs))
    assert not torch.equal(first(inputs), other(inputs))
    assert torch.equal(before, torch.random.get_rng_state())


def test_dropout_keeps_the_mean_and_can_be_copied_midway():
    drop = Dropout(0.25, 0)
    x = torch.ones(100_000)
    dropped = drop(x)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(copy.deepcopy(drop)(x), dropped)
    assert torch.equal(drop.eval()(x), x)


def test_both_sides_give_unit_rows():
    network = JointNetwork(5, 6, BagEncoder(9, 4, 6), 0.0, 0, 1)
    pictures, captions = network(torch.randn(2, 5), torch.tensor([[3, 0], [4, 0]]))
    torch.testing.assert_close(pictures.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(captions.norm(dim=1), torch.ones(2))
