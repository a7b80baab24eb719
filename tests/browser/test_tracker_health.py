"""The health panel in a browser: curves, distributions, warnings, clicks."""

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis import health
from gdlab.analysis.dumps import open_dumps
from tests.browser.gestures import address, becomes, column, drawn, eventually, position, says, wait

pytestmark = pytest.mark.browser


def rows(page, source, name):
    return np.array([np.ravel(row) for row in column(page, source, name)], float)


def test_the_panel_shows_the_record_and_a_click_selects(visit, dumped):
    dumps = open_dumps(store.open_run(dumped / "digits"))
    page = visit(dumped, page="tracker", mode="health", run="digits")
    drawn(page, "health_losses_figure", "health_distributions_figure", "health_numbers_figure")
    known = np.array([dumps.scalars["loss"], 1 - dumps.scalars["accuracy"]])
    np.testing.assert_allclose(rows(page, "health_losses_values", "value1"), known, rtol=1e-6)
    np.testing.assert_allclose(
        rows(page, "health_distributions_values", "median"), dumps.layer("weight_median").T, rtol=1e-6
    )
    ratios = dumps.layer("update_ratio").T[:, :-1]
    np.testing.assert_allclose(rows(page, "health_numbers_values", "value0")[:, :-1], ratios, rtol=1e-6)
    page.locator("select").filter(has_text="activations").first.select_option(label="activations")
    wait(page, f"data('health_distributions_values', 'label').length === {len(dumps.activation('mean'))}")
    address(page, health_distributions_kind="activation")
    page.locator("select").filter(has_text="zeros of activations").first.select_option(
        label="zeros of activations, behind the nonlinearity"
    )
    zeros = np.array(list(dumps.activation("zeros").values()))

    @eventually(page)
    def one_line_per_layer():
        np.testing.assert_allclose(rows(page, "health_numbers_values", "value0"), zeros, rtol=1e-6)

    page.mouse.click(*position(page, "health_losses_figure", 5, -40))
    says(page, "tracker_selected", f"iteration {dumps.iteration[5]}")
    becomes(page, "data('health_distributions_marked', 'x')[0]", 5)
    page.keyboard.press("ArrowRight")
    becomes(page, "data('health_numbers_marked', 'x')[0]", 6)
    page.keyboard.press("l")
    says(page, "health_losses_caption", "Logarithmic")


def test_warnings_lead_to_their_dump(visit, dumped):
    dumps = open_dumps(store.open_run(dumped / "digits"))
    truth = health.check(health.record_of(dumps)).columns
    page = visit(dumped, page="tracker", mode="health", run="digits")
    wait(page, "!model('health_warnings_caption').text.startsWith('Looking')")
    assert column(page, "health_warnings_rows", "text") == truth["text"].tolist()
    if not len(truth["text"]):
        says(page, "health_warnings_caption", "Nothing stands out.")
        return
    page.locator(".gd-small-table .slick-row").get_by_text(truth["kind"][0]).first.click()
    says(page, "tracker_selected", f"iteration {truth['first_iteration'][0]:,}")
