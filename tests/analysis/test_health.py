"""Warnings: a healthy training gets none, and each illness its own, where and when it was made."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis import health

D, LAYERS = 60, ("conv1", "conv2", "dense1")
WEIGHTS = np.array([100.0, 900.0, 400.0])


def _healthy():
    """A Record of 60 dumps without anything to warn of."""
    rng = np.random.default_rng(0)
    k = np.arange(D)
    loss = 2.3 * np.exp(-k / 20) + 0.2
    scalars = {
        "train_loss": loss * rng.uniform(0.97, 1.03, D),
        "loss": (loss + 0.05) * rng.uniform(0.97, 1.03, D),
        "train_accuracy": 1 - 0.9 * np.exp(-k / 20),
        "accuracy": 0.97 - 0.87 * np.exp(-k / 20),
    }
    weight = np.tile(np.sqrt(WEIGHTS), (D, 1))
    update = 1e-3 * weight * rng.uniform(0.5, 2, (D, 3))
    update[-1] = np.nan
    gradient = np.sqrt(WEIGHTS) * rng.uniform(0.01, 0.03, (D, 3))
    since, layer = np.full(40, D), np.repeat([0, 1, 2], [10, 20, 10])
    return health.Record(k * 100, scalars, LAYERS, WEIGHTS, gradient, weight, update, since, layer)


def _warnings(record, **limits):
    columns = health.check(record, health.Limits(**limits)).columns
    names = ("kind", "first", "last", "where", "text")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


def _changed(name, values):
    record = _healthy()
    return record._replace(scalars=record.scalars | {name: values})


def test_a_healthy_training_has_no_warnings():
    assert _warnings(_healthy()) == []


def test_exploding_gradients_name_the_layer_that_has_most():
    record = _healthy()
    record.gradient_norm[30, 1] = 40
    record.gradient_norm[32, 1] = 50
    total = np.sqrt((record.gradient_norm**2).sum(axis=1))
    usual = max(np.median(total), total[0])
    (found,) = _warnings(record)
    assert found[:4] == ("exploding gradients", 30, 32, "conv2")
    share = record.gradient_norm[32, 1] ** 2 / total[32] ** 2
    assert (
        f"reaches {total[32]:.3g}, {total[32] / usual:,.0f} times" in found[4] and f"{share:.0%}" in found[4]
    )
    assert _warnings(record, explosion=1.1 * total[32] / usual) == []


def test_a_gradient_that_is_lost_is_said_to_be():
    record = _healthy()
    record.gradient_norm[45:, 2] = np.nan
    (found,) = _warnings(record)
    assert found == (
        "exploding gradients",
        45,
        59,
        "dense1",
        "the gradient is not finite from iteration 4,500 on",
    )
    everything = record._replace(gradient_norm=np.full((D, 3), np.nan))
    assert [row[:4] for row in _warnings(everything)] == [("exploding gradients", 0, 59, "conv1")]


def test_vanishing_gradients_per_weight():
    record = _healthy()
    record.gradient_norm[20:40, 0] = 1e-5 * np.sqrt(WEIGHTS[0]) * 0.02
    (found,) = _warnings(record)
    assert found[:4] == ("vanishing gradients", 20, 39, "conv1")
    per_weight = record.gradient_norm / np.sqrt(WEIGHTS)
    ratio = np.median(per_weight[20:40, 0] / per_weight[20:40].max(axis=1))
    assert f"is {ratio:.3g} of" in found[4] and "more layer" not in found[4]
    record.gradient_norm[20:40, 1] = 0
    (found,) = _warnings(record)
    assert found[3] == "conv2" and "1 more layer(s)" in found[4]
    record.gradient_norm[20:40] = 0
    assert _warnings(record) == [("vanishing gradients", 20, 39, "network", "no weight has a gradient")]
    record.gradient_norm[22:] = 1  # a dump or two are no warning
    assert _warnings(record) == []


@pytest.mark.parametrize(("name", "where"), [("train_loss", "training"), ("loss", "validation")])
def test_rising_loss(name, where):
    loss = np.concatenate([np.linspace(2, 1, 30), np.linspace(1, 1.6, 30)])
    (found,) = _warnings(_changed(name, loss))
    kind, first, last, at, text = found
    assert (kind, last, at) == ("rising loss", 59, where)
    smooth = [loss[max(0, i - 1) : i + 2].mean() for i in range(D)]
    assert first == next(i for i in range(30, D) if smooth[i] > 1.1 * min(smooth))
    rise = smooth[-1] / min(smooth) - 1
    assert text == f"the loss climbs from {min(smooth):.3g} to {smooth[-1]:.3g}, by {rise:.0%}"
    assert _warnings(_changed(name, loss), rise=0.7) == []
    # Noise alone, and a rise that is nothing beside the first loss, are not warned of.
    noise = np.random.default_rng(1).uniform(0.93, 1.07, D)
    assert _warnings(_changed(name, loss[0] * noise)) == []
    assert _warnings(_changed(name, np.where(np.arange(D) < 20, 2, 1e-3 * (1 + np.arange(D) / 20)))) == []


def test_a_loss_that_is_not_finite():
    loss = np.linspace(2, 1, D)
    loss[50:] = np.inf
    found = _warnings(_changed("train_loss", loss))
    assert found == [("rising loss", 50, 59, "training", "the loss is not finite")]
    assert _warnings(_changed("train_loss", np.full(D, np.nan))) == []  # not recorded


def test_a_widening_gap():
    record = _healthy()
    other = record.scalars["accuracy"] - np.linspace(0, 0.3, D)
    (found,) = _warnings(_changed("accuracy", other))
    gap = record.scalars["train_accuracy"] - other
    smooth = [gap[max(0, i - 1) : i + 2].mean() for i in range(D)]
    first = next(i for i in range(D) if smooth[i] > min(smooth[: i + 1]) + 0.1)
    assert found[:4] == ("widening gap", first, 59, "validation")
    assert f"leads by {max(smooth):.1%}, up from {smooth[0]:.1%}" in found[4]
    assert _warnings(_changed("accuracy", other), gap=0.4) == []


def test_tiny_steps_without_progress():
    record = _healthy()
    record.update_norm[30:59] *= 1e-4
    assert _warnings(record) == []  # the loss still falls
    flat = np.where(np.arange(D) < 30, np.linspace(2, 1, D), 1.5)
    (found,) = _warnings(_changed("train_loss", flat)._replace(update_norm=record.update_norm))
    assert found[:4] == ("tiny steps", 30, 58, "network")
    ratio = np.median(health.network_update_ratio(record)[30:59])
    assert f"steps are {ratio:.3g} of" in found[4] and "stays at 1.5" in found[4]
    arrived = np.where(np.arange(D) < 28, 2 * np.exp(-np.arange(D) / 3), 1e-4)
    assert _warnings(_changed("train_loss", arrived)._replace(update_norm=record.update_norm)) == []


def test_huge_steps():
    record = _healthy()
    record.update_norm[12, 2] = 30
    (found,) = _warnings(record)
    assert found[:4] == ("huge steps", 12, 12, "dense1")
    length = np.sqrt(WEIGHTS.sum())
    ratio = np.linalg.norm(record.update_norm[12]) / length
    assert f"{ratio:.3g} of the weights' length, {ratio / 1e-3:,.0f} times" in found[4]
    np.testing.assert_allclose(health.network_update_ratio(record)[12], ratio)
    assert np.isnan(health.network_update_ratio(record)[-1])
    assert health.network_update_ratio(record._replace(update_norm=None)) is None


def test_dead_filters_by_layer():
    record = _healthy()
    record.dead_since[[3, 12]] = 0, 40
    found = _warnings(record)
    assert found == [
        ("dead filters", 0, 59, "conv1", "1 of 10 filters are dead, 10.0%"),
        ("dead filters", 40, 59, "conv2", "1 of 20 filters are dead, 5.0%"),
    ]
    assert [row[3] for row in _warnings(record, dead=0.07)] == ["conv1"]
    record.dead_since[[3, 12]] = 58, 60  # two dumps are not enough to say so
    assert _warnings(record) == []


def test_warnings_come_in_order_with_their_iterations():
    record = _healthy()
    record.update_norm[40, 0] = record.update_norm[5, 1] = 30
    record.gradient_norm[20] *= 1000
    table = health.check(record)
    assert table.columns["first"].tolist() == [5, 20, 40]
    assert table.columns["first_iteration"].tolist() == [500, 2000, 4000]
    assert table.columns["last_iteration"].dtype == np.int64 and table.attrs["limits"]["window"] == 3


@given(st.lists(st.booleans(), max_size=20), st.integers(1, 4), st.integers(1, 4))
def test_stretches_cover_what_is_flagged(flags, least, gap):
    found = health._stretches(np.array(flags, bool), least, gap)
    for first, last in found:
        assert flags[first] and flags[last] and last - first + 1 >= least
        at = [i for i in range(first, last + 1) if flags[i]]
        assert all(b - a <= gap for a, b in pairwise(at))
    for (_, a), (b, _) in pairwise(found):
        assert b - a > gap
    covered = {i for first, last in found for i in range(first, last + 1)}
    if least == 1:
        assert {i for i, flag in enumerate(flags) if flag} <= covered


@pytest.mark.parametrize("count", [0, 1, 2])
def test_records_that_have_just_begun(count):
    record = _healthy()
    short = record._replace(
        iteration=record.iteration[:count],
        scalars={name: values[:count] for name, values in record.scalars.items()},
        **{name: getattr(record, name)[:count] for name in ("gradient_norm", "weight_norm", "update_norm")},
        dead_since=np.zeros(40, int),
    )
    assert _warnings(short) == []
    assert _warnings(health.Record(record.iteration[:count], {})) == []


def test_limits_outside_their_range_are_named():
    for name, value in (("rise", 0), ("gap", -1.0), ("huge", np.nan), ("window", 0), ("dead", True)):
        with pytest.raises(ValueError, match=f"{name}=.*allowed: a number > 0"):
            health.check(_healthy(), health.Limits(**{name: value}))


class _Node(NamedTuple):
    name: str
    filters: int
    size: int


class _Dumps:
    """The part of gdlab.analysis.dumps.Dumps that `record_of` asks."""

    def __init__(self, *stats):
        rng = np.random.default_rng(0)
        self.nodes = (_Node("stage", 5, 50), _Node("a", 2, 20), _Node("b", 3, 30))
        self.iteration, self.scalars = np.arange(6), {"loss": np.ones(6)}
        self.of_layers = rng.random((6, 3))
        self.of_filters = {name: rng.random((6, 5)) * [0, 1, 1, 1, 0] for name in stats}
        self.asked = stats

    def layers(self):
        return [1, 2]

    def stats(self):
        return self.asked

    def layer(self, stat):
        return self.of_layers

    def filter(self, stat):
        return self.of_filters[stat]


def test_the_record_of_dumps_has_what_they_have():
    full = _Dumps("weight_mean", "weight_std", "gradient_mean", "gradient_std", "cosine_distance")
    record = health.record_of(full)
    assert record.layers == ("a", "b") and record.weights.tolist() == [20, 30]
    np.testing.assert_array_equal(record.gradient_norm, full.of_layers[:, 1:])
    assert record.update_norm is None and record.layer_of.tolist() == [0, 0, 1, 1, 1]
    assert record.dead_since.tolist() == [0, 6, 6, 6, 0]
    bare = health.record_of(_Dumps())
    assert bare.gradient_norm is None and bare.dead_since is None and _warnings(bare) == []
