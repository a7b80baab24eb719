"""Every page of a loop of somebody's own that handed over everything: the example examples/everything.py."""

import pytest

from examples import everything
from tests.browser.gestures import drawn, says, wait

pytestmark = pytest.mark.browser

STEPS = 45


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    """A folder with one such run."""
    root = tmp_path_factory.mktemp("handed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(everything, "EVERY", 20)
        everything.main(root / "all", STEPS)
    return root


def test_segments_of_a_foreign_loop_pass_through_its_record(visit, handed):
    page = visit(handed, page="descent", run="all", k=30)
    drawn(page, "curve_figure", "validation_loss_figure")
    says(page, "details_title", "Step at iteration 30")
    wait(page, "data('curve_segments', 'iteration').length > 0")
    assert "not drawn" not in page.evaluate("Bokeh.documents[0].get_model_by_name('curve_caption').text")


def test_a_surface_and_a_line_are_computed_of_it(visit, handed):
    page = visit(handed, page="surface", run="all", resolution=3)
    says(page, "surface_a_words", "Not computed yet")
    page.get_by_role("button", name="Compute").click()
    drawn(page, "surface_a_figure")
    page = visit(handed, page="line", run="all", line_points=11)
    drawn(page, "line_loss")


def test_its_network_from_the_inside(visit, handed):
    page = visit(handed, page="insides", run="all", k=40)
    drawn(page, "picture_image_figure")
    says(page, "insides_caption", "Iteration 40")
    says(page, "confusion_caption", "Accuracy")


def test_its_classes_layers_and_steps(visit, handed):
    page = visit(handed, page="tracker", run="all")
    drawn(page, "classes_figure")
    says(page, "tracker_caption", "3 dumps")
    page = visit(handed, page="steps", run="all")
    drawn(page, "step_size_figure")
