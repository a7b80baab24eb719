"""Segments while they are computed and cancelled, on the training set, and along the time axes."""

import jax
import numpy as np
import pytest
import zarr
from jax.flatten_util import ravel_pytree

from gdlab import store
from gdlab.plan.assembly import assemble
from gdlab.plan.options import plan_of
from gdlab.training.devices import precision
from tests.browser.gestures import address, becomes, column, drawn, eventually, says, value, wait
from tests.recording import record

pytestmark = pytest.mark.browser

LONG = 160  # iterations, each of whose segments takes its time


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A folder with a run whose segments take long: batch training on many examples."""
    root = tmp_path_factory.mktemp("long")
    record(root / "long", "experiment=galaxy_batch", "dataset.n_per_class=4000", f"train.steps={LONG}")
    return root


def lines(page) -> dict:
    """{iteration: (xs, ys)} of the segments that are drawn."""
    columns = (column(page, "curve_segments", name) for name in ("iteration", "xs", "ys"))
    return {k: (xs, ys) for k, xs, ys in zip(*columns, strict=True)}


def kept(folder) -> dict:
    """What has been computed from a run and kept on disk: file and time of its last change."""
    return {path: path.stat().st_mtime_ns for path in (folder / "derived").rglob("*") if path.is_file()}


def done(folder) -> np.ndarray:
    """Which iterations' segments are kept."""
    caches = [zarr.open_group(path, mode="r") for path in (folder / "derived").glob("*.zarr")]
    (segments,) = (cache for cache in caches if cache.attrs["gdlab"]["kind"] == "segments")
    return np.asarray(segments["done"][:], bool)


def test_cancelled_segments_are_not_computed_any_further_and_kept_as_far_as_they_came(visit, long):
    page = visit(long, run="long", page="descent")
    drawn(page, "curve_figure")
    wait(page, "/egment \\d\\d/.test(model('curve_progress_text').text) && model('curve_progress').visible")
    page.get_by_role("button", name="Cancel").click()
    says(page, "curve_caption", "Segments were cancelled")
    becomes(page, "model('curve_progress').visible", False)
    # The worker computes one thing at a time, so it answers this only after it has let go of the others.
    page.keyboard.press("ArrowLeft")
    becomes(page, "model('details_title').text", f"Line search at iteration {LONG - 1}")
    wait(page, "data('details_0_segment', 'x').length > 20")
    there = done(long / "long")
    assert there[:10].all() and there[LONG - 1] and there.sum() < LONG - 20
    # The view moves to what came: it is drawn without being computed, or written, again.
    before = kept(long / "long")
    value(page, "model('curve_x').setv({start: 1.5, end: 8.5})")
    becomes(page, "Array.from(data('curve_segments', 'iteration'))", list(range(1, 9)))
    says(page, "curve_caption", "Tap a dot for its details")
    assert kept(long / "long") == before


def test_segments_of_the_training_set_are_its_error_along_the_direction(visit, trained):
    run = store.open_run(trained / "galaxy")
    page = visit(trained, run="galaxy", page="descent", x0=18.5, x1=22.5)
    drawn(page, "curve_figure")
    wait(page, "data('curve_segments', 'iteration').includes(20)")
    mini = lines(page)
    value(page, "model('on_select').value = 'train'")
    address(page, on="train")
    says(page, "curve_caption", "Segments show the error on the training set")
    says(page, "curve_caption", "Tap a dot for its details")
    wait(page, "data('curve_segments', 'iteration').includes(20)")
    with precision("float64"):
        made = assemble(plan_of(run.config))
        assert {len(array) for array in made.data.values()} == {3 * 480}
        unravel = ravel_pytree(made.problem.init(made.key))[1]
        error = jax.jit(lambda theta: made.problem.loss(unravel(theta), made.data))
        path = run.array("path")
        drawn_lines = lines(page)
        assert len(drawn_lines) >= 4
        for k, (xs, ys) in drawn_lines.items():
            inside = [i for i, x in enumerate(xs) if 18.5 < x < 22.5]
            expected = [float(error(path[k] + (xs[i] - k) * (path[k + 1] - path[k]))) for i in inside]
            assert len(inside) >= 5 and [ys[i] for i in inside] == pytest.approx(expected, rel=1e-9)
            assert ys != mini[k][1]


@pytest.mark.parametrize(
    ("axis", "label", "ticks"),
    [("relative", "seconds since the start", "BasicTicker"), ("wall", "time (UTC)", "DatetimeTicker")],
)
def test_a_time_axis_places_dots_and_segments_where_they_were_reached(visit, trained, axis, label, ticks):
    run = store.open_run(trained / "rosenbrock")
    record = run.table("steps").columns
    reached = np.concatenate([[0.0], np.maximum.accumulate(record["seconds"][:-1])])
    if axis == "wall":
        reached = 1000 * (run.summary()["started"] + reached)
    page = visit(trained, run="rosenbrock", page="descent")
    drawn(page, "curve_figure")
    value(page, f"model('axis_select').value = '{axis}'")
    address(page, axis=axis)
    becomes(page, "model('curve_figure').below[0].axis_label", label)
    becomes(page, "model('curve_figure').below[0].ticker.type", ticks)

    @eventually(page)
    def every_dot_is_at_its_time():
        assert column(page, "curve_dots", "x") == pytest.approx(reached.tolist(), rel=1e-14)
        low, high = (value(page, f"model('curve_x').{end}") for end in ("start", "end"))
        assert low < reached[0] and high > reached[-1]

    wait(page, "data('curve_segments', 'iteration').length > 10")

    @eventually(page)
    def every_segment_joins_its_two_dots():
        for k, (xs, ys) in lines(page).items():
            for at, error in ((k, record["loss"][k]), (k + 1, record["loss_end"][k])):
                nearest = int(np.argmin(np.abs(np.asarray(xs) - reached[at])))
                assert xs[nearest] == pytest.approx(reached[at], rel=1e-12, abs=1e-9)
                assert ys[nearest] == pytest.approx(error, rel=1e-9)
