"""How long the page of an ensemble of 1,000 runs takes to open, and a brush to answer, in headless Chromium.

    python -m benchmarks.ensemble_page [--runs 1000] [--parameters 10] [--repeats 5]     a minute

The runs are made up: validated 21 times, without correlations of filters. "Open" is from the request to the
parallel coordinates drawn with every run, in a new browser context with an empty cache; "all cards" is to the
last card drawn. "A brush" is from a movement of the pointer to the next frame after the lines are drawn anew,
with half of the runs selected on average; "let go" is until the page's other figures show it and the session
has answered.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.pages import FLAGS, LIST, MODEL, opened, serving, show

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "server"))
LINES = f"{MODEL}('ensemble_parallel_all').get_column('xs').length >= %d"
DRAWN = f"{LINES} && Bokeh.index.find_one({MODEL}('ensemble_parallel_figure'))"
LAST = f"{MODEL}('ensemble_notes_rows')?.get_column('name').length >= %d && Bokeh.documents[0].is_idle"
# A movement of the pointer while it is down, until the frame after the next in which the lines are drawn.
MOVE = """([name, x, y]) => new Promise((resolve) => {
  const model = Bokeh.documents[0].get_model_by_name(name), view = Bokeh.index.find_one(model)
  const canvas = view.canvas_view.events_el, box = view.canvas_view.el.getBoundingClientRect()
  const source = Bokeh.documents[0].get_model_by_name('ensemble_parallel_chosen'), before = source.data
  const {x_scale, y_scale} = view.frame, start = performance.now()
  canvas.dispatchEvent(new PointerEvent('pointermove', {
    clientX: box.left + x_scale.compute(x), clientY: box.top + y_scale.compute(y),
    bubbles: true, buttons: 1, pointerId: 1, isPrimary: true}))
  const look = () => source.data !== before
    ? requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)))
    : performance.now() - start > 5000 ? resolve(NaN) : requestAnimationFrame(look)
  look()
})"""
FIGURE = "ensemble_parallel_figure"
ADDRESS = "new URLSearchParams(location.search).getAll('ens_sel').join()"


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--parameters", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    import make_ensemble

    with tempfile.TemporaryDirectory(prefix="gdlab-bench-") as folder, sync_playwright() as playwright:
        make_ensemble.thousand(Path(folder), count=arguments.runs, parameters=arguments.parameters)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        print(f"{'what':52} {'median':>9} {'fastest':>9} {'slowest':>9}")
        with serving(folder) as (address, _):
            measure(browser, address, arguments)
        browser.close()


def measure(browser, address, arguments):
    """Opening, from a server that was just started and later; brushing."""
    listing, opening, complete, moving, going = [], [], [], [], []
    for _ in range(arguments.repeats + 1):
        page, seconds = opened(browser, f"{address}?page=ensemble", DRAWN % arguments.runs)
        opening.append(seconds)
        page.wait_for_function(LAST % arguments.runs)
        complete.append(page.evaluate("performance.now()") / 1000)
        page.wait_for_timeout(1000)  # a reader's pause
        moves, let_go = brush(page)
        moving += moves
        going.append(let_go)
        page.context.close()
        page, seconds = opened(browser, address, LIST)
        listing.append(seconds)
        page.context.close()
    show(f"open an ensemble of {arguments.runs:,} runs, first visit, s", opening[:1])
    show("the same, later visits, s", opening[1:])
    show("the list of these runs, side by side, s", listing[1:])
    show("all cards of the page, later visits, s", complete[1:])
    show("a movement of a brush, ms", moving)
    show("a brush let go, until the address holds it, ms", going)


def brush(page):
    """([ms of each movement of the pointer while brushing the first axis], ms until it is let go)."""
    x, y = position(page, 0, 0.9)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 12)  # from here on it is a drag
    page.wait_for_timeout(300)
    moves = [page.evaluate(MOVE, [FIGURE, 0, 0.8 - 0.07 * step]) for step in range(10)]
    before = page.evaluate(ADDRESS)
    start = page.evaluate("performance.now()")
    page.mouse.up()
    page.wait_for_function(f"(before) => {ADDRESS} !== before", arg=before)
    return moves, page.evaluate("performance.now()") - start


def position(page, x, y):
    """Where a point of the parallel coordinates is on the screen."""
    return page.evaluate(
        f"""([x, y]) => {{
          const view = Bokeh.index.find_one({MODEL}('{FIGURE}'))
          const box = view.canvas_view.el.getBoundingClientRect()
          return [box.left + view.frame.x_scale.compute(x), box.top + view.frame.y_scale.compute(y)]
        }}""",
        [x, y],
    )


if __name__ == "__main__":
    main()
