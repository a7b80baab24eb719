"""What a browser shows of a sweep that TensorBoard has recorded."""

import numpy as np
import pytest

import gdlab
from tests.browser.gestures import column, drawn
from tests.interchange.making import event_file, scalars

pytestmark = pytest.mark.browser

RATES, SEEDS = (0.01, 0.1, 1.0), (0, 1)
STEPS = np.arange(0, 400, 10)


def losses(rate, seed):
    return ((1 + seed / 4) * np.exp(-rate * STEPS / 40) + 0.05).astype("f4")


def accuracies(rate, seed):
    return (0.95 - 0.6 * np.exp(-rate * STEPS[::5] / 40) - seed / 50).astype("f4")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A folder of six imported runs, each with a loss, an accuracy on a test set and a learning rate."""
    root = tmp_path_factory.mktemp("imported")
    for number, (rate, seed) in enumerate((rate, seed) for rate in RATES for seed in SEEDS):
        messages = [
            *scalars(zip(STEPS, losses(rate, seed), strict=True), start=1.7e9 + 1000 * number),
            *scalars(zip(STEPS[::5], accuracies(rate, seed), strict=True), tag=b"test/accuracy"),
            *scalars(((step, rate) for step in STEPS), tag=b"optimizer/learning rate"),
        ]
        event_file(root / "logs" / f"lr={rate},seed={seed}", messages, number)
    done = gdlab.import_runs(root / "logs", root / "runs")
    assert done.counts["imported"] == len(RATES) * len(SEEDS) and not done.skipped
    return root / "runs"


def names(sweep, *rates):
    return [name for name, facts in gdlab.list_runs(sweep) if facts["hyperparameters"]["config.lr"] in rates]


def reads(page, words):
    """Waits until a person can read the words."""
    page.get_by_text(words).locator("visible=true").first.wait_for(timeout=30_000)


def test_they_stand_in_the_list_with_their_hyper_parameters(visit, sweep):
    page = visit(sweep, page="runs")
    reads(page, "lr")
    reads(page, "seed")
    reads(page, names(sweep, 0.1)[0])


def test_the_curve_is_the_loss_and_a_metric_can_be_drawn(visit, sweep):
    (name, _) = names(sweep, 0.1)
    page = visit(sweep, page="descent", run=name, k=3)
    drawn(page, "curve_figure")
    reads(page, "Iterations 0 to 390.")
    np.testing.assert_array_equal(column(page, "curve_dots", "x"), STEPS)
    np.testing.assert_array_equal(column(page, "curve_dots", "y"), losses(0.1, 0))
    page = visit(sweep, page="descent", run=name, metric="test/accuracy")
    drawn(page, "curve_figure")
    reads(page, "test/accuracy, as it was measured.")
    np.testing.assert_array_equal(column(page, "curve_dots", "x"), STEPS[::5])
    np.testing.assert_array_equal(column(page, "curve_dots", "y"), accuracies(0.1, 0))


def test_two_are_compared(visit, sweep):
    pair = [names(sweep, 0.1)[0], names(sweep, 1.0)[0]]
    page = visit(sweep, page="optimizers", run=pair)
    drawn(page, "overlay_figure")
    np.testing.assert_array_equal(column(page, "overlay_0_raw", "error"), losses(0.1, 0))
    np.testing.assert_array_equal(column(page, "overlay_1_raw", "error"), losses(1.0, 0))
    page = visit(sweep, page="compare", run=pair)
    reads(page, "lr")


def test_a_sweep_is_an_ensemble_with_accuracies(visit, sweep):
    page = visit(sweep, page="ensemble", run=names(sweep, *RATES))
    reads(page, "lr")
    assert page.get_by_text("no accuracy recorded").count() == 0
