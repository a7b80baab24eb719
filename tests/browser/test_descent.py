"""The enhanced error curve in a real browser: from afar, near, filtered, live, exported."""

import csv

import make_runs
import numpy as np
import pytest
from playwright.sync_api import expect

from gdlab import store
from tests.browser.gestures import (
    TIMEOUT,
    address,
    becomes,
    column,
    drawn,
    eventually,
    middle,
    position,
    says,
    value,
    wait,
    x_range,
)
from tests.browser.sight import see
from tests.recording import own_code

pytestmark = pytest.mark.browser

SEGMENTS = "data('curve_segments', 'iteration').length + data('curve_noisy', 'iteration').length"


def open_curve(visit, trained, name: str, **query):
    page = visit(trained, run=name, page="descent", **query)
    drawn(page, "curve_figure")
    return page


def with_segments(page, count: int):
    becomes(page, SEGMENTS, count)
    return page


def lines(page, source: str) -> list[tuple]:
    """(iteration, xs, ys) of every segment of a source."""
    return list(zip(*(column(page, source, name) for name in ("iteration", "xs", "ys")), strict=True))


def steps(trained, name: str) -> dict:
    return store.open_run(trained / name).table("steps").columns


def test_every_dot_is_there_on_a_log_axis_and_segments_join_them(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    record = steps(trained, "rosenbrock")
    assert column(page, "curve_dots", "loss") == record["loss"].tolist()
    becomes(page, "model('curve_figure').y_scale.type", "LogScale")
    moved = np.flatnonzero(record["step_size"] > 0)
    with_segments(page, len(moved))
    for source in ("curve_segments", "curve_noisy"):
        for k, xs, ys in lines(page, source):
            assert ys[xs.index(k)] == record["loss"][k]
            assert ys[xs.index(k + 1)] == record["loss_end"][k]


def test_noise_is_marked_and_its_range_reported(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    says(page, "curve_caption", "numerical noise")
    noisy = column(page, "curve_noisy", "iteration")
    assert noisy and min(noisy) > 20
    assert column(page, "curve_noise", "x0") == noisy
    says(page, "curve_caption", f"Segments {min(noisy)}")


def test_the_wheel_zooms_the_axis_follows_and_the_address_keeps_it(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    before, height = x_range(page), x_range(page, "curve_y")
    page.mouse.move(*middle(page, "curve_figure", 0.2))
    page.mouse.wheel(0, -600)
    wait(page, "new URLSearchParams(location.search).has('x0')")
    wait(page, f"model('curve_y').start > {height[0]} * 10")
    after = x_range(page)
    assert after[1] - after[0] < before[1] - before[0]
    wait(page, f"Math.abs(new URLSearchParams(location.search).get('x0') - {after[0]}) < 1e-6")
    page.reload()
    drawn(page, "curve_figure")

    @eventually(page)
    def the_window_is_back():
        assert x_range(page) == pytest.approx(after, rel=1e-6)


def test_steps_of_zoom_back_and_reset(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    whole = x_range(page)
    page.get_by_role("button", name="+", exact=True).click()
    wait(page, f"model('curve_x').end - model('curve_x').start < {0.6 * (whole[1] - whole[0])}")
    once = x_range(page)
    wait(page, "new URLSearchParams(location.search).has('x0')")
    page.wait_for_function("(t) => performance.now() > t", arg=value(page, "performance.now()") + 450)
    page.get_by_role("button", name="+", exact=True).click()
    wait(page, f"model('curve_x').end - model('curve_x').start < {0.6 * (once[1] - once[0])}")
    page.get_by_role("button", name="Back").click()
    wait(page, f"Math.abs(model('curve_x').start - {once[0]}) < 1e-9")
    page.get_by_role("button", name="Reset").click()
    wait(page, f"Math.abs(model('curve_x').end - {whole[1]}) < 1e-9")
    wait(page, "!new URLSearchParams(location.search).has('x0')")


def test_dragging_pans_within_the_curve(visit, trained):
    page = open_curve(visit, trained, "rosenbrock", x0=5, x1=15)
    x, y = middle(page, "curve_figure")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y, steps=6)
    page.mouse.up()
    wait(page, "Number(new URLSearchParams(location.search).get('x0')) > 6")

    @eventually(page)
    def its_width_is_the_same():
        low, high = x_range(page)
        assert low > 6 and high - low == pytest.approx(10, rel=1e-3)


def test_filters_hide_what_they_say(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    record, trace = (
        steps(trained, "rosenbrock"),
        store.open_run(trained / "rosenbrock").table("evaluations").columns,
    )
    moved = np.flatnonzero(record["step_size"] > 0)
    with_segments(page, len(moved))
    page.get_by_role("button", name="Options").click()
    page.get_by_label("loose ends").uncheck()
    ends = "data('curve_segments', 'xs').map((xs) => xs.at(-1))"
    wait(page, f"{ends}.every((x, i) => x <= data('curve_segments', 'iteration')[i] + 1)")
    says(page, "curve_caption", "Loose ends hidden")
    page.get_by_label("only phase two").check()
    shrunk = sorted(set(trace["iteration"][trace["phase"] == 2].tolist()) & set(moved.tolist()))
    with_segments(page, len(shrunk))

    @eventually(page)
    def only_searches_with_phase_two_are_left():
        quiet, noisy = (column(page, name, "iteration") for name in ("curve_segments", "curve_noisy"))
        assert sorted(quiet + noisy) == shrunk

    address(page, phase2="1")
    many = [k for k in shrunk if record["evaluations"][k] > 6]
    value(page, "model('more_spinner').value = 6")
    with_segments(page, len(many))
    assert 0 < len(many) < len(shrunk)


def test_the_key_l_changes_the_axis_and_the_list_says_so(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    page.keyboard.press("l")
    becomes(page, "model('curve_figure').y_scale.type", "LinearScale")
    becomes(page, "model('scale_select').value", "linear")
    address(page, scale="linear")
    value(page, "model('scale_select').value = 'symlog'")
    becomes(page, "model('curve_figure').left[0].ticker.type", "FixedTicker")
    becomes(page, "model('curve_figure').left[0].axis_label", "error (symlog)")
    wait(page, "model('log_toggle').active")
    page.keyboard.press("l")
    wait(page, "model('curve_figure').y_scale.type === 'LinearScale' && !model('log_toggle').active")


def test_smoothing_keeps_the_raw_curve_behind(visit, trained):
    page = open_curve(visit, trained, "rosenbrock", smooth=0.9, scale="linear")
    record = steps(trained, "rosenbrock")["loss"]
    assert len(column(page, "curve_smooth", "y")) == len(record) == len(column(page, "curve_dots", "y"))
    total, mass, expected = 0.0, 0.0, []
    for loss in record:
        total, mass = 0.9 * total + loss, 0.9 * mass + 1
        expected.append(total / mass)
    assert column(page, "curve_smooth", "y") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("query", "label", "first"),
    [({"axis": "relative"}, "seconds since the start", 0.0), ({"logx": 1}, "iteration + 1", 1.0)],
)
def test_other_x_axes_place_the_same_dots_and_segments(visit, trained, query, label, first):
    page = open_curve(visit, trained, "rosenbrock", **query)
    becomes(page, "model('curve_figure').below[0].axis_label", label)
    x = column(page, "curve_dots", "x")
    assert x[0] == first and x == sorted(x)
    wait(page, f"{SEGMENTS} > 10")
    for k, xs, _ in lines(page, "curve_segments"):
        assert min(abs(point - x[k]) for point in xs) < 1e-9 + 1e-6 * abs(x[k])


def test_hovering_a_dot_shows_its_values_in_the_colours_of_the_theme(visit, trained):
    page = open_curve(visit, trained, "rosenbrock", theme="dark")
    losses = steps(trained, "rosenbrock")["loss"]
    with_segments(page, len(np.flatnonzero(steps(trained, "rosenbrock")["step_size"] > 0)))
    x, y = position(page, "curve_figure", 10, losses[10])
    page.mouse.move(x - 30, y + 40)
    page.mouse.move(x, y + 40, steps=4)
    tip = page.locator(".bk-Tooltip")
    expect(tip.locator(".bk-tooltip-content")).to_contain_text(f"{losses[10]:.6g}", timeout=TIMEOUT)
    expect(tip).to_have_css("background-color", "rgb(26, 30, 37)", timeout=TIMEOUT)


def test_where_the_batch_changes_a_dot_has_two_values_and_a_line_marks_it(visit, trained):
    page = open_curve(visit, trained, "galaxy")
    assert column(page, "curve_descents", "x") == [20, 40]
    record = steps(trained, "galaxy")
    assert column(page, "curve_before", "y") == [record["loss_end"][19], record["loss_end"][39]]
    assert record["loss_end"][19] != record["loss"][20]
    wait(page, "data('galaxy_0_bars_2', 'top').length > 10")

    @eventually(page)
    def every_example_is_counted_and_drawn():
        for number in range(3):
            assert sum(column(page, f"galaxy_0_bars_{number}", "top")) == 480
            assert len(column(page, f"galaxy_0_points_{number}", "x")) == 480


def test_the_map_has_contours_and_the_path_and_its_dots_can_be_tapped(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    wait(page, "data('map_image', 'image').length === 1 && data('map_contours', 'xs').length > 5")
    x, y = (column(page, "map_path", name) for name in "xy")
    assert (x[0], y[0]) == (-1.2, 1.0)
    value(page, "Bokeh.index.find_one(model('map_figure')).el.scrollIntoView()")
    page.mouse.click(*position(page, "map_figure", x[3], y[3]))
    address(page, k="3")
    becomes(page, "Array.from(data('map_chosen', 'x'))", [x[3]])


def test_a_change_of_theme_reaches_segments_and_map(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    wait(page, "data('map_image', 'image').length === 1")
    low = value(page, "model('map_bar').color_mapper.palette[0]")
    lines = "model('curve_figure').renderers.filter((r) => r.glyph.type === 'MultiLine')"
    colours = f"{lines}.map((r) => r.glyph.line_color.value)"
    light = value(page, colours)
    page.locator("#gd-theme").click()
    wait(page, f"model('map_bar').color_mapper.palette[0] !== '{low}'")

    @eventually(page)
    def no_segment_keeps_its_colour():
        dark = value(page, colours)
        assert light[0] == "#1d2430" and dark[0] == "#c8ced8" and len(set(light) & set(dark)) == 0


@pytest.mark.parametrize("kind", ["SVG", "PNG", "CSV"])
def test_the_curve_is_saved(visit, trained, kind, tmp_path):
    page = open_curve(visit, trained, "rosenbrock")
    menu = page.locator("[title='Save as SVG, PNG, CSV']").first
    menu.locator("button").first.click()
    with page.expect_download() as saved:
        menu.get_by_text(kind, exact=True).click()
    path = tmp_path / "file"
    saved.value.save_as(path)
    assert saved.value.suggested_filename == f"rosenbrock_curve.{kind.lower()}"
    content = path.read_bytes()
    if kind == "CSV":
        rows = list(csv.DictReader(content.decode().splitlines()))
        assert [float(row["loss"]) for row in rows] == steps(trained, "rosenbrock")["loss"].tolist()
    else:
        assert content.startswith(b"\x89PNG") if kind == "PNG" else b"<svg" in content


def test_a_live_run_grows_without_moving_the_window(visit, tmp_path):
    with make_runs.begin(tmp_path / "runs" / "live") as writer:
        make_runs.append(writer, 0, 400)
        page = visit(tmp_path / "runs", run="live", page="descent", x0=10, x1=390)
        drawn(page, "curve_figure")
        assert x_range(page) == (10, 390)
        make_runs.append(writer, 400, 400)
        # The pill is told last, after every view has read the record again.
        becomes(page, "document.querySelector('#gd-status').textContent", "live · iteration 800")
        becomes(page, "Math.max(...data('curve_strip', 'x'))", 800)
        assert x_range(page) == (10, 390)
        page.get_by_role("button", name="Reset").click()
        becomes(page, "data('curve_dots', 'x').length", 801)
        make_runs.append(writer, 800, 50)
        becomes(page, "data('curve_dots', 'x').length", 851)
        wait(page, "model('curve_x').end > 850")
        writer.set_status("finished")


def test_a_long_run_is_an_envelope_that_loses_no_spike_until_its_dots_are_near(visit, tmp_path):
    with make_runs.begin(tmp_path / "runs" / "long") as writer:
        make_runs.append(writer, 0, 30_000)
        make_runs.append(writer, 30_000, 1, seed=5)
        writer.set_status("finished")
    losses = store.open_run(tmp_path / "runs" / "long").table("steps").columns["loss"]
    page = visit(tmp_path / "runs", run="long", page="descent")
    drawn(page, "curve_figure")
    y = column(page, "curve_line", "y")
    assert len(y) <= 4000 and (min(y), max(y)) == (losses.min(), losses.max())
    assert column(page, "curve_dots", "x") == []
    value(page, "model('curve_x').setv({start: 15000, end: 16000})")
    wait(page, "data('curve_dots', 'x').length > 900")

    @eventually(page)
    def the_dots_are_the_record():
        shown = zip(*(column(page, "curve_dots", name) for name in ("iteration", "loss")), strict=True)
        shown = dict(shown)
        assert all(losses[k] == loss for k, loss in shown.items()) and 15_500 in shown

    says(page, "curve_caption", "Zoom in to 300")


def test_a_run_without_iterations_says_so_and_fills_up(visit, tmp_path):
    with make_runs.begin(tmp_path / "runs" / "new") as writer:
        writer.commit()
        page = visit(tmp_path / "runs", run="new", page="descent")
        drawn(page, "curve_figure")
        says(page, "curve_caption", "No iteration")
        make_runs.append(writer, 0, 400)
        becomes(page, "data('curve_dots', 'x').length", 401)
        writer.set_status("finished")


@pytest.mark.parametrize(
    "query", [{"x0": "9", "x1": "3"}, {"x0": "1e300", "x1": "2e300"}, {"axis": "moon", "smooth": "7"}]
)
def test_a_window_that_makes_no_sense_gives_the_whole_curve(visit, trained, query):
    page = open_curve(visit, trained, "rosenbrock", **query)
    low, high = x_range(page)
    assert low < 0 < 20 < high


def test_nothing_stays_at_the_edge_of_a_canvas_when_it_is_painted_again(visit, trained):
    page = open_curve(visit, trained, "rosenbrock")
    view = "Bokeh.index.find_one(model('curve_figure'))"
    layer = f"{view}.canvas_view.primary"
    edges = f"""(() => {{
      const {{ctx, canvas}} = {layer}
      const opaque = (...box) => ctx.getImageData(...box).data.filter((x, i) => i % 4 === 3 && x > 0).length
      return [opaque(0, 0, 1, canvas.height), opaque(0, 0, canvas.width, 1)]
    }})()"""
    value(page, f"(() => {{ {layer}.ctx.fillRect(-1, -1, 3, 400); {layer}.ctx.fillRect(-1, -1, 400, 3) }})()")
    assert min(value(page, edges)) > 100
    value(page, f"{view}.request_paint()")
    becomes(page, edges, [0, 0])


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """A folder with a run whose problem is code that the server does not allow."""
    root = tmp_path_factory.mktemp("refused")
    own_code(root / "runs" / "own", "record.functions=false")
    return root / "runs"


@pytest.mark.parametrize(
    ("page_name", "says_why"),
    [("descent", "map_progress_text"), ("line", "line_caption"), ("surface", "surface_a_words")],
)
def test_a_module_that_is_not_allowed_is_named_and_leaves_words_alone(visit, refused, page_name, says_why):
    page = visit(refused, page=page_name, run="own")
    if page_name == "surface":
        page.get_by_role("button", name="Compute").click()
    for words in ("my_own_bowl", "GDLAB_TARGETS is not set", "docs/security.md"):
        says(page, says_why, words)

    @eventually(page)
    def nothing_is_drawn_empty():
        assert see(page, "empty") == []


def test_what_is_drawn_empty_is_seen(visit, trained):
    page = visit(trained, page="descent", run="rosenbrock")
    wait(page, "model('map_figure').visible")
    assert see(page, "empty") == []
    page.evaluate("Bokeh.documents[0].get_model_by_name('map_image').clear()")
    assert see(page, "empty") == ["map_figure has a colour bar of nothing"]
    for source in ("map_contours", "map_path", "map_chosen"):
        page.evaluate(f"Bokeh.documents[0].get_model_by_name('{source}').clear()")
    assert see(page, "empty")[0] == "map_figure draws nothing"
