"""What a card's menu saves, and what `python -m server.export` saves without anybody at the screen."""

import os
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

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
            if label != "CSV" and not shown:
                continue  # its figures appear when an iteration is chosen
            name, data = save(page, card, label)
            assert name.startswith("sweep_sigma=0.2_seed=1") and name.endswith(f"{card}.{label.lower()}")
            if label == "SVG":
                check_svg(data)
            elif label == "PNG":
                assert min(check_png(data)) > 100
            else:
                assert data.count(b"\n") > 0 and b"<" not in data


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


def test_the_command_says_what_is_missing(runs, tmp_path):
    nothing = run_export(tmp_path, runs, "--run", "nothing")
    assert nothing.returncode == 2
    assert "there is no run 'nothing'" in nothing.stderr
    missing = run_export(tmp_path, runs, "--run", RUN, "--card", "missing")
    assert missing.returncode == 2
    assert "curve" in missing.stderr
