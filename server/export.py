"""Figures for papers from the command line: any card of any page as SVG, PNG or CSV.

    python -m server.export RUNS --run rosenbrock --view descent --format svg -o rosenbrock.svg

A headless browser opens the page as a reader would, waits until nothing is being computed any more,
and saves what the card's own menu saves. `--set k=10` sets what the address may hold, such as the
selected iteration; `--list` prints the names of the page's cards.
"""

import argparse
import base64
import csv
import difflib
import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from gdlab.messages import missing
from server.shell import pages

FORMATS = ("svg", "png", "csv")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
READY = "document.documentElement.dataset.ready === 'yes' && Bokeh.documents[0].is_idle"


class ExportError(Exception):
    """What keeps a figure from being saved, in words for the person who asked for it."""


def main(argv: list[str] | None = None) -> int:
    """Saves one figure; the exit code: 0, or 2 with a message on the error stream."""
    options = _parse(argv)
    try:
        export(options)
    except ExportError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def export(options: argparse.Namespace) -> None:
    """Serves the runs, opens the page, saves the card. Raises ExportError."""
    _check(options)
    query = [("page", options.view), ("theme", "dark" if options.dark else "light"), ("pause", "1")]
    query += [("run", name) for name in options.run] + [tuple(pair) for pair in options.set]
    with _server(options.runs, options.config_dir) as address, _page(options) as page:
        page.goto(f"{address}?{urlencode(query)}")
        _settle(page, options.timeout)
        cards = page.evaluate("gdlab.cards()")
        if options.list:
            print("\n".join(cards) or "this page has no card that can be saved")
            return
        if options.all:
            _save_all(page, cards, options)
            return
        name = options.card or next(iter(cards), "")
        if name not in cards:
            raise ExportError(_no_card(page, name, cards))
        _save(page, name, options)


def _check(options: argparse.Namespace) -> None:
    """Refuse, before a server is started, what could only lead to another figure or to none."""
    if not Path(options.runs).is_dir():
        raise ExportError(f"{options.runs} is not a folder of runs")
    try:
        known = list(pages.pages(str(Path(options.config_dir).absolute()) if options.config_dir else ""))
    except ValueError as error:
        raise ExportError(str(error)) from error
    if options.view not in known:
        close = difflib.get_close_matches(options.view, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ExportError(f"--view {options.view}: there is no such page; there are {', '.join(known)}{hint}")
    for name in options.run:
        if not (Path(options.runs) / name).is_dir():
            raise ExportError(f"--run {name}: there is no such folder in {options.runs}")
    out = Path(options.output or ".")
    if options.all:
        if options.card or not out.is_dir():
            raise ExportError("--all saves every card: it takes no --card, and -o is a folder that is there")
    elif options.output and (out.is_dir() or not out.parent.is_dir()):
        raise ExportError(f"-o {options.output}: name a file in a folder that is there")


def _refuse_empty(name: str, data: bytes) -> None:
    """A card without a column, or a grid whose values are no numbers, was never computed."""
    if not data.strip():
        raise ExportError(f"the card {name!r} holds nothing yet: open the page, which says what it waits for")
    values = [row.get("value") for row in csv.DictReader(io.StringIO(data.decode()))]
    if values and all(value in ("nan", "") for value in values):
        raise ExportError(
            f"the card {name!r} has no number in its column 'value': it was not computed yet; open "
            "the page and let it, or compute it by python -m gdlab task=probe"
        )


def _save(page, name: str, options: argparse.Namespace) -> None:
    out = Path(options.output or f"{name}.{options.format}")
    if options.format == "csv":
        page.locator(f".gd-menu-{name} .bk-btn").click()
        with page.expect_download() as download:
            page.locator(f".gd-menu-{name} .bk-item", has_text="CSV").click()
        data = download.value.path().read_bytes()
        _refuse_empty(name, data)
    else:
        text = page.evaluate("([card, type]) => gdlab.picture(card, type)", [name, options.format])
        if not text:
            raise ExportError(f"the card {name!r} holds no figure; --format csv may work")
        data = text.encode() if options.format == "svg" else base64.b64decode(text)
    out.write_bytes(data)
    print(out)


def _save_all(page, cards: list[str], options: argparse.Namespace) -> None:
    """Saves each card that holds what is asked for, under its own name."""
    folder = Path(options.output or ".")
    for name in cards:
        options.output = str(folder / f"{name}.{options.format}")
        try:
            _save(page, name, options)
        except ExportError as error:  # a table has no figure, what was not computed no numbers
            print(f"{name}: {error}", file=sys.stderr)


def _settle(page, seconds: float) -> None:
    """Waits until the page is drawn and no computation is under way, twice in a row."""
    from playwright.sync_api import TimeoutError as Late

    try:
        page.wait_for_function(READY)
        page.wait_for_function("gdlab.settled()", polling=250)
    except Late:
        raise ExportError(
            f"the page was not complete after {seconds:g} s; --timeout gives it longer"
        ) from None


def _no_card(page, name: str, cards: list[str]) -> str:
    message = page.evaluate("gdlab.messages()")
    said = f" The page says: {' '.join(message)}" if message else ""
    if not name:
        return f"this page has no card that can be saved.{said}"
    return f"there is no card {name!r}; this page has {', '.join(cards) or 'none'}.{said}"


@contextmanager
def _server(runs: str, config_dir: str = ""):
    """The address of a server of that folder, on a free port, for as long as the block lasts."""
    here = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "server", str(Path(runs).resolve()), "--port", "0", "--no-browser"]
    command += ["--config-dir", config_dir] if config_dir else []
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None  # it is a pipe
        match = re.search(r"http://localhost:\d+/\w+", process.stdout.readline())
        if match is None:
            raise ExportError("the server did not start")
        yield match[0]
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def _page(options: argparse.Namespace):
    """An empty page of a headless browser."""
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        raise ExportError(
            "no Chromium was found; on Debian: apt-get install --no-install-recommends chromium"
        )
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise ExportError(missing(error)) from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(FLAGS))
        page = browser.new_page(
            viewport={"width": options.width, "height": 1000}, device_scale_factor=options.scale
        )
        page.set_default_timeout(1000 * options.timeout)
        yield page
        browser.close()


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m server.export", description="Save a figure of a page.")
    parser.add_argument("runs", help="the folder of runs")
    parser.add_argument("--run", action="append", default=[], metavar="NAME", help="a run; may be repeated")
    parser.add_argument("--view", default="descent", help="the page: runs, descent, compare, ... (descent)")
    parser.add_argument("--config-dir", default="", metavar="FOLDER", help="as of `python -m server`")
    parser.add_argument("--card", help="the card on it (default: the first)")
    parser.add_argument("--all", action="store_true", help="save every card of the page, into the folder -o")
    parser.add_argument("--list", action="store_true", help="print the names of the page's cards")
    parser.add_argument("--format", choices=FORMATS, help="default: as the file's name ends, else svg")
    parser.add_argument("-o", "--output", help="file (default: CARD.FORMAT)")
    parser.add_argument("--set", action="append", default=[], type=_pair, metavar="KEY=VALUE")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=1440, help="of the browser's window, in pixels")
    parser.add_argument("--scale", type=float, default=2.0, help="pixels per CSS pixel, for PNG")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for the page to be complete")
    options = parser.parse_args(argv)
    ending = Path(options.output or "").suffix[1:].lower()
    options.format = options.format or (ending if ending in FORMATS else "svg")
    return options


def _pair(text: str) -> list[str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} must be KEY=VALUE")
    return [key, value]


if __name__ == "__main__":
    sys.exit(main())
