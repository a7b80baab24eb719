"""The validation view in a browser: folds, triangles, selections, images and their labels, empty states."""

import csv
from pathlib import Path

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis import anomalies, class_curves
from gdlab.analysis.dumps import open_dumps
from gdlab.execution.probing import run_probe
from tests.browser.gestures import (
    address,
    becomes,
    column,
    drawn,
    eventually,
    in_sight,
    position,
    says,
    value,
    wait,
)

pytestmark = pytest.mark.browser

WINDOW, THRESHOLD = 2, 4
MODE = {"page": "tracker", "run": "digits", "track_window": WINDOW, "track_threshold": THRESHOLD}
ASIDE = -2.0  # on the axis of dumps: left of the frame, among the names


@pytest.fixture(scope="module")
def record(dumped):
    """The Dumps of the run."""
    return open_dumps(store.open_run(dumped / "digits"))


@pytest.fixture
def show(visit, dumped):
    """show(**query) -> the page, once its stripes are there."""

    def open_page(**query):
        page = visit(dumped, **(MODE | query))
        drawn(page, "classes_figure", "classes_errors_figure")
        wait(page, "data('classes_stripes_source', 'x').length > 0")
        return page

    return open_page


def words(page) -> list[str]:
    return column(page, "classes_words_source", "text")


def click(page, x: float, depth: float, figure: str = "classes_figure", **options) -> None:
    in_sight(page, figure)
    page.wait_for_timeout(450)  # two clicks in a shorter time are a double click
    page.mouse.click(*position(page, figure, x, depth), **options)


def click_name(page, name: str) -> None:
    """Clicks on a name beside the chart."""
    wait(page, f"data('classes_words_source', 'text').includes('{name}')")
    at = words(page).index(name)
    click(page, ASIDE, column(page, "classes_words_source", "y")[at])


def choose(page, title: str, option: str) -> None:
    """Chooses an option of a list by the words that the reader sees."""
    page.get_by_label(title, exact=True).select_option(label=option)


def rates_of(page, name: str) -> np.ndarray:
    """The stripe of a class or a cluster as it was sent."""
    at = column(page, "classes_stripes_source", "name").index(name)
    return np.ravel(column(page, "classes_stripes_source", "image")[at])


def test_clusters_classes_and_images_unfold_and_fold(show, record):
    page = show()
    rates = class_curves.error_rates(record.right(), record.starts)
    clusters = class_curves.clusters(rates, 4)
    assert len(column(page, "classes_stripes_source", "name")) == 4
    easy = next(text for text in words(page) if "easy" in text)
    assert rates_of(page, easy[2:]) == pytest.approx(clusters.curves[0], rel=1e-6)
    click(page, 10, 10)  # the first stripe
    which = int(clusters.order[0])
    name = record.classes[which]
    becomes(page, f"data('classes_stripes_source', 'name').includes('{name}')", True)
    assert rates_of(page, name) == pytest.approx(rates[which], rel=1e-6)
    click_name(page, f"▸ {name}")
    wait(page, "data('classes_pixels_source', 'x').length === 1")
    first, last = record.starts[which : which + 2]
    right = record.right()[:, first:last]
    code = np.array(column(page, "classes_pixels_source", "image")[0]).reshape(last - first, -1)
    assert sorted(map(tuple, code)) == sorted(map(tuple, (~right).T.astype(int)))
    share = (code == 0).mean(axis=1)
    assert (np.diff(share) <= 1e-12).all()
    address(page, tc_open="0", tc_images=str(which))
    choose(page, "Images show", "which wrong label")
    says_other = "data('classes_words_source', 'text').includes('right')"
    wait(page, says_other)

    @eventually(page)
    def the_labels_have_colours():
        label = np.array(column(page, "classes_pixels_source", "label")[0])
        drawn_code = np.array(column(page, "classes_pixels_source", "image")[0])
        assert ((drawn_code == 0) == (label == which)).all() and drawn_code.max() > 1

    page.get_by_role("button", name="Fold all").click()
    becomes(page, "data('classes_stripes_source', 'name').length", 4)
    address(page, tc_open=None, tc_images=None)
    page.get_by_label("Clusters").fill("1")
    page.keyboard.press("Enter")
    becomes(page, "data('classes_stripes_source', 'name')[0]", "all · 10 classes")


def test_a_triangle_shows_the_images_that_flip(show, dumped, record):
    page = show(tc_k="1", tc_open="0", tc_only="1", tc_sort="anomalies")
    found = anomalies.detect(record.right(), record.starts, WINDOW, THRESHOLD).columns
    kept = sorted({record.classes[c] for c in found["class"]})
    assert sorted(column(page, "classes_stripes_source", "name")[1:]) == kept
    at = np.argmax(found["score"])
    which, dump, rule = (found[name][at] for name in ("class", "dump", "rule"))
    names, xs, scores = (column(page, "classes_triangles_source", n) for n in ("what", "x", "score"))
    kinds = column(page, "classes_triangles_source", "marker")
    marker = {"left": "inverted_triangle", "right": "triangle"}[rule]
    wanted = (record.classes[which], dump, marker)
    place = next(i for i, own in enumerate(zip(names, xs, kinds, strict=True)) if own == wanted)
    assert scores[place] == found["score"][at]
    click(page, xs[place], column(page, "classes_triangles_source", "y")[place])
    says(page, "classes_flipped_title", f"{scores[place]} images of {record.classes[which]} that flip at")
    address(page, sel_dumps=str(dump), sel_classes=str(which))
    marks = {"left": anomalies.left_rule, "right": anomalies.right_rule}[rule](record.right(), WINDOW)
    first, last = record.starts[which : which + 2]
    images = first + np.flatnonzero(marks[dump, first:last])
    before, after = record.predicted(dump - 1, dump + 1)[:, images]
    flips = [f"{record.classes[a]} → {record.classes[b]}" for a, b in zip(before, after, strict=True)]
    becomes(page, "data('classes_flips_source', 'flip')", flips)
    wait(page, f"data('classes_gallery_source', 'image').length === {len(images)}")
    asked = [int(record.images[image]) for image in images]
    table = run_probe(dumped / "digits", "images", {"images": asked})
    sent = np.array(column(page, "classes_gallery_source", "image")[0], np.uint32).view(np.uint8)
    grey = sent.reshape(-1, 4)[:, 0].astype(float)
    source = np.asarray(table.columns["image"], float)
    expected = 255 * (source[0].ravel() - source.min()) / np.ptp(source)
    assert grey == pytest.approx(expected, abs=0.51)
    click(page, 0.5, 0.5, "classes_gallery_figure")
    address(page, sel_image=str(images[0]))
    says(page, "classes_image_title", f"Image {asked[0]:,} of the test part")


def test_selecting_classes_dumps_and_an_image(show, record):
    page = show(tc_k="1", tc_open="0", tc_sort="name", tc_images="0")
    ys = dict(zip(words(page), column(page, "classes_words_source", "y"), strict=True))
    click(page, 8, ys["▸ 1"])
    address(page, sel_classes="1")
    page.keyboard.down("Shift")
    click(page, 8, ys["▸ 2"])
    page.keyboard.up("Shift")

    @eventually(page)
    def two_are_marked():
        assert len(column(page, "classes_marks_source", "top")) == 2

    says(page, "tracker_selected", "classes 1, 2")
    assert any(text.endswith("2 ●") for text in words(page))
    click(page, 7.2, 0.05, "classes_errors_figure")
    becomes(page, "data('classes_dumps_source', 'x')", [7])
    says(page, "classes_pairs_caption", f"At iteration {record.iteration[7]}:")
    pairs = class_curves.confusable(record.predicted(7, 8), record.starts).columns
    assert column(page, "classes_pairs_source", "count") == pairs["count"].tolist()
    page.keyboard.press("ArrowRight")
    becomes(page, "data('classes_dumps_source', 'x')", [8])
    depth = column(page, "classes_pixels_source", "y")[0]
    click(page, 5, depth + 4.0 * 2.5)  # the third image
    first, last = record.starts[:2]
    share = record.right()[:, first:last].mean(axis=0)
    image = int(first + np.argsort(-share, kind="stable")[2])
    address(page, sel_image=str(image))
    says(page, "classes_image_title", f"Image {record.images[image]:,} of the test part")
    says(page, "classes_image_caption", "True class 0; first right at iteration")
    wait(page, "data('classes_picture_source', 'image').length === 1")
    labels = record.predicted()[:, image]
    rows = np.array(column(page, "classes_history_source", "image")).reshape(-1, record.count)
    names = column(page, "classes_history_source", "label")
    assert [names[i] for i in rows.astype(bool).argmax(axis=0)] == [record.classes[c] for c in labels]
    assert len(column(page, "classes_marks_source", "top")) == 3
    with page.expect_download() as download:
        page.locator(".gd-menu-classes_image button").first.click()
        page.locator(".gd-menu-classes_image").get_by_text("CSV").click()
    table = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert [row["predicted"] for row in table] == [record.classes[c] for c in labels]
    page.get_by_role("button", name="Clear selection").click()
    becomes(page, "data('classes_marks_source', 'top').length", 0)
    says(page, "classes_picture_words", "No image is selected")


def test_settings_colours_scroll_and_a_selection_from_elsewhere(show, record):
    page = show(
        tc_k="1", tc_open="0", tc_images=["0", "1", "2"], tc_height="8", sel_classes="9", theme="dark"
    )
    count = len(column(page, "classes_triangles_source", "x"))
    page.get_by_label("Threshold").fill("9")
    page.keyboard.press("Enter")

    @eventually(page)
    def fewer():
        assert 0 < len(column(page, "classes_triangles_source", "x")) < count

    page.get_by_role("button", name="Fold all").click()
    page.get_by_role("button", name="Show selected").click()
    becomes(page, "data('classes_words_source', 'text').includes('▸ 9')", True)
    address(page, tc_images=None, tc_open="0")
    page.reload()
    drawn(page, "classes_figure")
    wait(page, "data('classes_words_source', 'text').includes('▸ 9')")
    for name in ("3", "2", "1", "0"):  # from below: what is above stays where it is
        click_name(page, f"▸ {name}")
    wait(page, "model('classes_y').bounds[1] > model('classes_figure').height")
    in_sight(page, "classes_figure")
    page.mouse.move(*position(page, "classes_figure", 10, 40))
    page.mouse.wheel(0, 300)
    wait(page, "model('classes_y').end > 0")
    assert value(page, "model('classes_y').start - model('classes_y').end") == pytest.approx(
        value(page, "model('classes_figure').height")
    )
    colours = value(page, "model('classes_codes').palette")
    choose(page, "Colours", "green and red")
    wait(page, f"model('classes_codes').palette[1] !== '{colours[1]}'")
    high = value(page, "model('classes_rates').high")
    page.get_by_role("button", name="Theme").click()
    wait(page, f"model('classes_codes').palette[0] !== '{colours[0]}'")
    choose(page, "Colours up to", "10 %")
    becomes(page, "model('classes_rates').high", 0.1)
    assert high in (0.2, 0.5, 1.0)


def test_no_class_with_an_anomaly_is_words_and_no_empty_frame(visit, dumped):
    page = visit(dumped, **(MODE | {"track_threshold": 37, "tc_only": 1}))
    wait(page, "model('classes_nothing').visible && !model('classes_figure').visible")
    page.get_by_text("No class has an anomaly under these settings.").wait_for(state="visible")
    page.get_by_role("button", name="Only classes with anomalies").click()
    wait(page, "!model('classes_nothing').visible && model('classes_figure').visible")
    drawn(page, "classes_figure")
    wait(page, "data('classes_stripes_source', 'x').length > 0")
