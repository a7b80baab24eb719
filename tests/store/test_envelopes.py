"""Envelopes against brute force: nothing lost, nothing from outside, whatever the interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab import store
from gdlab.records import STEP_COLUMNS
from tests.store import runs

SCALARS = {"scalars": runs.ARRAYS["scalars"]}


def write(path, loss, blocks):
    """A run with this "slope" column, committed in blocks of the given sizes, over and over."""
    rows = np.zeros((len(loss), runs.WIDTH))
    rows[:, 4] = loss
    with runs.begin(path, arrays=SCALARS) as writer:
        start = 0
        while start < len(rows):
            for size in blocks:
                writer.append({"scalars": rows[start : start + size]})
                start += size
            writer.commit()
    return store.open_run(path)


def brute_force(values, start, stop, bucket):
    """[(first row, minimum, maximum, non-finite)] of the aligned buckets of [start, stop)."""
    rows = []
    for edge in range(start // bucket * bucket, stop, bucket):
        part = values[max(edge, start) : min(edge + bucket, stop)]
        good = part[np.isfinite(part)]
        low, high = (good.min(), good.max()) if len(good) else (np.nan, np.nan)
        rows.append((max(edge, start), low, high, len(part) - len(good)))
    return rows


def assert_exact(run, values, start, stop, points):
    table = run.envelope("slope", start, stop, points)
    bucket = table.attrs["bucket"]
    wanted = brute_force(values, start, stop, bucket)
    assert len(table.columns["iteration"]) == len(wanted) <= points
    for i, name in enumerate(("iteration", "minimum", "maximum", "nonfinite")):
        np.testing.assert_array_equal(table.columns[name], [row[i] for row in wanted])
    return bucket


numbers = st.one_of(st.floats(width=32), st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e300]))


@settings(max_examples=40)
@given(
    data=st.data(),
    length=st.integers(1, 1400),
    blocks=st.lists(st.integers(1, 300), min_size=1, max_size=4),
    few=st.lists(numbers, min_size=1, max_size=20),
    seed=st.integers(0, 2**32 - 1),
)
def test_envelope_equals_brute_force(tmp_path_factory, data, length, blocks, few, seed):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=length)
    values[generator.integers(0, length, len(few))] = few
    run = write(tmp_path_factory.mktemp("envelope") / "run", values, blocks)
    for _ in range(5):
        start = data.draw(st.integers(0, length - 1))
        stop = data.draw(st.integers(start + 1, length))
        assert_exact(run, values, start, stop, data.draw(st.integers(3, 200)))


def test_a_spike_is_never_lost(tmp_path):
    values = np.zeros(100_000)
    values[54_321] = 7.0
    run = write(tmp_path / "run", values, [4096])
    for points in (3, 10, 100, 3000):
        table = run.envelope("slope", points=points)
        assert table.columns["maximum"].max() == 7.0
        assert points / 2 - 1 <= len(table.columns["maximum"]) <= points
        assert_exact(run, values, 54_000, 54_321, points)
        assert run.envelope("slope", 54_000, 54_321, points).columns["maximum"].max() == 0.0


def test_few_rows_are_given_as_they_are(tmp_path):
    values = np.array([1.0, np.nan, 3.0, np.inf])
    run = write(tmp_path / "run", values, [4])
    table = run.envelope("slope", points=4)
    assert table.attrs["bucket"] == 1
    np.testing.assert_array_equal(table.columns["minimum"], [1.0, np.nan, 3.0, np.nan])
    np.testing.assert_array_equal(table.columns["maximum"], table.columns["minimum"])
    np.testing.assert_array_equal(table.columns["nonfinite"], [0, 1, 0, 1])


@pytest.mark.parametrize("points", [5, 50, 2000])
def test_the_loss_has_the_last_dot_too(tmp_path, points):
    runs.record(tmp_path / "run", 300)
    run = store.open_run(tmp_path / "run")
    loss = run.table("steps").columns["loss"]
    table = run.envelope("loss", points=points)
    assert table.columns["iteration"][-1] == 300
    assert len(table.columns["iteration"]) <= points
    assert table.columns["minimum"][-1] == table.columns["maximum"][-1] == loss[-1]
    assert table.columns["minimum"].min() == loss.min() and table.columns["maximum"].max() == loss.max()
    np.testing.assert_array_equal(run.envelope("loss", 300).columns["minimum"], loss[300:])
    assert len(run.envelope("grad_norm", 300).columns["minimum"]) == 0


def test_the_levels_are_the_same_however_rows_arrive(tmp_path):
    values = np.random.default_rng(0).normal(size=5000)
    one = write(tmp_path / "one", values, [5000])
    many = write(tmp_path / "many", values, [1, 15, 17, 250, 3])
    for level in (1, 2, 3):
        name = f"envelope/scalars/L{level}"
        assert one.rows(name) == 5000 // 16**level
        np.testing.assert_array_equal(one.array(name), many.array(name))


def test_too_few_points_are_refused(tmp_path):
    run = write(tmp_path / "run", np.zeros(4), [4])
    with pytest.raises(ValueError, match="at least 3"):
        run.envelope("slope", points=2)


def test_the_column_is_where_the_test_thinks():
    assert STEP_COLUMNS[4] == "slope"
