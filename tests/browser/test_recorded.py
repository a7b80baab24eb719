"""What a browser shows of a loop that gdlab only looked at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from tests.browser.gestures import becomes, column, drawn

pytestmark = pytest.mark.browser

PARAMS = {"a": {"w": jnp.ones(4)}, "b": jnp.ones(9)}
UPDATES = {"a": {"w": -0.1 * jnp.ones(4)}, "b": -0.2 * jnp.ones(9)}


@jax.jit
def seen(loss):
    """What a step may have returned: |g| = 13 ** 0.5, |u| = 0.4 ** 0.5, g.u = -2.2."""
    return gdlab.observe(loss=loss, params=PARAMS, grads=PARAMS, updates=UPDATES)


@pytest.fixture(scope="module")
def loops(tmp_path_factory):
    """A folder with a loop that was looked at every tenth iteration, and one of which numbers are known."""
    root = tmp_path_factory.mktemp("loops")
    with gdlab.Recorder(root / "seen", config={"learning_rate": 0.1}) as recorder:
        for step in range(100, 500, 10):
            recorder.write(step, seen(100 / step), reward=step / 100)
            if step % 50 == 0:
                recorder.write(step, {"test/accuracy": step / 500})
    with gdlab.Recorder(root / "numbers", config={"learning_rate": 0.2}) as recorder:
        for step in range(30):
            recorder.write(step, loss=1 / (1 + step))
    return root


def reads(page, words):
    """Waits until a person can read the words."""
    page.get_by_text(words).locator("visible=true").first.wait_for(timeout=30_000)


def test_the_curve_and_its_words_know_the_iterations(visit, loops):
    page = visit(loops, page="descent", run="seen", k=20)
    drawn(page, "curve_figure")
    for words in (
        "Iterations 100 to 490.",
        "Recorded from a loop of its own: without its error function there are no segments.",
        "Iteration 300",
        "J 0.333333 · |g| 3.60555 · |Δθ| 0.632456 · g·Δθ −2.2",
    ):
        reads(page, words)
    np.testing.assert_allclose(column(page, "curve_dots", "x"), np.arange(100, 500, 10))
    page.keyboard.press("ArrowRight")
    reads(page, "Iteration 310")


def test_step_sizes_and_layers_are_those_that_were_seen(visit, loops):
    page = visit(loops, page="steps", run="seen")
    drawn(page, "step_size_figure")
    x = np.array(column(page, "step_size_update_norm_0", "x"))
    assert x.min() >= 100 and x.max() < 500
    np.testing.assert_allclose(column(page, "step_size_update_norm_0", "value"), np.sqrt(0.4), rtol=1e-5)
    page = visit(loops, page="steps", run="numbers")
    reads(page, "gdlab.observe(params=params, updates=updates)")


@pytest.mark.parametrize("name", ["surface", "line", "insides", "tracker"])
def test_pages_that_need_the_network_say_so(visit, loops, name):
    page = visit(loops, page=name, run=["seen", "numbers"])
    reads(page, "These runs were recorded from a loop of their own, which has not handed over what follows.")
    reads(page, {"tracker": "every=100)", "insides": "predict=predict"}.get(name, "loss=loss)"))


def test_the_list_and_other_pages_take_them_as_runs(visit, loops):
    page = visit(loops, page="runs")
    reads(page, "learning_rate")
    page = visit(loops, page="optimizers", run=["seen", "numbers"])
    reads(page, "learning_rate 0.2")


def test_a_metric_is_drawn_in_place_of_the_error(visit, loops):
    page = visit(loops, page="descent", run="seen", metric="reward", k=3)
    drawn(page, "curve_figure")
    reads(page, "Iterations 100 to 490. reward, as it was measured.")
    np.testing.assert_allclose(column(page, "curve_dots", "y"), np.arange(1.0, 5.0, 0.1))
    np.testing.assert_allclose(column(page, "curve_chosen", "y"), [1.3])
    assert "metric=reward" in page.url
    names = "model('metric_select').options.map((one) => one[1])"
    becomes(page, names, ["error", "reward", "test/accuracy"])
    page.evaluate("Bokeh.documents[0].get_model_by_name('metric_select').value = 'test/accuracy'")
    becomes(page, "Array.from(data('curve_dots', 'x'))", list(range(100, 500, 50)))
    page = visit(loops, page="optimizers", run=["seen", "numbers"], metric="reward")
    drawn(page, "overlay_figure")
    np.testing.assert_allclose(column(page, "overlay_0_raw", "error"), np.arange(1.0, 5.0, 0.1))
    assert len(column(page, "overlay_1_raw", "error")) == 0


def test_a_loop_without_an_error_begins_with_a_metric(visit, loops):
    with gdlab.Recorder(loops / "rewards") as recorder:
        for step in range(40):
            recorder.write(step, reward=float(step))
    page = visit(loops, page="descent", run="rewards")
    drawn(page, "curve_figure")
    reads(page, "reward, as it was measured.")
    np.testing.assert_allclose(column(page, "curve_dots", "y"), np.arange(40))
