"""The surface in the page: what is drawn is what the probe computes, kept, shared, and told honestly."""

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis import surface
from gdlab.analysis.surface_options import settings
from gdlab.analysis.surfaces import fidelity, grid
from gdlab.execution.probing import run_probe
from tests.browser.gestures import address, becomes, column, drawn, eventually, position, says, value, wait
from tests.browser.sight import see
from tests.recording import record

pytestmark = pytest.mark.browser

SMALL = {"resolution": 5}
STEPS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A digits run with a small network, twice, and the functions of two and of one parameter."""
    root = tmp_path_factory.mktemp("surfaces")
    small = ("experiment=digits_cg", f"train.steps={STEPS}", "model.features=[4,10]", "train.batches=2")
    for seed in (0, 1):
        record(root / f"digits{seed}", *small, f"seed={seed}")
    record(root / "unrecorded", *small, path=False)
    record(root / "slow", "experiment=digits_cg", "train.steps=3", "model.features=[1024,10]")
    record(root / "valley", "experiment=rosenbrock", "train.steps=6")
    return root


def probe(folder, name, **options):
    """The probe's Table for a run, as the command line computes it."""
    return run_probe(folder / name, "surface", {**SMALL, **options})


def cells(page, place, name="value") -> np.ndarray:
    """A column of the cells that are hovered, NaN for null."""
    return np.array(column(page, f"surface_{place}_cells", name), float)


def finished(page, place) -> None:
    """Waits until a surface is drawn, nothing of it is missing, and its checks have followed."""
    becomes(page, f"model('surface_{place}_invite').tags[0]", "whole")
    wait(page, "model('surface_line_a') != null")
    drawn(page, f"surface_{place}_figure")


def options_opened(page) -> None:
    """Opens the options, whose widgets are made then."""
    page.get_by_role("button", name="Options").click()
    wait(page, "model('surface_plane') != null")


def kept(folder) -> dict:
    """What is kept of a run on disk: file and time of its last change."""
    return {path: path.stat().st_mtime_ns for path in (folder / "derived").rglob("*") if path.is_file()}


def test_compute_draws_the_probes_table_and_a_second_visit_needs_no_worker(visit, folder):
    page = visit(folder, run="digits0", page="surface", lines=5)
    says(page, "surface_a_words", "Not computed yet: 155 losses of 1,438 examples each")
    assert not value(page, "model('surface_a_figure').visible")
    page.get_by_role("button", name="Compute").click()
    finished(page, "a")
    before = kept(folder / "digits0")
    table = probe(folder, "digits0")
    assert kept(folder / "digits0") == before
    assert np.array_equal(cells(page, "a"), table.columns["value"].ravel())
    assert np.array_equal(cells(page, "a", "deviation"), table.columns["deviation"].ravel())
    assert column(page, "surface_a_dots", "x") == table.columns["path"][:, 0].tolist()
    explained = table.attrs["explained"]
    label = f"PC 1, {100 * explained[0]:.3g} % of the variance"
    becomes(page, "model('surface_a_figure').below[0].axis_label", label)
    assert column(page, "surface_line_a", "true") == table.columns["line_true"].tolist()
    assert column(page, "surface_line_a", "value") == table.columns["line_value"].tolist()
    assert f"{table.attrs['fidelity']['known_error']:.3g}" in value(page, "model('surface_numbers_a').text")
    again = visit(folder, run="digits0", page="surface", lines=5)
    finished(again, "a")
    assert np.array_equal(cells(again, "a"), table.columns["value"].ravel())
    # Any question to the worker leaves words here, also when it is answered.
    assert value(again, "model('surface_a_progress_text').text") == ""
    assert value(page, "model('surface_a_progress_text').text") != ""
    assert kept(folder / "digits0") == before


def test_the_lines_are_uneven_the_image_is_true_at_them_and_the_units_are_equal(visit, folder):
    table = probe(folder, "digits0")
    page = visit(folder, run="digits0", page="surface", lines=5, levels="linear", clip=0)
    finished(page, "a")
    x, y, picture = (table.columns[name] for name in ("x", "y", "value"))
    assert np.ptp(np.diff(x)) > 1e-3 and table.columns["path"][0, 0] in x
    left, right = (cells(page, "a", side).reshape(picture.shape)[0] for side in ("left", "right"))
    assert left[1:].tolist() == right[:-1].tolist() and (left <= x).all() and (x <= right).all()
    (image,) = column(page, "surface_a_image", "image")
    shape = value(page, "model('surface_a_image').get_column('image')[0].shape")
    image = np.asarray(image, float).reshape(shape)
    rows, columns = ((np.arange(n) + 0.5) / n for n in image.shape)
    points = np.stack(np.meshgrid(x[0] + columns * np.ptp(x), y[0] + rows * np.ptp(y)), axis=-1).reshape(
        -1, 2
    )
    expected = fidelity.interpolate(x, y, picture, points)
    assert np.allclose(image.ravel(), expected, rtol=1e-5)

    @eventually(page)
    def one_unit_is_as_long_on_both_axes():
        corner, across, up = (position(page, "surface_a_figure", *at) for at in ((0, 0), (0.5, 0), (0, 0.5)))
        assert across[0] - corner[0] == pytest.approx(corner[1] - up[1], rel=0.02)
        assert across[0] - corner[0] > 1


def test_a_computation_is_cancelled_and_continued(visit, folder):
    run = store.open_run(folder / "slow")
    page = visit(folder, run="slow", page="surface", lines=65, examples=1438)
    page.get_by_role("button", name="Compute").click()
    wait(page, "/urface \\d{2,}/.test(model('surface_a_progress_text').text)")
    wait(page, "data('surface_a_cells', 'value').some((loss) => loss > 0)")
    says(page, "surface_a_caption", "cells so far")
    page.get_by_role("button", name="Cancel").click()
    becomes(page, "model('surface_a_invite').tags[0]", "missing")
    says(page, "surface_a_words", "Not complete")
    becomes(page, "model('surface_a_compute').label", "Continue")
    options = {"resolution": 65, "samples": 1438}
    chosen = settings(run, **options)
    cache, rows = surface.cells_cache(run, chosen), 67 * 67 + surface.LINE + surface.KNOWN
    options_opened(page)
    # The worker answers one thing at a time: when this is there, it has let go of the other.
    value(page, "model('surface_resolution').value = '5'")
    says(page, "surface_a_words", "Not computed yet")
    page.get_by_role("button", name="Compute").click()
    finished(page, "a")
    done = np.asarray(cache.done(0, 67 * 67))
    assert 0 < done.sum() < done.size
    value(page, "model('surface_resolution').value = '65'")
    says(page, "surface_a_words", f"{(~cache.done(0, rows)).sum():,} losses")
    shown = surface.read(run, options)
    becomes(page, "data('surface_a_cells', 'value').length", 67 * 67)
    found = cells(page, "a").reshape(67, 67)
    assert np.array_equal(np.isfinite(found), shown.columns["done"])
    assert np.array_equal(found[shown.columns["done"]], shown.columns["value"][shown.columns["done"]])


def test_two_methods_share_scale_and_axes_and_their_difference_is_mapped(visit, folder):
    one, other = (probe(folder, "digits0", method=method) for method in ("averaged", "pca"))
    page = visit(folder, run="digits0", page="surface", lines=5, other="pca", clip=0)
    for place in "ab":
        finished(page, place)
    difference = (other.columns["value"] - one.columns["value"]).ravel()
    becomes(page, "model('surface_second').tags", ["difference", "whole"])
    becomes(page, "model('surface_second_title').text", "Difference of the losses")
    assert np.allclose(cells(page, "second"), difference, rtol=1e-12, atol=1e-15)
    reach = np.abs(difference).max()
    ends = value(page, "(({low, high}) => [low, high])(model('surface_second_mapper'))")
    assert ends == pytest.approx([-reach, reach])
    assert value(page, "model('surface_a_figure').x_range === model('surface_b_figure').x_range")
    assert value(page, "model('surface_a_figure').y_range === model('surface_second_figure').y_range")
    similarity = fidelity.structural_similarity(one.columns["value"], other.columns["value"])
    assert value(page, "model('surface_numbers_b').text").endswith(f"{similarity:.3g}")
    value(page, "model('surface_kind').value = 'distance'")
    address(page, second="distance")
    says(page, "surface_second_words", "Not computed yet")
    page.get_by_role("button", name="Compute").click()
    becomes(page, "model('surface_second').tags", ["distance", "whole"])
    expected = probe(folder, "digits0", against={"method": "pca"}).columns["distance"].ravel()
    assert np.array_equal(cells(page, "second"), expected) and expected.max() > 0


def test_two_runs_stand_side_by_side_on_planes_of_their_own(visit, folder):
    tables = [probe(folder, name) for name in ("digits0", "digits1")]
    page = visit(folder, run=["digits0", "digits1"], page="surface", lines=5)
    for place, table in zip("ab", tables, strict=True):
        finished(page, place)
        assert np.array_equal(cells(page, place), table.columns["value"].ravel())
    assert not value(page, "model('surface_a_figure').x_range === model('surface_b_figure').x_range")
    becomes(page, "model('surface_second').tags", ["uncertainty", "whole"])
    assert np.array_equal(cells(page, "second"), tables[0].columns["deviation"].ravel())


def test_a_point_of_the_path_is_hovered_and_chosen(visit, folder):
    table = probe(folder, "digits0")
    loss = store.open_run(folder / "digits0").table("steps").columns["loss"]
    page = visit(folder, run="digits0", page="surface", lines=5)
    finished(page, "a")
    spot = position(page, "surface_a_figure", *table.columns["path"][7])
    page.mouse.move(*spot)
    tip = page.locator(".bk-Tooltip", has_text="recorded loss").filter(has_text=f"{loss[7]:.6g}")
    tip.first.wait_for()
    page.mouse.click(*spot)
    address(page, k="7")
    becomes(page, "data('surface_a_chosen', 'x')[0]", table.columns["path"][7, 0])
    page.keyboard.press("ArrowRight")
    address(page, k="8")


def test_options_are_in_the_address_and_a_wrong_one_is_answered(visit, folder):
    page = visit(folder, run="digits0", page="surface", lines=5)
    finished(page, "a")
    options_opened(page)
    value(page, "model('surface_plane').value = 'checkpoints'")
    says(page, "surface_a_words", "allowed: two or three different iterations of the path, 0 to 12")
    value(page, "model('surface_through').value = '0, x'")
    says(page, "surface_a_words", "'x' is no iteration")
    assert not value(page, "model('surface_a_compute').visible")
    value(page, "model('surface_through').value = '0, 6, 12'")
    address(page, plane="checkpoints", through="0, 6, 12")
    page.get_by_role("button", name="Compute").click()
    finished(page, "a")
    table = probe(folder, "digits0", plane="checkpoints", checkpoints=[0, 6, 12])
    assert np.array_equal(cells(page, "a"), table.columns["value"].ravel())
    value(page, "model('surface_uncertainty').value = 'dropout'")
    page.get_by_role("button", name="Compute").click()
    says(page, "surface_a_words", "does not depend on a random key")


def test_how_many_draws_an_uncertainty_is_of(visit, folder):
    """Their number is in the address, within its range, and the map says how precise it makes a deviation."""
    page = visit(folder, run="digits0", page="surface", lines=5, scatter="late", draws=1)
    options_opened(page)
    becomes(page, "model('surface_draws').title", "Draws: standard error 8.9 %")
    assert value(page, "model('surface_draws').value") == 64
    value(page, "model('surface_draws').value = 9")
    address(page, draws="9")
    becomes(page, "model('surface_draws').title", "Draws: standard error 25 %")
    says(page, "surface_a_words", "Not computed yet")
    page.get_by_role("button", name="Compute").click()
    finished(page, "a")
    table = probe(folder, "digits0", uncertainty="late", draws=9)
    assert np.array_equal(cells(page, "a", "deviation"), table.columns["deviation"].ravel())
    share = 100 * np.nanmedian(table.columns["deviation_error"] / table.columns["deviation"])
    says(page, "surface_second_caption", f"Its standard error: {share:.2g} % (median)")
    again = visit(folder, run="digits0", page="surface", lines=5, scatter="late", draws=9)
    finished(again, "a")
    value(page, "model('surface_draws').value = 20000")
    becomes(page, "model('surface_draws').value", 10_000)
    value(page, "model('surface_draws').value = 64")
    address(page, draws=None)
    value(page, "model('surface_uncertainty').value = 'bootstrap'")
    becomes(page, "model('surface_draws').title", "Draws")


def test_a_path_that_was_not_recorded_is_announced_and_replayed(visit, folder):
    page = visit(folder, run="unrecorded", page="surface", lines=5)
    says(page, "surface_a_words", f"The path was not recorded: first a replay of {STEPS} iterations")
    page.get_by_role("button", name="Compute").click()
    finished(page, "a")
    recorded = probe(folder, "digits0").columns["value"].ravel()
    assert np.array_equal(cells(page, "a"), recorded)


def test_a_problem_without_examples_has_no_uncertainty(visit, folder):
    table = probe(folder, "valley")
    page = visit(folder, run="valley", page="surface", lines=5)
    finished(page, "a")
    assert np.array_equal(cells(page, "a"), table.columns["value"].ravel())
    says(page, "surface_second_words", "There are no examples")
    assert not value(page, "model('surface_second_figure').visible")


def test_cells_and_pictures_are_saved(visit, folder):
    table = probe(folder, "digits0")
    page = visit(folder, run="digits0", page="surface", lines=5)
    finished(page, "a")
    menu = page.locator(".gd-menu-surface_a")
    menu.locator(".bk-btn").click()
    with page.expect_download() as download:
        menu.locator(".bk-item", has_text="CSV").click()
    header, *rows = download.value.path().read_text().splitlines()
    assert header == "x,y,value,deviation,done"
    found = np.array([[float(cell) for cell in row.split(",")[:3]] for row in rows])
    assert np.array_equal(found[:, :2], grid.points(table.columns["x"], table.columns["y"]))
    assert np.array_equal(found[:, 2], table.columns["value"].ravel())
    menu.locator(".bk-btn").click()
    with page.expect_download() as download:
        menu.locator(".bk-item", has_text="SVG").click()
    text = download.value.path().read_text()
    assert text.startswith("<svg") and "of the variance" in text and "<image" in text


def test_on_a_narrow_page_the_current_tab_is_in_sight(visit, folder):
    page = visit(folder, run="digits0", page="surface", lines=5, width=800)
    inside = """() => {
      const tab = document.querySelector('.gd-tab[aria-current="page"]')
      const [a, b] = [tab.getBoundingClientRect(), tab.parentElement.getBoundingClientRect()]
      return tab.dataset.page === "surface" && a.left >= b.left - 1 && a.right <= b.right + 1
    }"""
    page.wait_for_function(inside)


def test_colour_bars_have_their_losses_beside_them_whatever_the_scale(visit, folder):
    tables = [probe(folder, "digits0", method=method).columns["value"] for method in ("averaged", "pca")]
    page = visit(folder, run="digits0", page="surface", lines=5)
    finished(page, "a")
    low, high = (end([end(table) for table in tables]) for end in (np.min, np.max))

    def numbers_between_the_ends(*maps: str) -> None:
        @eventually(page)
        def every_map_has_its_own():
            bars = {bar["figure"]: [float(label) for label in bar["labels"]] for bar in see(page, "bars")}
            assert set(maps) <= set(bars)
            for name in maps:
                assert len(bars[name]) >= 2 and bars[name] == sorted(bars[name])
            assert all(0.99 * low <= number <= 1.01 * high for number in bars["surface_a_figure"])

    was = value(page, "model('surface_a_bar').color_mapper.low")
    numbers_between_the_ends("surface_a_figure", "surface_second_figure")
    page.get_by_role("button", name="Log", exact=True).click()
    wait(page, f"model('surface_a_bar').color_mapper.low !== {was}")
    numbers_between_the_ends("surface_a_figure", "surface_second_figure")
    options_opened(page)
    value(page, "model('surface_other').value = 'pca'")
    finished(page, "b")
    numbers_between_the_ends("surface_a_figure", "surface_b_figure")
