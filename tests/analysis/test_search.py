"""One search in plots: their number, their polynomials, their texts, and the minimum along a ray."""

import numpy as np
import pytest

from gdlab.analysis import search
from gdlab.records import KINDS, Table
from tests.analysis import numpy_descent as reference


@pytest.fixture(scope="module")
def descent():
    record = reference.descend(reference.rosenbrock, (-1.2, 1.0), steps=20)
    return record, *reference.tables(record)


def rows_of(evaluations, k):
    chosen = evaluations.columns["iteration"] == k
    return Table({name: values[chosen] for name, values in evaluations.columns.items()}, {}, {})


def test_n_evaluations_give_n_minus_one_plots_that_hand_on_their_step(descent):
    record, _, evaluations = descent
    for k in range(len(record.scalars)):
        rows = rows_of(evaluations, k)
        table = search.plots(rows)
        n = len(rows.columns["eta"])
        assert table.attrs["plots"] == max(1, n - 1)
        assert table.columns["j"].tolist() == list(range(1, max(2, n)))
        assert table.columns["current"][0] == rows.columns["eta"][0]
        if n > 1:
            assert np.array_equal(table.columns["current"][1:], table.columns["next"][:-1])
            assert table.columns["next"][-1] == record.scalars[k, 5]
            assert table.columns["accepted"].tolist() == [False] * (n - 2) + [True]


def test_polynomials_interpolate_the_values_at_their_anchors(descent):
    record, steps, evaluations = descent
    kinds = set()
    for k in range(len(record.scalars)):
        rows = rows_of(evaluations, k)
        table = search.plots(rows)
        known = dict(zip(rows.columns["eta"], rows.columns["phi"], strict=True)) | {
            0.0: steps.columns["loss"][k]
        }
        for row in range(table.attrs["plots"]):
            if search.has_polynomial(table, row):
                anchors = [table.columns[name][row] for name in ("anchor_a", "anchor_b")]
                expected = [known[anchor] for anchor in anchors]
                np.testing.assert_allclose(
                    search.polynomial(table, row, anchors), expected, rtol=1e-6, atol=1e-22
                )
                kinds.add(KINDS[int(table.columns["kind"][row])])
    assert kinds == {"cubic", "quadratic"}


def test_the_next_step_lies_in_the_allowed_interval(descent):
    record, _, evaluations = descent
    for k in range(len(record.scalars)):
        table = search.plots(rows_of(evaluations, k))
        for row in range(table.attrs["plots"]):
            limits = search.interval(table, row)
            if limits:
                assert limits[0] <= table.columns["next"][row] <= limits[1]


def one_row(**values):
    columns = {name: np.array([np.nan]) for name in (*search.SHOWN, "eta", "phi", "dphi")}
    base = {"search": 0.0, "phase": 1.0, "kind": 0.0, "accepted": 1.0, "eta": 0.5, "phi": 0.2, "dphi": 0.01}
    columns |= {name: np.array([value]) for name, value in (base | values).items()}
    return Table(columns, {}, {})


@pytest.mark.parametrize(("bound", "words"), [("lower", "(lower bound)"), ("upper", "(upper bound)")])
@pytest.mark.parametrize("off", [-1, 1])
def test_a_step_at_a_bound_is_at_it_whatever_the_last_bit_says(bound, words, off):
    eta = np.float64(np.float32(0.3))
    written = float(np.nextafter(np.float32(0.3), np.float32(off)))
    first = one_row(kind=2.0, accepted=0.0, anchor_a=0.0, anchor_b=0.5, lower=0.1, upper=0.9).columns
    first[bound] = np.array([written])
    rows = {name: np.append(values, values) for name, values in first.items()}
    rows["eta"] = np.array([0.5, eta])
    table = search.plots(Table(rows, {}, {}))
    assert table.columns[bound][0] == table.columns["next"][0] == eta
    assert dict(search.texts(table, 0))["η"].endswith(words)


def test_a_start_accepted_at_once_is_one_plot_without_polynomial():
    table = search.plots(one_row())
    assert table.attrs["plots"] == 1 and table.columns["accepted"][0]
    assert not search.has_polynomial(table, 0) and search.interval(table, 0) is None
    assert np.isnan(table.columns["next"][0])
    texts = dict(search.texts(table, 0))
    assert texts["η"] == "0.5" and texts["phase"] == "accepted at once"
    assert not {"cubic", "quadratic", "η*", "allowed"} & set(texts)


def test_a_repeated_search_shows_both(descent):
    _, _, evaluations = descent
    first = rows_of(evaluations, 0).columns
    both = {name: np.concatenate([values, values]) for name, values in first.items()}
    both["search"] = np.repeat([0.0, 1.0], len(first["eta"]))
    table = search.plots(Table(both, {}, {}))
    once = search.plots(rows_of(evaluations, 0)).attrs["plots"]
    assert table.columns["search"].tolist() == [0.0] * once + [1.0] * once


def test_no_rows_give_no_plots(descent):
    _, _, evaluations = descent
    assert search.plots(rows_of(evaluations, 10_000)).attrs["plots"] == 0


def test_texts_name_the_bound_that_was_taken(descent):
    record, _, evaluations = descent
    said = []
    for k in range(len(record.scalars)):
        table = search.plots(rows_of(evaluations, k))
        for row in range(table.attrs["plots"]):
            texts = dict(search.texts(table, row))
            limits, following = search.interval(table, row), table.columns["next"][row]
            for name, bound in zip(("lower", "upper"), limits or (), strict=False):
                if following == bound:
                    assert texts["η"].endswith(f"({name} bound)")
                    said.append(name)
            if np.isnan(table.columns["minimiser"][row]):
                assert texts.get("η*", "no minimum") == "no minimum"
    assert {"upper", "lower"} <= set(said)


def test_texts_are_honest_about_values_that_are_not_finite():
    table = search.plots(one_row(phi=np.inf, dphi=np.nan, accepted=0.0))
    assert dict(search.texts(table, 0))["φ"] == "not finite"
    assert search.number(-1.5e-7) == "−1.5e−07"


def test_ray_minimum_of_a_parabola_is_exact_between_samples():
    xi = np.linspace(7, 9, 12)
    at, lowest = search.ray_minimum(np.append(xi, np.nan), np.append(2 + (xi - 7.83) ** 2, np.nan))
    assert at == pytest.approx(7.83) and lowest == pytest.approx(2.0)


def test_ray_minimum_at_the_border_and_without_values():
    assert search.ray_minimum([1, 2, 3], [3, 2, 1]) == (3.0, 1.0)
    assert search.ray_minimum([1, 2], [np.nan, np.inf]) is None
