"""Importance of hyper-parameters: against sums written out, and a forest's own predictions everywhere."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis import importance as module
from gdlab.analysis.importance import importance


def shares(table):
    columns = table.columns
    return dict(zip(zip(columns["parameter"], columns["other"], strict=True), columns["share"], strict=True))


def grid(levels):
    return {name: np.array(column) for name, column in
            zip("abc", np.array(list(itertools.product(*levels))).T, strict=False)}  # fmt: skip


@given(st.integers(0, 1000))
def test_a_complete_grid_equals_sums_over_its_cells(seed):
    a, b, c = [0.1, 0.2, 0.4], [1.0, 5.0], [0.0, 1.0]
    parameters = grid((a, b, c))
    values = np.random.default_rng(seed).standard_normal(12)
    found, table = {}, dict(zip(itertools.product(a, b, c), values, strict=True))
    mean = sum(values) / 12
    total = sum((v - mean) ** 2 for v in values) / 12

    def effect(fixed):
        same = [v for cell, v in table.items() if all(cell[i] == level for i, level in fixed)]
        return sum(same) / len(same) - mean

    axes = dict(zip("abc", enumerate((a, b, c)), strict=True))
    for name, (i, levels) in axes.items():
        found[name, ""] = sum(effect([(i, v)]) ** 2 for v in levels) / len(levels) / total
    for one, two in itertools.combinations("abc", 2):
        (i, first), (j, second) = axes[one], axes[two]
        found[one, two] = sum(
            (effect([(i, v), (j, w)]) - effect([(i, v)]) - effect([(j, w)])) ** 2
            for v in first for w in second
        ) / (len(first) * len(second)) / total  # fmt: skip
    made = importance(parameters, values)
    assert made.attrs["method"] == "grid" and made.attrs["runs"] == 12
    assert shares(made) == pytest.approx(found, abs=1e-9)
    assert made.attrs["rest"] == pytest.approx(1 - sum(found.values()), abs=1e-9)
    assert (np.diff(made.columns["share"]) <= 0).all()


def test_what_is_additive_does_not_interact_and_what_is_a_stripe_does():
    parameters = grid((np.arange(11.0), np.arange(11.0)))
    added = importance(parameters, parameters["a"] + 2 * parameters["b"])
    assert shares(added) == pytest.approx({("b", ""): 0.8, ("a", ""): 0.2, ("a", "b"): 0})
    stripe = importance(parameters, -np.abs(parameters["a"] + parameters["b"] - 10))
    assert shares(stripe)["a", "b"] > 0.8


def test_repeated_cells_are_means():
    parameters = {"a": np.array([0.0, 1, 0, 1, 1]), "b": np.array(["x", "x", "y", "y", "y"], object)}
    made = importance(parameters, [0, 2, 0, 1, 3])
    # Cells 0, 2, 0 and 2 +- 1: a accounts for 1 of 1 + 1 / 4.
    assert made.attrs["method"] == "grid" and shares(made)["a", ""] == pytest.approx(0.8)
    assert made.attrs["within"] == pytest.approx(0.2) and made.attrs["rest"] == pytest.approx(0.2)


def test_a_forest_equals_its_trees_predictions_at_every_cell(monkeypatch):
    random = np.random.default_rng(0)
    x = random.integers(0, [4, 3, 5], (40, 3)).astype(float)
    y = x[:, 0] * x[:, 1] + 0.1 * x[:, 2] + 0.1 * random.standard_normal(40)
    made = importance({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}, y, seed=5)
    assert made.attrs["method"] == "forest" and made.attrs["r2"] > 0.5
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(module.TREES, random_state=5, max_features=None).fit(x, y)
    cells = np.array(list(itertools.product(range(4), range(3), range(5))), float)
    wanted: dict = {}
    for tree in forest.estimators_:
        predicted = tree.predict(cells).reshape(4, 3, 5)
        total, mean = predicted.var(), predicted.mean()
        main = [predicted.mean(axis=tuple({0, 1, 2} - {i})) - mean for i in range(3)]
        for i in range(3):
            wanted.setdefault(("abc"[i], ""), []).append((main[i] ** 2).mean() / total)
        for i, j in ((0, 1), (0, 2), (1, 2)):
            both = predicted.mean(axis=3 - i - j) - mean - main[i][:, None] - main[j][None]
            wanted.setdefault(("abc"[i], "abc"[j]), []).append((both**2).mean() / total)
    assert shares(made) == pytest.approx({k: np.mean(v) for k, v in wanted.items()}, abs=1e-9)


def test_many_values_of_random_search_and_runs_without_a_measure():
    random = np.random.default_rng(1)
    rate, other = random.random(150), random.random(150)
    values = np.where(np.arange(150) < 10, np.nan, np.sin(3 * rate))
    made = importance({"rate": rate, "other": other, "fixed": np.ones(150)}, values)
    assert made.attrs["left_out"] == 10 and made.attrs["runs"] == 140 and made.attrs["levels"]["fixed"] == 1
    assert shares(made)["rate", ""] > 0.9 and shares(made)["other", ""] < 0.05
    assert shares(made)["fixed", ""] == shares(made)["rate", "fixed"] == 0
    again = importance({"rate": rate, "other": other, "fixed": np.ones(150)}, values)
    np.testing.assert_array_equal(made.columns["share"], again.columns["share"])


def test_an_option_that_a_run_does_not_have_is_a_level_and_nothing_to_explain_is_said():
    parameters = {"a": np.array([0.0, 1, np.nan]), "b": np.array(["x", "x", "x"], object)}
    made = importance(parameters, [1.0, 2, 6])
    assert (
        made.attrs["runs"] == 3 and made.attrs["left_out"] == 0 and made.attrs["levels"] == {"a": 3, "b": 1}
    )
    assert shares(made) == pytest.approx({("a", ""): 1, ("b", ""): 0, ("a", "b"): 0})
    for values in ([1.0, 1.0, 1.0, 1.0], [np.nan] * 4):
        four = {name: np.append(column, column[:1]) for name, column in parameters.items()}
        assert np.isnan(importance(four, values).columns["share"]).all()
    assert importance({}, [1.0, 2.0]).columns["share"].shape == (0,)
    assert importance({}, []).attrs["runs"] == 0


def test_what_runs_of_a_cell_differ_by_is_nobodys_share():
    """Shares are of the variance of the values, each cell counting alike, by sums over all of them."""
    random = np.random.default_rng(2)
    a, b = (axis.repeat(3) for axis in np.array(list(itertools.product(range(4), range(3)))).T)
    values = a + random.standard_normal(36)
    made = importance({"a": a.astype(float), "b": b.astype(float)}, values)
    total = values.var()
    main = np.array([values[a == level].mean() for level in range(4)])
    cells = np.array([[values[(a == i) & (b == j)].var() for j in range(3)] for i in range(4)])
    assert shares(made)["a", ""] == pytest.approx(main.var() / total)
    assert made.attrs["within"] == pytest.approx(cells.mean() / total)
    assert made.attrs["rest"] == pytest.approx(1 - made.columns["share"].sum())
    assert made.attrs["rest"] >= made.attrs["within"] - 1e-12 and made.attrs["within"] > 0.1


def test_a_choice_and_a_number_are_looked_at_together():
    """Three optimizers at four rates: what the choice, the rate and both account for, by two-way sums."""
    random = np.random.default_rng(3)
    accuracy = np.array([[0.1, 0.3, 0.6, 0.8], [0.7, 0.8, 0.4, 0.1], [0.2, 0.5, 0.8, 0.3]])
    accuracy = accuracy + 0.01 * random.standard_normal(accuracy.shape)
    choice = np.repeat(np.array(["sgd", "adam", "momentum"], object), 4)
    made = importance(
        {"optimizer": choice, "learning_rate": np.tile([0.001, 0.01, 0.1, 1.0], 3)}, accuracy.ravel()
    )
    total, rows, columns = accuracy.var(), accuracy.mean(axis=1).var(), accuracy.mean(axis=0).var()
    assert made.attrs["method"] == "grid"
    assert shares(made) == pytest.approx({
        ("optimizer", ""): rows / total, ("learning_rate", ""): columns / total,
        ("optimizer", "learning_rate"): 1 - (rows + columns) / total,
    })  # fmt: skip


def test_what_the_data_do_not_support_is_not_said():
    random = np.random.default_rng(0)
    made = importance({"a": random.random(30), "b": random.random(30)}, random.standard_normal(30))
    assert made.attrs["method"] == "forest" and made.attrs["r2"] < 0
    assert np.isnan(made.columns["share"]).all() and np.isnan(made.attrs["rest"])
