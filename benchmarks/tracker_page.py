"""How fast the page Classes & layers is at the size of ResNet-50 on ImageNet, in headless Chromium.

    python -m benchmarks.tracker_page [--folder PATH] [--repeats 5]     three minutes

The record is that of `benchmarks.dumps` (750 dumps, 50,000 images in 1,000 classes, 27,560 filters), kept
in PATH or written into a temporary folder. "Open" is from the request to the view's figure drawn, in a new
browser context with an empty cache; a first visit is that of a server started 3 s before, which has read
nothing.
Everything else is from an action of the reader to the last change of anything drawn. Aims: a view opens in
2 s, an unfolded row or a changed threshold is drawn in 0.3 s, the server stays below 1 GB. Nothing here is
asserted.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.dumps import report
from benchmarks.pages import FLAGS, MODEL, opened, serving, show

FIGURES = {"classes": "classes_figure", "layers": "layers_figure", "correlation": "correlation_grid"}
REST = 3  # s after the start of a server: it has loaded what it needs later
SETTLED = 700  # ms without a change: then everything has been drawn
# Carries out an action and watches all sources; the time until the frame after the last that changed.
ACT = """([kind, name, value, settled]) => new Promise((resolve) => {
  const doc = Bokeh.documents[0], model = doc.get_model_by_name(name)
  const all = () => [...doc._all_models.values()].filter((m) => m.type === 'ColumnDataSource')
  const sources = () => all().map((m) => m.data)
  let before = sources(), last = NaN
  const start = performance.now()
  if (kind === 'set') model.value = value
  if (kind === 'tap') {
    const view = Bokeh.index.find_one(model), box = view.canvas_view.el.getBoundingClientRect()
    const clientX = box.left + view.frame.x_scale.compute(value[0])
    const clientY = box.top + view.frame.y_scale.compute(value[1])
    const at = {clientX, clientY, bubbles: true, pointerId: 1, isPrimary: true, button: 0}
    const tell = (type, buttons) =>
      view.canvas_view.events_el.dispatchEvent(new PointerEvent(type, {...at, buttons}))
    tell('pointerdown', 1)
    tell('pointerup', 0)
  }
  const look = () => {
    const now = sources()
    if (now.length !== before.length || now.some((data, i) => data !== before[i])) {
      before = now
      last = null
    } else if (last === null) last = performance.now()  // the frame after the change: it is drawn
    const still = last !== null && performance.now() - last > settled
    if (performance.now() - start > 8000 || still) resolve(last - start)
    else requestAnimationFrame(look)
  }
  look()
})"""


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where the records lie, to keep them")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gdlab-bench-") as temporary, sync_playwright() as playwright:
        folder = Path(arguments.folder or temporary)
        report(folder, write_only=True)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        print(f"{'what':52} {'median':>9} {'fastest':>9} {'slowest':>9}")
        for mode in FIGURES:
            opening(browser, folder, mode, arguments.repeats)
        with serving(folder) as (address, process):
            time.sleep(REST)
            for mode, actions in ACTIONS.items():
                page, _ = opened(browser, url(address, mode), drawn(mode))
                page.wait_for_timeout(3000)
                for what, steps in actions(page).items():
                    show(f"{mode}: {what}, ms", [page.evaluate(ACT, [*step, SETTLED]) for step in steps])
                page.context.close()
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            print(f"{'largest memory of the server':52} {int(peak.split()[1]) / 1024:9.0f} MB")
        browser.close()


def opening(browser, folder, mode, repeats):
    """Opening a view as the first page of a server, then twice more, for several servers."""
    seconds = []
    for _ in range(repeats):
        with serving(folder) as (address, _):
            time.sleep(REST)
            seconds.append([])
            for _ in range(3):
                page, one = opened(browser, url(address, mode), drawn(mode))
                seconds[-1].append(one)
                page.wait_for_timeout(1500)
                page.context.close()
    show(f"open {mode}, first visit, s", [first for first, *_ in seconds])
    show("the same, later visits, s", [one for _, *later in seconds for one in later])


def url(address, mode):
    """Of a view of the record."""
    return f"{address}?page=tracker&run=resnet50&mode={mode}"


def drawn(mode):
    """The condition: the view's figure is there, and nothing is under way."""
    figure = f"{MODEL}('{FIGURES[mode]}')"
    there = f"{figure} != null && Bokeh.index.find_one({figure}) != null && Bokeh.documents[0].is_idle"
    if mode != "classes":
        return there
    return f"{there} && {MODEL}('classes_stripes_source').get_column('x').length > 0"  # they come later


def classes(page):
    """{what: [actions]} in the view of the classes."""
    fold = [["tap", "classes_figure", [300, 10]]] * 2
    return {
        "a cluster unfolds and folds": fold,
        "another threshold": [["set", "tracker_threshold", value] for value in (12, 14, 16, 18, 20)],
        "another window": [["set", "tracker_window", value] for value in (4, 6, 5)],
        "more clusters": [["set", "classes_k", value] for value in (6, 8)],
    }


def layers(page):
    """{what: [actions]} in the view of the layers."""
    at = {name: column(page, "layers_structure_boxes", name) for name in ("right", "top", "bottom")}
    taps = [
        ["tap", "layers_structure_figure", [at["right"][i] + 12, (at["top"][i] + at["bottom"][i]) / 2]]
        for i in (len(at["right"]) - 1, len(at["right"]) - 2)
    ]
    return {"a module or a layer unfolds": taps}


def correlation(page):
    """{what: [actions]} in the view of filters and classes."""
    return {
        "another threshold": [["set", "tracker_threshold", value] for value in (12, 14, 16, 18, 20)],
        "another window": [["set", "tracker_window", value] for value in (4, 6, 5)],
        "another number of filters": [["set", "tracker_top", value] for value in (60, 80, 100)],
        "fewest appearances": [["set", "tracker_minimum", value] for value in (5, 8, 10)],
    }


def column(page, source, name):
    """A column of a source, as a list of numbers."""
    return page.evaluate(
        f"(name) => {{ const data = {MODEL}('{source}').data; "
        "return Array.from(data instanceof Map ? data.get(name) : data[name]) }",
        name,
    )


ACTIONS = {"classes": classes, "layers": layers, "correlation": correlation}

if __name__ == "__main__":
    main()
