"""What a card's menu saves, and what `python -m server.export` saves without anybody at the screen."""

import os
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gdlab import store
from tests.browser.gestures import PLOTS, TIMEOUT, becomes, drawn

expect.set_options(timeout=TIMEOUT)
pytestmark = pytest.mark.browser

MODEL = "Bokeh.documents[0].get_model_by_name"
RUN = "sweep/sigma=0.2,seed=1"


def save(page, card, label):
    page.locator(f".gd-menu-{card} .bk-btn").click()
    with page.expect_download() as download:
        page.locator(f".gd-menu-{card} .bk-item", has_text=label).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def check_svg(data):
    root = ElementTree.fromstring(data)
    assert root.tag.endswith("svg")
    width, height = float(root.get("width")), float(root.get("height"))
    assert width > 200 and height > 100
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 10
    return width, height


def check_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def test_every_card_saves_what_it_offers(visit, runs):
    page = visit(runs, run=RUN)
    page.wait_for_function("gdlab.cards().length > 0")
    page.wait_for_function("gdlab.settled()", polling=250)
    cards = page.evaluate("gdlab.cards()")
    for card in cards:
        offers = page.evaluate(f"{MODEL}('{card}_menu').menu.map((entry) => entry[0] ?? entry.label)")
        shown = page.evaluate(f"gdlab.picture('{card}', 'svg')") != ""
        for label in offers:
            if label != "CSV" and not shown:  # its figures appear when an iteration is chosen
                page.locator(f".gd-menu-{card} .bk-btn").click()
                page.locator(f".gd-menu-{card} .bk-item", has_text=label).click()
                expect(page.locator("#gd-notice")).to_have_text("There is no plot on this card yet.")
                continue
            name, data = save(page, card, label)
            assert name.startswith("sweep_sigma=0.2_seed=1") and name.endswith(f"{card}.{label.lower()}")
            if label == "SVG":
                check_svg(data)
            elif label == "PNG":
                assert min(check_png(data)) > 100
            else:
                assert data.count(b"\n") > 0 and b"<" not in data


def searched(trained) -> tuple[int, int]:
    """An iteration with several plots, and their number."""
    counts = store.open_run(trained / "rosenbrock").table("steps").columns["evaluations"]
    k = int(next(k for k, count in enumerate(counts) if 4 <= count <= 12))
    return k, int(counts[k]) - 1


def check_stack(data, plots):
    """An SVG of plots under one another: as many, in order, none upon another. Returns its size."""
    size = check_svg(data)
    parts = ElementTree.fromstring(data).findall("{http://www.w3.org/2000/svg}svg")
    tops = [float(part.get("y")) for part in parts]
    heights = [float(part.get("height")) for part in parts]
    assert len(parts) == plots and min(heights) > 80
    assert tops == [sum(heights[:i]) for i in range(plots)] and sum(heights) == size[1]
    # Every search plot has its own index, drawn as text; a plot of the one before would repeat one.
    texts = [{text.text for text in part.iter("{http://www.w3.org/2000/svg}text")} for part in parts]
    assert all(str(i + 1) in texts[i] for i in range(plots))
    return size


def test_a_line_search_is_saved_with_the_plots_that_are_shown(visit, trained):
    k, plots = searched(trained)
    counts = store.open_run(trained / "rosenbrock").table("steps").columns["evaluations"]
    longer = int(next(k for k, count in enumerate(counts) if plots + 1 < count <= 12))
    page = visit(trained, run="rosenbrock", page="descent", k=longer)
    becomes(page, PLOTS, int(counts[longer]) - 1)
    # Fewer plots than before: those that are hidden again must not be saved.
    for _ in range(abs(longer - k)):
        page.keyboard.press("ArrowLeft" if longer > k else "ArrowRight")
    becomes(page, "model('details_title').text", f"Line search at iteration {k}")
    becomes(page, PLOTS, plots)
    drawn(page, *(f"details_{j}" for j in range(plots)))
    page.wait_for_function("gdlab.settled()", polling=250)
    name, data = save(page, "details", "SVG")
    assert name == "rosenbrock_details.svg"
    width, height = check_stack(data, plots)
    name, data = save(page, "details", "PNG")
    ratio = page.evaluate("devicePixelRatio")
    assert name == "rosenbrock_details.png" and check_png(data) == (ratio * width, ratio * height)


def test_the_command_saves_a_line_search(trained, tmp_path):
    k, plots = searched(trained)
    common = [trained, "--run", "rosenbrock", "--card", "details", "--set", f"k={k}"]
    said = run_export(tmp_path, *common, "--format", "svg")
    assert (said.returncode, said.stdout) == (0, "details.svg\n"), said.stderr
    check_stack((tmp_path / "details.svg").read_bytes(), plots)
    nothing = run_export(tmp_path, *common[:-2], "--format", "png")
    assert nothing.returncode == 2 and "holds no figure" in nothing.stderr


def test_the_command_saves_nothing_of_what_was_not_computed(trained, tmp_path):
    """And takes the format from the file's name."""
    nothing = run_export(tmp_path, trained, "--run", "rosenbrock", "--view", "surface", "-o", "x.csv")
    assert nothing.returncode == 2 and nothing.stderr.count("\n") == 1
    assert "the card 'surface_a' holds nothing yet" in nothing.stderr
    assert not list(tmp_path.iterdir())


def run_export(folder, *arguments):
    command = [sys.executable, "-m", "server.export", *map(str, arguments)]
    path = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.run(
        command, cwd=folder, env=os.environ | path, capture_output=True, text=True, timeout=300
    )


def test_the_command_saves_svg_png_and_csv(runs, tmp_path):
    common = [runs, "--run", RUN, "--card", "curve"]
    said = [
        run_export(tmp_path, *common, "-o", "a.svg"),
        run_export(tmp_path, *common, "--format", "png", "--scale", "2"),
        run_export(tmp_path, *common, "--format", "csv"),
    ]
    assert [this.stdout for this in said] == ["a.svg\n", "curve.png\n", "curve.csv\n"]
    width, height = check_svg((tmp_path / "a.svg").read_bytes())
    assert check_png((tmp_path / "curve.png").read_bytes()) == (2 * width, 2 * height)
    assert (tmp_path / "curve.csv").read_text().startswith("iteration,")


def test_the_command_saves_every_card_of_a_page(trained, tmp_path):
    k, plots = searched(trained)
    common = [trained, "--run", "rosenbrock", "--set", f"k={k}", "--all"]
    said = run_export(tmp_path, *common, "--format", "svg")
    saved = {path.stem for path in tmp_path.glob("*.svg")}
    assert said.returncode == 0 and {"curve", "details", "map", "statistics"} <= saved, said.stderr
    check_stack((tmp_path / "details.svg").read_bytes(), plots)
    refused = run_export(tmp_path, *common, "-o", "nowhere")
    assert refused.returncode == 2 and "-o is a folder that is there" in refused.stderr


def test_the_command_says_what_is_missing(runs, tmp_path):
    nothing = run_export(tmp_path, runs, "--run", "nothing")
    assert nothing.returncode == 2
    assert "--run nothing: there is no such folder" in nothing.stderr
    missing = run_export(tmp_path, runs, "--run", RUN, "--card", "missing")
    assert missing.returncode == 2
    assert "curve" in missing.stderr
