"""The network and its kernel path, by hand, through ``net_``."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import norm
from sklearn.linear_model import RidgeCV

from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

# One step of plain gradient descent over all rows; by the second, weights stay as they start.
STEP = {"optimizer": "sgd", "lr": 0.1, "max_epochs": 1, "batch_size": 150, "dropout": 0}
NO_STEP = STEP | {"lr": 1e-30}


def _model(**params):
    small = {"branch_sizes": (16,), "hidden_layer_sizes": (16,), "max_epochs": 3}
    return BalancedQuantileClassifierRegressor(**{**small, "random_state": 0, **params})


def _weights(model):
    return {name: w.numpy() for name, w in model.net_.module_.state_dict().items()}


@pytest.mark.parametrize(
    ("activation", "function"),
    [("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh), ("gelu", lambda x: x * norm.cdf(x))],
)
def test_branches_merge_shared_layers_and_logits_by_hand(scores, activation, function):
    X, y = scores
    branches = {"a": slice(0, 4), "b": [5, 4]}
    model = _model(branches=branches, branch_sizes=(7, 5), activation=activation).fit(X, y)
    weights = _weights(model)

    def layer(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    merged = []
    for i, columns in enumerate(branches.values()):
        first = function(layer(X[:, columns], f"branches.{i}.0"))
        merged.append(function(layer(first, f"branches.{i}.1")))
    expected = softmax(layer(function(layer(np.hstack(merged), "shared.0")), "output"), axis=1)
    np.testing.assert_allclose(model.predict_class_proba(X), expected, atol=1e-5)
    # The skorch net gives the same, of rows in double precision too.
    assert type(model.net_).__module__.startswith("skorch")
    for rows in (X, X.astype(np.float64)):
        assert np.array_equal(model.net_.predict_proba(rows), model.predict_class_proba(X))


def test_initial_weights_are_glorots():
    X = np.zeros((20, 400), dtype=np.float32)
    weights = _weights(_model(branch_sizes=(7,), **NO_STEP).fit(X, np.linspace(0, 1, 20)))
    limit = np.sqrt(6 / (400 + 7))
    assert np.abs(weights["branches.0.0.weight"]).max() <= limit
    assert weights["branches.0.0.weight"].std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert np.abs(weights["output.bias"]).max() < 1e-20


def test_one_step_of_training_is_the_gradient_of_the_cross_entropy(scores):
    X, y = scores
    model, start = (_model(n_classes=2, **step).fit(X, y) for step in (STEP, NO_STEP))
    network = start.net_.module_.train()
    labels = torch.from_numpy((y > np.sort(y)[74]).astype(int))
    loss = -torch.log_softmax(network(torch.from_numpy(X)), dim=1)[range(150), labels].mean()
    network.zero_grad()
    loss.backward()
    assert model.history_[0]["train_loss"] == pytest.approx(loss.item(), rel=1e-5)
    for found, before in zip(model.net_.module_.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(found, before - 0.1 * before.grad, rtol=1e-5, atol=1e-6)


def test_dropout_keeps_the_mean_and_leaves_out_the_stated_share(scores):
    model = _model(hidden_layer_sizes=(), dropout=0.25).fit(*scores)
    network = model.net_.module_
    row = torch.from_numpy(scores[0][:1])
    with torch.no_grad():
        hidden = torch.relu(network.branches[0][0](row))
        whole, drawn = network.eval()(row), network.train()(row.expand(20_000, -1))
    variance = 0.25 / 0.75 * hidden.square() @ network.output.weight.square().T
    torch.testing.assert_close(drawn.var(dim=0), variance[0], rtol=0.05, atol=0)
    error = (drawn.mean(dim=0) - whole[0]).abs() / (variance[0] / 20_000).sqrt()
    assert error.max() < 4


def test_inputs_are_left_out_in_training_alone(scores):
    X, y = scores
    model = _model(input_dropout=0.75, branch_sizes=(), hidden_layer_sizes=()).fit(X, y)
    assert model.input_dropout_ == 0.75
    assert np.array_equal(model.predict(X), model.predict(X))
    # What is left is scaled to keep the variance: 2 or 0 in training, always .5 later.
    network, one = model.net_.module_, torch.eye(6)[:1]
    with torch.no_grad():
        found = [network.train(mode)(one.expand(4000, -1)) for mode in (True, False)]
        drawn, always = ((logits - network.output.bias)[:, 0] for logits in found)
    share = (drawn / network.output.weight[0, 0]).detach()
    assert sorted(set(share.numpy().round(3))) == [0.0, 2.0]
    assert (share < 1).float().mean().item() == pytest.approx(0.75, abs=0.02)
    torch.testing.assert_close(always, 0.5 * network.output.weight[0, 0].expand(4000))


def test_members_average_their_probabilities(scores):
    X, y = scores
    model = _model(n_members=3, branches=(2, 4)).fit(X, y)
    network = model.net_.module_.train()
    network.dropout = 0.0
    with torch.no_grad():
        each = network(torch.from_numpy(X)).softmax(dim=-1).numpy()
    assert each.shape == (3, 150, 4)
    assert not np.allclose(each[0], each[1], atol=1e-2)
    np.testing.assert_allclose(model.predict_class_proba(X), each.mean(axis=0), atol=1e-6)
    assert np.array_equal(model.net_.predict_proba(X), model.predict_class_proba(X))


def test_the_kernel_path_is_mixed_in_by_its_weight(scores):
    X, y = scores
    network, kernel, mixed = (
        _model(kernel_weight=weight).fit(X, y).predict_class_proba(X) for weight in (0, 1, 0.25)
    )
    np.testing.assert_allclose(mixed, 0.75 * network + 0.25 * kernel, atol=1e-6)
    model = _model(kernel_weight=0.25, n_members=2).fit(X, y)
    assert np.array_equal(model.net_.predict_proba(X), model.predict_class_proba(X))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_kernel_path_is_kernel_ridge_of_normal_scores_with_its_left_out_error(weighted):
    rng = np.random.default_rng(0)
    X = (5 + rng.normal(size=(80, 6))).astype(np.float32)
    X[1] = X[0]
    y = 0.5 + 0.05 * (X[:, 0] - 5) + 0.03 * rng.normal(size=80)
    weight = rng.integers(1, 3, size=80).astype(float) if weighted else np.ones(80)
    settings = {"kernel_weight": 1, "n_classes": 8, "max_epochs": 1, "aggregation": "mean"}
    model = _model(**settings).fit(X, y, sample_weight=7 * weight)

    weight /= weight.mean()
    order = np.argsort(y)
    z = np.empty(80)
    z[order] = norm.ppf((np.cumsum(weight[order]) - weight[order] / 2) / 80)
    distance = np.linalg.norm(X[:, None].astype(float) - X, axis=2)
    gram = np.exp(-0.5 * distance / np.sqrt(X.var(axis=0).sum()))

    def predict(penalty, rows):
        # Weighted least squares with an intercept that is not penalised.
        n = len(rows)
        system = np.ones((n + 1, n + 1))
        system[:n, :n] = gram[np.ix_(rows, rows)] + np.diag(penalty / weight[rows])
        system[n, n] = 0
        *coef, intercept = np.linalg.solve(system, np.append(z[rows], 0))
        return gram[:, rows] @ coef + intercept

    def left_out_error(penalty):
        others = [np.delete(np.arange(80), i) for i in range(80)]
        left_out = [z[i] - predict(penalty, rows)[i] for i, rows in enumerate(others)]
        return np.sqrt(np.average(np.square(left_out), weights=weight))

    error, penalty = min((left_out_error(p), p) for p in np.logspace(-3, 5, 33))
    shares = [weight[y <= threshold].sum() / 80 for threshold in model.thresholds_[:-1]]
    below = norm.cdf(norm.ppf(shares), predict(penalty, np.arange(80))[:, None], error)
    proba = np.diff(np.hstack([np.zeros((80, 1)), below, np.ones((80, 1))]), axis=1)
    np.testing.assert_allclose(model.predict_class_proba(X), proba, atol=0.02)


def test_a_sample_of_many_rows_carries_the_kernel():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 3)).astype(np.float32)
    y = 1 / (1 + np.exp(-X[:, 0] * X[:, 1]))
    model = _model(kernel_weight=1, max_epochs=1, n_classes=16, aggregation="mean")
    model.fit(X[:4000], y[:4000])
    assert model.net_.module_.kernel_path.landmarks.shape == (2000, 3)
    assert spearman_score(y[4000:], model.predict(X[4000:])) > 0.95


@pytest.mark.parametrize(
    ("n_rows", "n_features", "weighted"), [(30, 40, True), (2500, 20, False), (2500, 20, True)]
)
def test_input_dropout_penalises_as_scikit_learns_best_ridge_does(n_rows, n_features, weighted):
    # Features far from zero, two that are the same, and more than one block of rows.
    rng = np.random.default_rng(0)
    X = (5 + rng.normal(size=(n_rows, n_features))).astype(np.float32)
    X[:, 1] = X[:, 0]
    y = 0.5 + 0.05 * (X[:, 0] - 5) + 0.1 * rng.normal(size=n_rows)
    weight = rng.integers(1, 5, size=n_rows).astype(float) if weighted else np.ones(n_rows)
    model = _model(input_dropout="ridge", score_range=(-1, 2), max_epochs=1)
    model.fit(X, y, sample_weight=7 * weight)
    expected = RidgeCV(np.logspace(-2, 7, 37))
    expected.fit(X.astype(float), y, sample_weight=weight / weight.mean())
    # A rate p adds noise of variance p / (1 - p) to each input: a penalty of n p / (1 - p).
    rate = model.input_dropout_
    assert n_rows * rate / (1 - rate) == pytest.approx(expected.alpha_)
