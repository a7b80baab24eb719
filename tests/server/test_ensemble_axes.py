"""Axes, ticks, cells of heat maps, and which runs an ensemble consists of, without a browser."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import run_groups
from server.core.address import UrlState
from server.core.run_groups import FOLDER, MATCH, RUNS
from server.core.runs_cache import Listing
from server.pages.ensemble import axes, heat
from server.pages.ensemble.axes import Setting

TIMES = {"t": 100, "t0": 10, "t1": 90}
RATES = np.array([1e-4, 1e-3, 1e-2, 1e-1, np.nan])
KINDS = np.array(["sgd", "adam", "", "adam", "sgd"], object)
P1 = np.array([0.1, 0.9, 0.5, np.nan, 0.7])


def build(settings=None, order=(), parameters=None):
    parameters = parameters or {"rate": RATES, "kind": KINDS}
    return axes.build(parameters, {"P1": P1, "P3": np.ones(5)}, settings or {}, order, TIMES)


def listing(*names, **states):
    runs = [(name, {"state": "finished", "hyperparameters": {"lr": i}}) for i, name in enumerate(names)]
    return Listing(tuple(runs), 0, 0.0)


def test_hyper_parameters_come_first_and_constant_axes_are_hidden():
    found = build()
    assert [axis.name for axis in found] == ["rate", "kind", "P1", "P3"]
    assert [axis.shown for axis in found] == [True, True, True, False]
    assert found[3].constant and found[2].caption == "accuracy at 100"
    assert found[0].log and not found[2].log
    assert found[1].words == ("adam", "sgd")
    np.testing.assert_array_equal(found[1].values, [1, 0, np.nan, 0, 1])


def test_settings_and_order_hold_and_survive_the_address():
    settings = {"P1": Setting(low=0.4, high=0.8), "P3": Setting(hidden=False), "rate": Setting(log=False)}
    state = UrlState({})
    state.update(axes.keys(settings, ("P1", "rate")))
    assert axes.settings(state) == settings
    found = build(axes.settings(state), state.get_all("ens_order"))
    assert [axis.name for axis in found] == ["P1", "rate", "kind", "P3"]
    assert found[3].shown and not found[1].log
    np.testing.assert_allclose(found[0].clamped(), [0.4, 0.8, 0.5, np.nan, 0.7])
    np.testing.assert_allclose(found[0].rescaled(), [0, 1, 0.25, np.nan, 0.75])


@pytest.mark.parametrize(
    "text", [b"[", b'["P1", "x", 1, null, null]', b'["P1", 1e999, 1, null, null]', b'["P1"]']
)
def test_settings_that_are_none_are_left_out(text):
    assert axes.settings(UrlState({"ens_axis": [text]})) == {}


def test_ranges_that_fit_no_more_are_not_taken():
    for low, high in ((5.0, None), (None, -1.0), (2.0, 1.0)):
        axis = build({"P1": Setting(low=low, high=high)})[2]
        assert axis.low < axis.high


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=40), st.booleans())
def test_ticks_lie_on_the_axis_apart_and_ascending(values, log):
    axis = build({"x": Setting(log=log)}, parameters={"x": np.array(values)})[0]
    places, labels = axes.ticks(axis)
    assert len(places) == len(labels) >= 1
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert all(b - a >= axes.NEAR - 1e-9 for a, b in itertools.pairwise(places))


def test_every_value_of_a_small_grid_has_its_tick():
    axis = build(parameters={"x": np.tile([0.1, 0.5, 0.9], 2)})[0]
    assert axes.ticks(axis) == ([0, 0.5, 1], ["0.1", "0.5", "0.9"])


def test_cells_are_means_of_the_runs_in_them():
    random = np.random.default_rng(0)
    a, b, values = random.choice([1.0, 2.0, 4.0], 60), random.uniform(0, 1, 60), random.uniform(0, 1, 60)
    values[:5], b[7] = np.nan, np.nan
    x, y = build(parameters={"a": a, "b": b})[:2]
    across, up = heat.levels(x), heat.levels(y)
    assert across.labels == ["1", "2", "4"] and len(up.labels) == heat.INTERVALS
    found = heat.grid(across, up, values)
    low, high = np.nanmin(b), np.nanmax(b)
    row = np.minimum((b - low) / (high - low) * 10 // 1, 9)
    for i in range(10):
        for j, value in enumerate((1.0, 2.0, 4.0)):
            here = values[(row == i) & (a == value) & np.isfinite(values)]
            assert found.runs[i, j] == len(here)
            if len(here):
                assert found.mean[i, j] == pytest.approx(here.mean())
            else:
                assert np.isnan(found.mean[i, j])
    assert np.isnan(found.x[7]) and np.isnan(found.y[7])
    np.testing.assert_array_equal(found.y[8:], row[8:])


def test_which_runs():
    some = listing("a", "sweep/x", "sweep/y", "other/z", "sweep/deep/u")
    assert run_groups.folders(some) == {"sweep": 3, ".": 5}
    assert run_groups.read(UrlState({}), some) == run_groups.Source(FOLDER, "sweep")
    assert run_groups.read(UrlState({"run": [b"a", b"sweep/x"]}), some).kind == RUNS
    assert run_groups.read(UrlState({"ens_match": [b"x"], "ens_folder": [b"sweep"]}), some).kind == MATCH

    def names(kind, value):
        return list(run_groups.members(run_groups.Source(kind, value), some)[0])

    assert names(FOLDER, "sweep") == ["sweep/x", "sweep/y", "sweep/deep/u"]
    assert len(names(FOLDER, ".")) == 5
    assert names(MATCH, "LR=[13]") == ["sweep/x", "other/z"]
    found, missing = run_groups.members(run_groups.Source(RUNS, ("a", "gone")), some)
    assert list(found) == ["a"] and "no such run" in missing["gone"]


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "(((a{99}){99}){99}", "x" * 300])
def test_patterns_that_are_none_or_cannot_be_searched_in_linear_time_are_refused(pattern):
    with pytest.raises(ValueError, match=r"pattern|expression"):
        run_groups.members(run_groups.Source(MATCH, pattern), listing("a", "b"))


def test_the_source_survives_the_address():
    for kind, value in ((FOLDER, "sweep"), (MATCH, "lr=1"), (RUNS, ("a", "b"))):
        one = run_groups.Source(kind, value)
        state = UrlState({FOLDER: [b"old"]})
        state.update(one.keys())
        assert run_groups.read(state, listing("c")) == one
