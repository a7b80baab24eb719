"""The line between two points of a training, in a real browser: what it shows is what the probe computes."""

import csv
import shutil

import make_runs
import numpy as np
import pytest

from gdlab import store
from gdlab.execution.probing import run_probe
from tests.browser.gestures import address, becomes, column, drawn, eventually, middle, says, value, wait
from tests.recording import record

pytestmark = pytest.mark.browser

NETWORK = ("problem=classification", "dataset=digits", "model=modified_lenet", "model.filters=[3]")
TRAINING = ("optimizer=adam", "train.steps=30", "train.batch_size=64")
LAYERS = ["conv1", "dense1"]
IDLE = "!model('line_progress').visible"


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """Two small networks and a function of two numbers."""
    root = tmp_path_factory.mktemp("lines")
    record(root / "slow", *NETWORK, *TRAINING)
    record(root / "fast", *NETWORK, *TRAINING, "optimizer.learning_rate=0.01")
    record(root / "plane", "experiment=rosenbrock")
    return root


@pytest.fixture(scope="module")
def probed(lines, tmp_path_factory):
    """probed(run, **options) -> columns of the probe, computed from a copy: nothing kept is read again."""
    copies = tmp_path_factory.mktemp("copies")

    def ask(name: str, **options):
        path = copies / f"{name}{len(list(copies.iterdir()))}"
        shutil.copytree(lines / name, path, ignore=shutil.ignore_patterns("derived"))
        options = {"samples": 1000, "points": 31, "low": -0.25, "high": 1.25, **options}
        return run_probe(path, "interpolation", options).columns

    return ask


def open_line(visit, folder, *names: str, **query):
    page = visit(folder, page="line", run=list(names), **query)
    drawn(page, "line_loss")
    wait(page, f"data('line_rows', 'layer').length > 0 && {IDLE}")
    return page


def test_both_curves_are_those_of_the_probe_and_the_ends_are_marked(visit, lines, probed):
    page = open_line(visit, lines, "slow")
    expected = probed("slow")
    assert column(page, "line_curve_0", "a") == pytest.approx(expected["alpha"])
    for name in ("loss", "accuracy"):
        assert column(page, "line_curve_0", name) == pytest.approx(expected[name][0], rel=1e-6)
    assert column(page, "line_ends_0", "a") == [0, 1]
    at = np.flatnonzero(np.isin(expected["alpha"], (0, 1)))
    assert column(page, "line_ends_0", "loss") == pytest.approx(expected["loss"][0][at], rel=1e-6)
    says(page, "line_caption", "between iterations 0 and 30, 31 points, at most 1,000 examples")


def test_each_layer_has_its_figure_and_its_row(visit, lines, probed):
    page = open_line(visit, lines, "slow")
    expected = probed("slow")
    becomes(page, "data('line_rows', 'layer')", ["whole network", *LAYERS])
    path = np.asarray(store.open_run(lines / "slow").array("path"), float)
    distance = column(page, "line_rows", "distance")
    assert distance[0] == pytest.approx(np.linalg.norm(path[-1] - path[0]), rel=1e-6)
    assert distance[1] ** 2 + distance[2] ** 2 == pytest.approx(distance[0] ** 2, rel=1e-6)
    start = expected["alpha"].tolist().index(0.0)
    assert column(page, "line_rows", "loss") == pytest.approx(expected["loss"][:, start], rel=1e-6)
    for index, layer in enumerate(LAYERS):
        becomes(page, f"model('line_layer_{index}').title.text", layer)
        drawn_values = column(page, f"line_layer_{index}_curve_0", "y")
        assert drawn_values == pytest.approx(expected["loss"][index + 1], rel=1e-6)
        assert column(page, f"line_layer_{index}_whole_0", "y") == column(page, "line_curve_0", "loss")
    value(page, "model('line_measure').value = 'accuracy'")
    address(page, line_measured="accuracy")

    @eventually(page)
    def the_figures_show_accuracies():
        for index in range(2):
            values = column(page, f"line_layer_{index}_curve_0", "y")
            assert values == pytest.approx(expected["accuracy"][index + 1])


def test_other_ends_data_and_points_are_computed_and_kept_in_the_address(visit, lines, probed):
    page = open_line(visit, lines, "slow")
    value(page, "model('line_from').value = 4")
    value(page, "model('line_to').value = 20")
    value(page, "model('line_part').value = 'test'")
    value(page, "model('line_points').value = '16'")
    value(page, "model('line_span').value = 'inner'")
    address(page, line_from="4", line_to="20", line_part="test", line_points="16", line_span="inner")
    expected = probed("slow", start=4, stop=20, on="test", points=16, low=0.0, high=1.0)

    def shows_it():
        assert column(page, "line_curve_0", "loss") == pytest.approx(expected["loss"][0], rel=1e-6)
        assert column(page, "line_rows", "distance") == pytest.approx(expected["distance"], rel=1e-6)

    eventually(page)(shows_it)
    says(
        page, "line_caption", "between iterations 4 and 20, 16 points, at most 1,000 examples of the test set"
    )
    page.reload()
    drawn(page, "line_loss")
    eventually(page)(shows_it)
    becomes(page, "[model('line_from').value, model('line_to').value]", [4, 20])


def test_runs_lie_over_one_another_in_their_colours(visit, lines, probed):
    page = open_line(visit, lines, "fast", "slow")
    wait(page, "data('line_rows', 'layer').length === 6")
    for index, name in enumerate(("fast", "slow")):
        losses = column(page, f"line_curve_{index}", "loss")
        assert losses == pytest.approx(probed(name)["loss"][0], rel=1e-6)
        facet = column(page, f"line_layer_1_curve_{index}", "y")
        assert facet == pytest.approx(probed(name)["loss"][2], rel=1e-6)
    glyphs = "model('line_loss').renderers.map((r) => r.glyph).filter((g) => g.type === 'Line')"
    colours = f"{glyphs}.map((g) => g.line_color.value)"
    chips = "[0, 1].map((i) => model(`runbar_colour_${i}`).color)"
    becomes(page, colours, value(page, chips))
    page.locator("#gd-theme").click()
    wait(page, "document.documentElement.dataset.theme === 'dark'")

    @eventually(page)
    def they_are_those_of_the_dark_theme():
        shown = value(page, colours)
        assert shown == value(page, chips) and "#0072b2" not in shown

    value(page, "model('runbar_colour_0').color = '#123456'")
    wait(page, f"{colours}[0] === '#123456'")


def test_a_function_of_numbers_has_neither_accuracy_nor_layers_nor_data(visit, lines):
    page = open_line(visit, lines, "plane")
    record_ = store.open_run(lines / "plane").table("steps").columns["loss"]
    a, loss = column(page, "line_curve_0", "a"), column(page, "line_curve_0", "loss")
    assert (loss[a.index(0)], loss[a.index(1)]) == pytest.approx((record_[0], record_[-1]), rel=1e-9)
    becomes(page, "model('line_accuracy').visible", False)
    becomes(page, "model('line_layers').visible", False)
    becomes(page, "model('line_part') == null && model('line_samples') == null", True)
    assert column(page, "line_rows", "layer") == ["all parameters"]


def test_the_key_l_and_the_button_change_the_error_axis(visit, lines):
    page = open_line(visit, lines, "plane", line_error="linear")
    becomes(page, "model('line_loss').y_scale.type", "LinearScale")
    page.keyboard.press("l")
    becomes(page, "model('line_loss').y_scale.type", "LogScale")
    wait(page, "model('line_log').active")
    address(page, line_error="log")
    page.get_by_role("button", name="Log").click()
    becomes(page, "model('line_loss').y_scale.type", "LinearScale")
    address(page, line_error="linear")


def test_a_line_needs_two_points(visit, lines, tmp_path):
    page = visit(lines, page="line", run="slow", line_from=30)
    drawn(page, "line_loss")
    says(page, "line_caption", "both ends are iteration 30; choose two")
    value(page, "model('line_from').value = 29")
    wait(page, "data('line_curve_0', 'a').length > 0")
    with make_runs.begin(tmp_path / "runs" / "new") as writer:
        writer.commit()
        empty = visit(tmp_path / "runs", page="line", run="new")
        says(empty, "line_caption", "no iteration has been recorded yet")
        writer.set_status("finished")


def test_what_the_address_should_not_hold_is_passed_over(visit, lines):
    odd = {"from": "-3", "to": "moon", "part": "<b>", "samples": "7", "points": "1e9", "span": "x"}
    odd = {f"line_{key}": value for key, value in odd.items()}
    page = open_line(visit, lines, "slow", **odd)
    says(
        page, "line_caption", "between iterations 0 and 30, 31 points, at most 1,000 examples of the training"
    )


def test_hovering_names_the_values_and_a_narrow_page_does_not_scroll_sideways(visit, lines):
    page = open_line(visit, lines, "slow", width=800)
    assert value(page, "document.documentElement.scrollWidth") <= 800
    x, y = middle(page, "line_loss")
    page.mouse.move(x - 20, y)
    page.mouse.move(x, y, steps=4)
    tip = page.locator(".bk-Tooltip").first
    tip.wait_for()

    @eventually(page)
    def the_tip_names_a_position_its_error_and_its_accuracy():
        words = tip.locator(".bk-tooltip-content").all_inner_texts()[0].split()
        nearest = column(page, "line_curve_0", "a").index(pytest.approx(float(words[words.index("a:") + 1])))
        loss = column(page, "line_curve_0", "loss")[nearest]
        assert f"{loss:.6g}" in words and "accuracy:" in words


def test_the_rows_of_both_cards_are_saved(visit, lines, tmp_path):
    page = open_line(visit, lines, "slow")
    wait(page, "data('line_rows', 'layer').length === 3")
    for card, count in (("line", 31), ("line_layers", 93), ("line_distances", 3)):
        page.locator(f".gd-menu-{card} .bk-btn").click()
        with page.expect_download() as saved:
            page.locator(f".gd-menu-{card} .bk-item", has_text="CSV").click()
        rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
        assert len(rows) == count
        if card == "line":
            losses = [float(row["loss"]) for row in rows]
            assert losses == column(page, "line_curve_0", "loss")


def test_a_long_line_is_cancelled_and_goes_on_from_where_it_was(visit, tmp_path):
    record(tmp_path / "long", "experiment=galaxy_batch", "dataset.n_per_class=20000", "train.steps=2")
    page = visit(tmp_path, page="line", run="long", line_samples="all", line_points="61")
    wait(page, "/a = /.test(model('line_progress_text').text) && model('line_progress').visible")
    page.get_by_role("button", name="Cancel").click()
    says(page, "line_caption", "Cancelled")
    wait(page, IDLE)
    there = len(column(page, "line_rows", "layer"))
    page.get_by_role("button", name="Again").click()
    wait(page, f"data('line_rows', 'layer').length > {there}")
    page.get_by_role("button", name="Cancel").click()
    says(page, "line_caption", "Cancelled")
