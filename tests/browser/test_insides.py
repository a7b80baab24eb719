"""The inside of a network in a real browser: every picture and number is what the probes compute."""

import csv

import numpy as np
import pytest

from gdlab.execution.probing import run_probe
from tests.browser.gestures import address, becomes, column, drawn, eventually, says, value, wait
from tests.recording import record

pytestmark = pytest.mark.browser

NETWORK = ("problem=classification", "dataset=digits", "model=modified_lenet", "model.filters=[3]")
TRAINING = ("optimizer=adam", "optimizer.learning_rate=0.01", "train.batch_size=64")
LAST = 30
CARDS = ("picture", "confusion", "filters", "activations")


@pytest.fixture(scope="module")
def insides(tmp_path_factory):
    """Two small networks that classify, one that does not, and a function of two numbers."""
    root = tmp_path_factory.mktemp("insides")
    record(root / "net", *NETWORK, *TRAINING, f"train.steps={LAST}")
    record(root / "other", *NETWORK, *TRAINING, "train.steps=12", "seed=1")
    record(root / "galaxy", "experiment=galaxy_minibatch", "train.steps=3")
    record(root / "plane", "experiment=rosenbrock")
    return root


@pytest.fixture(scope="module")
def probed(insides):
    """probed(probe, run="net", **options) -> the probe's Table."""

    def ask(probe: str, run: str = "net", **options):
        return run_probe(insides / run, probe, options)

    return ask


def open_insides(visit, folder, *names: str, **query):
    page = visit(folder, page="insides", run=list(names), **query)
    drawn(page, "picture_image_figure")
    answered(page)
    return page


def answered(page) -> None:
    """Waits until every card has its answer and no question is left."""
    wait(page, "data('picture_bars', 'name').length > 0 && data('activations_facts', 'text').length > 0")
    wait(page, "data('filters_cells', 'cell').length > 0 && data('confusion_cells', 'count').length > 0")
    wait(page, f"{list(CARDS)}.every((name) => !model(name + '_progress').visible)")


def pictures(page, source: str, layer: str) -> np.ndarray:
    """[cells, pixels] of a layer in a mosaic, rows from the bottom up as they are sent."""
    layers, values = column(page, source, "layer"), column(page, source, "value")
    return np.array([np.ravel(values[at]) for at, name in enumerate(layers) if name == layer])


def shows(page, probed, iteration: int, run: str = "net") -> None:
    """Waits until the filters are those of an iteration."""
    kernel = probed("filters", run, iteration=iteration).columns["conv1"]
    expected = np.moveaxis(kernel.mean(axis=2), -1, 0)[:, ::-1].reshape(kernel.shape[-1], -1)

    @eventually(page)
    def the_filters_are_those():
        assert pictures(page, "filters_cells", "conv1") == pytest.approx(expected, rel=1e-6)


def test_filters_and_feature_maps_are_those_of_the_last_iteration(visit, insides, probed):
    page = open_insides(visit, insides, "net")
    shows(page, probed, LAST)
    says(page, "filters_caption", "Not shown, since their inputs have no place in an image: dense1")
    table = probed("feature_maps")
    maps = np.moveaxis(table.columns["conv1"], -1, 0)[:, ::-1].reshape(3, -1)
    assert pictures(page, "maps_cells", "conv1") == pytest.approx(maps, rel=1e-4, abs=1e-5)
    logits = table.columns["logits"]
    assert pictures(page, "maps_cells", "dense1").ravel() == pytest.approx(logits, rel=1e-4, abs=1e-5)
    heads = column(page, "maps_headings", "text")
    assert heads == ["conv1 · 3 maps of 6 × 6", "dense1 · 10 units"]


def test_the_image_its_saliency_and_its_classes(visit, insides, probed):
    page = open_insides(visit, insides, "net", image=7)
    table = probed("feature_maps", image=7)
    attrs, columns = table.attrs, table.columns
    names = [str(name) for name in attrs["classes"]]
    verdict = f"true class {names[attrs['label']]}, predicted {names[attrs['predicted']]}"
    says(page, "picture_caption", f"Image 7: {verdict}")
    shown = np.ravel(column(page, "picture_saliency", "value")[0])
    assert shown == pytest.approx(columns["saliency"][::-1].ravel(), rel=1e-3, abs=1e-6)
    shown = np.ravel(column(page, "picture_image", "value")[0])
    assert shown == pytest.approx(columns["image"][::-1, :, 0].ravel(), rel=1e-6)
    shares = np.exp(columns["logits"].astype(float))
    assert column(page, "picture_bars", "probability") == pytest.approx(shares / shares.sum(), rel=1e-4)


def test_another_image_by_number_by_shuffle_and_one_that_is_not_there(visit, insides, probed):
    page = open_insides(visit, insides, "net")
    value(page, "model('picture_number').value = 12")
    says(page, "picture_caption", "Image 12:")
    address(page, image="12")
    wait(page, "!model('picture_shuffle').disabled")
    page.get_by_role("button", name="Shuffle").click()
    wait(page, "model('picture_number').value !== 12")
    number = value(page, "model('picture_number').value")
    says(page, "picture_caption", f"Image {number}:")
    assert 0 <= number < probed("confusion").attrs["examples"]
    value(page, "model('picture_number').value = 100000")
    says(page, "picture_progress_text", "mage=100000: allowed: 0 to 358")
    value(page, "model('picture_number').value = 3")
    says(page, "picture_caption", "Image 3:")
    becomes(page, "model('picture_progress').visible", False)


def test_the_matrix_counts_and_the_recall_and_precision_beside_it(visit, insides, probed):
    page = open_insides(visit, insides, "net", cells="count")
    table = probed("confusion")
    counts = table.columns["confusion"]
    shown = np.array(column(page, "confusion_cells", "count"))
    assert (shown[:100].reshape(10, 10) == counts).all()
    assert counts.sum() == table.attrs["examples"] == 359
    share = column(page, "confusion_cells", "share")
    beside = np.array(share[100:]).reshape(10, 2)
    assert beside[:, 0] == pytest.approx(table.columns["recall"])
    there = np.isfinite(table.columns["precision"])
    assert beside[there, 1] == pytest.approx(table.columns["precision"][there])
    texts = column(page, "confusion_cells", "text")
    assert texts[:100] == [f"{count}" if count else "" for count in counts.ravel()]
    value(page, "model('confusion_kind').value = 'share'")
    becomes(page, "data('confusion_cells', 'text')[0]", f"{100 * counts[0, 0] / counts[0].sum():.1f}")
    says(page, "confusion_caption", f"Accuracy {100 * table.attrs['accuracy']:.2f} %")


def test_the_activations_of_every_layer_and_its_silent_units(visit, insides, probed):
    page = open_insides(visit, insides, "net", activations="shared")
    columns = probed("activations").columns
    expected, facts = set(), []
    for row, layer in enumerate(columns["layer"]):
        if str(layer).startswith("Dropout"):  # it has no part in what the network does to an image
            continue
        for at in np.flatnonzero(columns["count"][row]):
            expected.add((str(layer), float(columns["edges"][row][at]), int(columns["count"][row][at])))
        positive, silent = (100 * columns[name][row] for name in ("positive", "silent"))
        facts.append(f"above 0: {positive:.1f} % · silent units: {silent:.1f} %")
    shown = set()
    for sign in ("negative", "positive"):
        parts = (column(page, f"activations_{sign}", name) for name in ("layer", "low", "count"))
        shown |= set(zip(*parts, strict=True))
    assert shown == expected
    assert column(page, "activations_facts", "text") == facts
    assert max(column(page, "activations_negative", "right")) <= 0
    value(page, "model('activations_scale').value = 'own'")
    address(page, activations=None)
    wait(page, "Math.max(...data('activations_positive', 'right')) <= 1")


def test_keys_buttons_and_the_number_move_the_iteration(visit, insides, probed):
    page = open_insides(visit, insides, "net")
    page.keyboard.press("ArrowLeft")
    address(page, k=str(LAST - 1))
    shows(page, probed, LAST - 1)
    says(page, "insides_caption", f"Iteration {LAST - 1}, of {LAST}")
    value(page, "model('insides_iteration').value = 4")
    address(page, k="4")
    becomes(page, "model('insides_slider').value", 4)
    shows(page, probed, 4)
    page.get_by_role("button", name="Next").click()
    address(page, k="5")
    shows(page, probed, 5)
    page.reload()
    drawn(page, "picture_image_figure")
    shows(page, probed, 5)
    page.get_by_role("button", name="Last").click()
    address(page, k=None)
    shows(page, probed, LAST)


def test_the_arrow_keys_move_a_slider_that_has_the_focus_by_one(visit, insides):
    page = open_insides(visit, insides, "net", k=20)
    page.locator(".noUi-handle").first.focus()
    for k in (19, 18):
        page.keyboard.press("ArrowLeft")
        address(page, k=str(k))
    page.keyboard.press("ArrowRight")
    address(page, k="19")


def test_an_iteration_that_was_chosen_on_another_page_is_shown_here(visit, insides, probed):
    page = open_insides(visit, insides, "net", k=5)
    shows(page, probed, 5)
    page.locator(".gd-tab", has_text="Descent").click()
    drawn(page, "curve_figure")
    page.keyboard.press("ArrowRight")
    address(page, k="6")
    page.locator(".gd-tab", has_text="Insides").click()
    becomes(page, "model('insides_iteration').value", 6)
    shows(page, probed, 6)


def test_one_of_several_runs_is_looked_at_on_either_part_of_its_data(visit, insides, probed):
    page = open_insides(visit, insides, "net", "plane", "other")
    becomes(page, "model('insides_run').options.map(([name]) => name)", ["net", "other"])
    value(page, "model('insides_run').value = 'other'")
    address(page, inside="other")
    shows(page, probed, 12, run="other")
    value(page, "model('insides_part').value = 'train'")
    address(page, inside_part="train")
    counts = probed("confusion", "other", on="train").columns["confusion"]

    @eventually(page)
    def the_matrix_is_that_of_the_training_set():
        assert column(page, "confusion_cells", "count")[:100] == counts.ravel().tolist()

    says(page, "insides_caption", "on the training set")


def test_a_network_that_does_not_classify_says_what_it_cannot_show(visit, insides):
    page = visit(insides, page="insides", run="galaxy")
    says(page, "confusion_progress_text", "problem predicts no classes")
    says(page, "picture_progress_text", "his run has no network that classifies")
    wait(page, "data('activations_facts', 'text').length > 0")


def test_a_run_without_a_network_says_so(visit, insides):
    page = visit(insides, page="insides", run="plane")
    says(page, "insides_none_message", "this run has no network")


def test_a_change_of_theme_reaches_matrix_and_bars(visit, insides):
    page = open_insides(visit, insides, "net")
    inks = value(page, "[...new Set(data('confusion_cells', 'ink'))].sort()")
    bars = value(page, "Array.from(data('picture_bars', 'colour'))")
    page.locator("#gd-theme").click()

    @eventually(page)
    def no_colour_is_left():
        assert not set(inks) & set(column(page, "confusion_cells", "ink"))
        assert not set(bars) & set(column(page, "picture_bars", "colour"))


def test_pictures_and_rows_are_saved(visit, insides, probed):
    page = open_insides(visit, insides, "net")
    for card, rows in (("filters", None), ("confusion", 10), ("activations", 2)):
        page.locator(f".gd-menu-{card} .bk-btn").click()
        with page.expect_download() as saved:
            page.locator(f".gd-menu-{card} .bk-item", has_text="CSV").click()
        table = list(csv.DictReader(saved.value.path().read_text().splitlines()))
        if rows is None:
            columns = probed("filters").columns
            weights = np.concatenate([np.ravel(kernel) for kernel in columns.values()])
            assert [float(row["weight"]) for row in table] == pytest.approx(weights, rel=1e-6)
        else:
            assert len(table) == rows
    page.locator(".gd-menu-filters .bk-btn").click()
    with page.expect_download() as saved:
        page.locator(".gd-menu-filters .bk-item", has_text="SVG").click()
    assert b"<svg" in saved.value.path().read_bytes()


def test_a_narrow_page_does_not_scroll_sideways(visit, insides):
    page = open_insides(visit, insides, "net", width=800)
    assert value(page, "document.documentElement.scrollWidth") <= 800


def test_what_the_address_should_not_hold_is_passed_over(visit, insides, probed):
    odd = {"k": "1e9", "inside_part": "moon", "image": "-4", "inside": "plane", "cells": "<b>"}
    page = open_insides(visit, insides, "net", **odd)
    shows(page, probed, LAST)
    says(page, "picture_caption", "Image 0:")
