"""How long pages take to open and to zoom, in headless Chromium against a real server.

    python -m benchmarks.pages [--repeats 5] [--iterations 1000000] [--runs 1000]     three minutes

The long run is a real one: gradient descent on Rosenbrock's function, as many iterations as asked for. The
list holds copies of a short one. The surface, 19 x 19 points, is that of a small network on digits. "Open"
is from the request to the curve (the rows, the map) drawn, in a new browser context with an empty cache;
"zoom" is from the turn of the wheel to data of the new range drawn. The first visit, to a server that was
just started, fills its caches and stands apart.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# From the start of the navigation until two animation frames after the condition holds: then it is drawn.
WATCH = """(condition) => new Promise((resolve) => {
  const holds = new Function(`return (${condition})`)
  const look = () => {
    let there = false
    try { there = holds() } catch (error) { there = false }
    if (there) requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())))
    else requestAnimationFrame(look)
  }
  look()
})"""
MODEL = "Bokeh.documents[0].get_model_by_name"
CURVE = f"{MODEL}('curve_line').data.x.length > 100 && Bokeh.index.find_one({MODEL}('curve_figure'))"
DRAWN = f"{MODEL}('surface_a_cells').data.value.length > 300"
SURFACE = f"{DRAWN} && Bokeh.index.find_one({MODEL}('surface_a_figure'))"
LIST = "document.documentElement.dataset.ready === 'yes' && Bokeh.documents[0].is_idle"
ZOOM = f"""() => new Promise((resolve) => {{
  const source = {MODEL}('curve_line'), before = source.data.x, figure = {MODEL}('curve_figure')
  const view = Bokeh.index.find_one(figure), canvas = view.canvas_view.events_el
  const box = canvas.getBoundingClientRect(), start = performance.now()
  canvas.dispatchEvent(new WheelEvent('wheel', {{deltaY: -400, bubbles: true, cancelable: true,
    clientX: box.left + box.width / 2, clientY: box.top + box.height / 2}}))
  const look = () => source.data.x !== before
    ? requestAnimationFrame(() => resolve(performance.now() - start)) : requestAnimationFrame(look)
  look()
}})"""


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=1_000_000, help="of the long run")
    parser.add_argument("--runs", type=int, default=1_000, help="in the list")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gdlab-bench-") as folder, sync_playwright() as playwright:
        long, many = Path(folder) / "long", Path(folder) / "many"
        train(long / "run", arguments.iterations)
        train(many / "0000", 20)
        for number in range(1, arguments.runs):
            shutil.copytree(many / "0000", many / f"{number:04d}")
        drawn = Path(folder) / "drawn"
        with_surface(drawn / "run")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        print(f"{'what':52} {'median':>9} {'fastest':>9} {'slowest':>9}")
        show("import of the server's modules, s", [imported() for _ in range(arguments.repeats)])
        for runs_folder, measure in ((long, curve), (many, runs), (drawn, surface)):
            with serving(runs_folder) as (address, _):
                measure(browser, address, arguments)
        browser.close()


def train(folder, steps):
    """A real run of `steps` iterations."""
    options = ("optimizer=sgd", "optimizer.learning_rate=1e-4", "precision=float64", "record.path=false")
    command = [sys.executable, "-m", "gdlab", *options, f"train.steps={steps}", f"hydra.run.dir={folder}"]
    subprocess.run(command, check=True)


def with_surface(folder):
    """A run of digits_adam with a finished surface."""
    gdlab = [sys.executable, "-m", "gdlab"]
    subprocess.run([*gdlab, "experiment=digits_adam", f"hydra.run.dir={folder}"], check=True)
    subprocess.run([*gdlab, "task=probe", f"run={folder}", "probe=surface"], check=True)


def imported():
    """Seconds that a fresh process needs to import what the server imports."""
    code = "import time; t = time.perf_counter(); import server.shell.app; print(time.perf_counter() - t)"
    return float(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    )


@contextmanager
def serving(folder, *options):
    """(address, process) of a server over `folder`, which ends with the block."""
    command = [sys.executable, "-m", "server", str(folder), "--port", "0", "--no-browser", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            found = next(
                filter(None, (re.search(r"http://localhost:\d+/server", line) for line in process.stdout))
            )
            yield found[0], process
        finally:
            process.terminate()


def opened(browser, url, condition):
    """(page, seconds from the request until `condition` holds and is drawn)."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(url, wait_until="commit")
    return page, page.evaluate(WATCH, condition) / 1000


def curve(browser, address, arguments):
    """Opening and zooming the long run, from a server that was just started and later."""
    opening, zooming = [], []
    for _ in range(arguments.repeats + 1):
        page, seconds = opened(browser, f"{address}?run=run&page=descent", CURVE)
        opening.append(seconds)
        page.wait_for_function("Bokeh.documents[0].is_idle")
        for _ in range(3):
            page.wait_for_timeout(600)  # a reader's pause: what the last turn asked for is there
            zooming.append(page.evaluate(ZOOM))
        page.context.close()
    show(f"open a run of {arguments.iterations:,} iterations, first visit, s", opening[:1])
    show("the same, later visits, s", opening[1:])
    show("zoom by a turn of the wheel, first, ms", zooming[:1])
    show("the same, later, ms", zooming[1:])


def runs(browser, address, arguments):
    """Opening the list, from a server that was just started and later."""
    opening = []
    for _ in range(arguments.repeats + 1):
        page, seconds = opened(browser, address, LIST)
        opening.append(seconds)
        page.context.close()
    show(f"open a list of {arguments.runs:,} runs, first visit, s", opening[:1])
    show("the same, later visits, s", opening[1:])


def surface(browser, address, arguments):
    """Opening the page of a surface that is finished."""
    opening = []
    for _ in range(arguments.repeats + 1):
        page, seconds = opened(browser, f"{address}?run=run&page=surface", SURFACE)
        opening.append(seconds)
        page.context.close()
    show("open a finished surface, first visit, s", opening[:1])
    show("the same, later visits, s", opening[1:])


def show(what, values):
    """One row of the table."""
    numbers = (statistics.median(values), min(values), max(values))
    print(f"{what:52} " + " ".join(f"{number:9.3g}" for number in numbers), flush=True)


if __name__ == "__main__":
    main()
