"""Every page of a loop of somebody's own that handed over everything: the example in
examples/everything.py."""

import pytest

from examples import everything
from tests.browser.gestures import drawn, says, wait

pytestmark = pytest.mark.browser

STEPS = 100


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    """A folder with one such run."""
    root = tmp_path_factory.mktemp("handed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(everything, "EVERY", 20)
        everything.main(root / "all", STEPS)
    return root


def reads(page, words):
    """Waits until a person can read the words."""
    page.get_by_text(words).locator("visible=true").first.wait_for(timeout=120_000)


def test_segments_of_a_foreign_loop_pass_through_its_record(visit, handed):
    page = visit(handed, page="descent", run="all", k=30)
    drawn(page, "curve_figure")
    wait(page, "data('curve_segments').x.length > 0")
    says(page, "curve_caption", "Tap a dot for its details.")
    reads(page, "Iteration 30")


def test_a_surface_is_computed_of_it(visit, handed):
    page = visit(handed, page="surface", run="all", resolution=5)
    reads(page, "Compute")
    page.get_by_role("button", name="Compute").first.click()
    drawn(page, "surface_a_figure")


def test_the_line_from_its_start_to_its_end(visit, handed):
    page = visit(handed, page="line", run="all")
    drawn(page, "line_loss")


def test_its_network_from_the_inside(visit, handed):
    page = visit(handed, page="insides", run="all", k=40)
    reads(page, "Iteration 40")
    drawn(page, "confusion_figure")


def test_its_classes_layers_and_filters(visit, handed):
    page = visit(handed, page="tracker", run="all")
    reads(page, "conv1")
