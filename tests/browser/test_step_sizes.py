"""The page of step sizes: what it draws is what the analysis says; window, scale, layers, files."""

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis import step_sizes
from server.pages.steps import data
from tests.browser.gestures import address, becomes, column, drawn, eventually, middle, says, wait, x_range
from tests.browser.sight import see
from tests.recording import record

pytestmark = pytest.mark.browser

OPTIMIZERS = ("digits_cg", "digits_sgd", "digits_momentum", "digits_adam")


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """The same network under four optimizers, and a run without layers."""
    root = tmp_path_factory.mktemp("digits")
    for name in OPTIMIZERS:
        record(root / name, f"experiment={name}", "train.steps=60")
    record(root / "rosenbrock", "experiment=rosenbrock")
    return root


def open_page(visit, folder, *names, **query):
    page = visit(folder, page="steps", run=names, **query)
    drawn(page, "step_size_figure")
    return page


def averages(folder, name, quantity, window, start=0, stop=None):
    run = store.open_run(folder / name)
    stop = run.rows("scalars") if stop is None else stop
    return step_sizes.averages(data.reader(run, quantity), start, stop, window).columns


def check(page, source, wanted):
    """Waits until a line is that of a table of averages."""

    @eventually(page)
    def same():
        found = np.array(column(page, source, "value"), float)
        assert found.shape == wanted["mean"].shape
        np.testing.assert_allclose(found, wanted["mean"], rtol=1e-12)
        np.testing.assert_allclose(column(page, source, "k"), wanted["iteration"])


def test_what_is_drawn_is_what_the_analysis_says(visit, digits):
    page = open_page(visit, digits, "digits_cg", "digits_adam")
    for index, name in enumerate(("digits_cg", "digits_adam")):
        check(page, f"step_size_update_norm_{index}", averages(digits, name, "update_norm", 10))
        check(page, f"step_size_loss_{index}", averages(digits, name, "loss", 10))
        check(page, f"step_ratio_ratio_{index}", averages(digits, name, "ratio", 10))
    check(page, "step_width_step_size_0", averages(digits, "digits_cg", "step_size", 10))
    says(page, "step_width_caption", "1 of the runs has not recorded it")
    says(page, "step_size_caption", "Means over 10 iterations. Dashed: the loss")


def test_another_window_averages_anew_and_is_in_the_address(visit, digits):
    page = open_page(visit, digits, "digits_sgd")
    check(page, "step_size_update_norm_0", averages(digits, "digits_sgd", "update_norm", 10))
    handle = page.locator(".noUi-handle").first
    for _ in range(4):
        handle.press("ArrowLeft")
    address(page, window="6")
    check(page, "step_size_update_norm_0", averages(digits, "digits_sgd", "update_norm", 6))
    says(page, "step_summary_caption", "Means over 6 iterations")
    again = open_page(visit, digits, "digits_sgd", window=6)
    check(again, "step_size_update_norm_0", averages(digits, "digits_sgd", "update_norm", 6))


def test_the_key_l_switches_the_scale_of_every_card(visit, digits):
    page = open_page(visit, digits, "digits_sgd")
    scale = "Bokeh.documents[0].get_model_by_name('{}').y_scale.type".format
    for key, name in ((None, "LogScale"), ("l", "LinearScale"), ("l", "LogScale")):
        if key:
            page.keyboard.press(key)
        becomes(page, scale("step_size_figure"), name)
        becomes(page, scale("step_ratio_figure"), name)
        becomes(page, "model('step_size_figure').extra_y_scales.second?.type ?? "
                "model('step_size_figure').extra_y_scales.get('second').type", name)  # fmt: skip
    becomes(page, "model('log_toggle').active", True)


def test_zooming_averages_what_is_in_view_and_all_cards_follow(visit, digits):
    page = open_page(visit, digits, "digits_sgd", window=2)
    becomes(page, "data('step_size_update_norm_0', 'x').length", 30)
    page.mouse.move(*middle(page, "step_ratio_figure"))
    page.mouse.wheel(0, -400)

    @eventually(page)
    def fewer():
        low, high = x_range(page)
        k = np.array(column(page, "step_size_update_norm_0", "k"))
        assert 0 < len(k) < 30 and high - low < 60
        assert k.min() <= low + 2 and k.max() >= high - 2
        np.testing.assert_array_equal(column(page, "step_ratio_ratio_0", "k"), k)

    page.keyboard.press("Escape")
    becomes(page, "new URLSearchParams(location.search).get('page')", "runs")


def test_the_loss_is_switched_off_and_on(visit, digits):
    page = open_page(visit, digits, "digits_sgd")
    becomes(page, "data('step_size_loss_0', 'x').length", 6)
    page.get_by_role("button", name="Loss").click()
    becomes(page, "data('step_size_loss_0', 'x').length", 0)
    address(page, loss="0")
    page.get_by_role("button", name="Loss").click()
    becomes(page, "data('step_size_loss_0', 'x').length", 6)
    address(page, loss=None)


def test_layers_are_bands_on_one_scale(visit, digits):
    page = open_page(visit, digits, "digits_cg", "digits_adam")
    layers = list(store.open_run(digits / "digits_cg").columns(data.SIZES))
    becomes(page, "data('step_layers_lines', 'layer').length", 2 * len(layers))
    wanted = {name: averages(digits, name, "layers", 10)["mean"] for name in ("digits_cg", "digits_adam")}
    names = {"conjugate_gradient": "digits_cg", "adam": "digits_adam"}

    def values():
        parts = (column(page, "step_layers_lines", name) for name in ("run", "layer", "value", "ys"))
        return list(zip(*parts, strict=True))

    heights = {}
    for run, layer, found, y in values():
        np.testing.assert_allclose(found, wanted[names[run]][:, layers.index(layer)])
        base = len(layers) - 1 - layers.index(layer)
        assert np.all((np.array(y) >= base) & (np.array(y) < base + 1))
        heights |= {round(v, 12): round(h - base, 9) for v, h in zip(found, y, strict=True)}
    ordered = [heights[value] for value in sorted(heights)]  # one scale for all: larger is higher
    assert ordered == sorted(ordered)
    page.locator(".gd-menu-step_layers").wait_for()
    page.locator("select", has_text="update ratio").first.select_option(label="update ratio")
    address(page, layerkind="layer_ratio")
    ratios = averages(digits, "digits_cg", "layer_ratio", 10)["mean"]

    @eventually(page)
    def shown():
        (found,) = (v for run, layer, v, _ in values() if names[run] == "digits_cg" and layer == layers[0])
        np.testing.assert_allclose(found, ratios[:, 0])


def test_a_run_without_layers_says_so(visit, digits):
    page = open_page(visit, digits, "rosenbrock")
    says(
        page,
        "step_layers_empty_message",
        "record.layers=true",
    )
    assert page.evaluate("Bokeh.documents[0].get_model_by_name('step_layers')") is None
    path = store.open_run(digits / "rosenbrock").array("path")
    ratio = np.linalg.norm(np.diff(path, axis=0), axis=1) / np.linalg.norm(path[:-1], axis=1)
    wanted = step_sizes.averages(lambda a, b: ratio[a:b], 0, len(ratio), 10).columns

    @eventually(page)
    def same():
        found = np.array(column(page, "step_ratio_ratio_0", "value"), float)
        assert found.shape == wanted["mean"].shape
        np.testing.assert_allclose(found, wanted["mean"], rtol=1e-6)


def test_the_table_holds_the_summary(visit, digits):
    page = open_page(visit, digits, "digits_sgd", "digits_adam")
    becomes(page, "data('step_summary_rows', 'run')", ["sgd", "adam"])
    run = store.open_run(digits / "digits_sgd")
    means = step_sizes.averages(data.reader(run, "update_norm"), 0, 60, 10)
    for name, value in step_sizes.summary(means).items():
        assert column(page, "step_summary_rows", name)[0] == pytest.approx(value)
    lowest = averages(digits, "digits_sgd", "loss", 10)["mean"].min()
    assert column(page, "step_summary_rows", "lowest")[0] == pytest.approx(lowest)


def test_four_runs_are_ranked(visit, digits):
    page = open_page(visit, digits, *OPTIMIZERS, share=0.25)
    becomes(page, "data('step_prediction_points', 'x').length", 4)
    sizes = [np.mean(averages(digits, name, "update_norm", 1)["mean"][:15]) for name in OPTIMIZERS]
    lowest = [averages(digits, name, "loss", 10)["mean"].min() for name in OPTIMIZERS]
    np.testing.assert_allclose(column(page, "step_prediction_points", "x"), sizes)
    np.testing.assert_allclose(column(page, "step_prediction_points", "y"), lowest)
    rho, p = step_sizes.rank_correlation(sizes, lowest)
    words = f"step size ρ = {rho:.2f}, p = {p:.2g} (4 runs)".replace("-", "−")
    says(page, "step_prediction_caption", f"First 25 % of each run against its lowest loss: {words}")


def test_three_runs_are_not(visit, digits):
    page = open_page(visit, digits, *OPTIMIZERS[:3])
    wait(page, "model('step_summary_table') != null")
    assert page.evaluate("Bokeh.documents[0].get_model_by_name('step_prediction').visible") is False


@pytest.mark.parametrize("card", ["step_size", "step_layers", "step_prediction"])
def test_a_card_is_saved(visit, digits, card):
    page = open_page(visit, digits, *OPTIMIZERS)
    drawn(page, f"{card}_figure")
    page.wait_for_function("gdlab.settled()", polling=250)
    saved = {}
    for label in ("SVG", "PNG", "CSV"):
        page.locator(f".gd-menu-{card} .bk-btn").click()
        with page.expect_download() as download:
            page.locator(f".gd-menu-{card} .bk-item", has_text=label).click()
        saved[label] = download.value.path().read_bytes()
    assert saved["PNG"][:8] == b"\x89PNG\r\n\x1a\n"
    assert len(list(ElementTree.fromstring(saved["SVG"]).iter("{http://www.w3.org/2000/svg}path"))) > 4
    rows = list(csv.DictReader(io.StringIO(saved["CSV"].decode())))
    if card == "step_size":
        adam = [float(row["value"]) for row in rows if row["run"] == "digits_adam"]
        assert adam == list(averages(digits, "digits_adam", "update_norm", 10)["mean"])
    elif card == "step_layers":
        layers = len(store.open_run(digits / "digits_adam").columns(data.SIZES))
        assert len(rows) == 4 * 6 * layers
    else:
        assert [row["run"] for row in rows] == list(OPTIMIZERS)


def test_the_dark_theme_repaints_the_lines(visit, digits):
    page = open_page(visit, digits, "digits_sgd")
    colour = "model('step_size_figure').renderers.at(-1).glyph.line_color.value"
    light = page.evaluate(colour.replace("model(", "Bokeh.documents[0].get_model_by_name("))
    page.locator("#gd-theme").click()
    wait(page, f"{colour} !== {json.dumps(light)}")


def test_between_two_iterations_the_axis_has_fractions(visit, digits):
    page = open_page(visit, digits, "digits_sgd")
    for low, high, whole in ((0, 60, True), (4.02, 4.98, False), (4.9, 5.1, True)):
        plot = "Bokeh.documents[0].get_model_by_name('step_size_figure')"
        page.evaluate(f"{plot}.x_range.setv({{start: {low}, end: {high}}})")

        @eventually(page)
        def numbered(low=low, high=high, whole=whole):
            axes = [axis for axis in see(page, "axes") if axis["figure"] == "step_size_figure"]
            labels = next(axis["labels"] for axis in axes if axis["side"] == "below")
            numbers = [float(label.replace(",", "")) for label in labels]
            assert numbers and all(low <= number <= high for number in numbers)
            assert all(number == int(number) for number in numbers) == whole
