"""A reader who tries everything: every page of every run, every choice, both themes, zooms, keys.

python -m tests.browser.crawl RUNS [--report FILE] [--pages descent,surface] [--only NAME ...] [--compute]

opens what is recorded below RUNS in a real browser and reports what nobody should see: an error card, an
error or a warning in the console or the server's log, a title that differs from what is drawn, cells that
differ from their source, an axis or a colour bar without numbers, a figure that draws nothing, what
is cut at an edge without a hint that it goes on, NaN or undefined in a text. The exit code is 1 where there
is any. `test_crawl.py` walks through pairs of these in the suite.
"""

import argparse
import collections
import json
import math
import re
import shutil
import sys
import time
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

from gdlab import store
from tests.browser import sight, titles
from tests.browser.serving import FLAGS, READY, Server

PAGES = ("descent", "compare", "optimizers", "steps", "surface", "line", "insides", "tracker")
SETTLED_S = 240  # until the worker must have answered
QUIET_S = 0.45  # longer than what the page waits for a choice to rest
NOT_WORDS = re.compile(r"\b(NaN|nan|undefined|null|None|Infinity|inf)\b|\[object|Traceback")
FAILED = re.compile(r"\w+Error\b|Exception|cannot be shown|ended unexpectedly")  # said by no check of ours
LATE = "was preloaded using link preload but not used within a few seconds"  # says how loaded the machine is
LEAVES = re.compile(
    r"Open|Show|Stop|Insides|Descent|Surface|Look inside|Classes & layers|Ensemble|Copy|Cancel|^×$"
)
LONG = re.compile(r"Compute|Continue|Look closer|Inactivate|Strongest|Smoothness")  # asks the worker


class Finding(collections.namedtuple("Finding", "kind where what")):
    """Something that nobody should see."""


class Enough(Exception):
    """The time that was given is over."""


class Visit:
    """One tab of the browser; `look(where)` reports what is wrong with what is shown now."""

    def __init__(self, page: Page, server: Server, folder: Path):
        self.page, self.server, self.folder = page, server, folder
        self.console: list[str] = []
        self._known = len(server.errors())
        self._unanswered: set[str] = set()
        self._received = time.monotonic()
        page.on("pageerror", lambda error: self.console.append(f"page error: {error}"))
        page.on("console", self._heard)
        page.on("websocket", self._listen)

    def open(self, **query) -> None:
        """Goes to an address and waits until it is drawn."""
        self.page.goto(self.server.url(**query))
        self.page.wait_for_function(READY)
        self.settle()

    def settle(self) -> None:
        """Waits until nothing is on its way: no message without its answer, no question to the worker."""
        end = time.monotonic() + SETTLED_S
        self._received = time.monotonic()
        while time.monotonic() < end:
            self.page.wait_for_timeout(60)
            if self._unanswered or time.monotonic() - self._received < QUIET_S:
                continue
            if not sight.see(self.page, "working") and self.page.evaluate("Bokeh.documents[0].is_idle"):
                return

    def look(self, where: str) -> list[Finding]:
        """What is wrong now."""
        page = self.page
        found = [("error card", words) for words in sight.see(page, "cards")]
        found += [("still asking", words) for words in sight.see(page, "working")]
        found += [("failed", words) for words in sight.see(page, "refused") if FAILED.search(words)]
        found += [("console", text) for text in self.console]
        found += [("server log", line) for line in self.server.errors()[self._known :]]
        found += [("old cell", str(cell)) for cell in sight.old_cells(page)[:3]]
        found += [("axis without numbers", str(axis)) for axis in sight.without_numbers(page)]
        found += [("empty figure", words) for words in sight.see(page, "empty")]
        found += [("cut without a hint", words) for words in sight.see(page, "cut")]
        texts = [*sight.see(page, "texts"), *sight.see(page, "drawn")]
        texts += [label for axis in sight.see(page, "axes") for label in axis["labels"]]
        found += [("no words", text[:200]) for text in texts if NOT_WORDS.search(text)]
        found += [("title", words) for words in titles.differing(page, self.folder)]
        self.console.clear()
        self._known = len(self.server.errors())
        return [Finding(kind, where, what) for kind, what in found]

    def _heard(self, message) -> None:
        if message.type in ("error", "warning") and LATE not in message.text:
            self.console.append(message.text)

    def _listen(self, socket) -> None:
        """Follows the messages between page and server: the server acknowledges each."""
        socket.on("framesent", lambda frame: self._frame(frame, "msgid", self._unanswered.add))
        socket.on("framereceived", lambda frame: self._frame(frame, "reqid", self._unanswered.discard))

    def _frame(self, frame, key: str, then) -> None:
        self._received = time.monotonic()
        match = re.search(f'"{key}": ?"([^"]+)"', frame) if isinstance(frame, str) else None
        if match and '"msgtype"' in frame:
            then(match[1])

    # -- what a reader does -----------------------------------------------------------------------

    def choices(self) -> list[tuple[str, object, object]]:
        """(model, value, value it has) of everything that can be chosen on the screen."""
        return [tuple(choice) for choice in sight.see(self.page, "choices")]

    def choose(self, name: str, value) -> None:
        """Gives a widget a value as the reader would, or presses a button."""
        self.page.evaluate("([name, value]) => window.gdSight.choose(name, value)", [name, value])
        self.settle()

    def buttons(self, compute: bool) -> list[str]:
        """Buttons that can be pressed and neither leave the page nor, unless wanted, take long."""
        found = sight.see(self.page, "buttons")
        return [
            name for name, label in found if not LEAVES.search(label) and (compute or not LONG.search(label))
        ]

    def figures(self) -> list[str]:
        """Names of the figures on the screen."""
        return sight.see(self.page, "figures")

    def press(self, key: str) -> None:
        """A key of the keyboard."""
        self.page.keyboard.press(key)
        self.settle()

    def zoom(self, figure: str, turn: int) -> None:
        """Turns the wheel over the middle of a figure."""
        page = self.page
        page.evaluate("(name) => window.gdSight.into_view(name)", figure)
        spot = page.evaluate("(name) => window.gdSight.middle(name)", figure)
        if spot:
            page.mouse.move(*spot)
            page.mouse.wheel(0, turn)
            self.settle()

    def theme(self) -> None:
        """The other theme."""
        self.page.locator("#gd-theme").click()
        self.settle()


class Crawler:
    """Goes through pages; findings: what was found; looks: how often it looked, by page."""

    def __init__(
        self, folder: Path, server: Server, browser, *, compute=False, minutes=math.inf, out=sys.stdout
    ):
        self.folder, self.server, self.browser, self.compute, self.out = folder, server, browser, compute, out
        self.end = time.monotonic() + 60 * minutes
        self.findings: list[Finding] = []
        self.looks: collections.Counter = collections.Counter()
        self.asked: dict[str, set] = {}  # page: what has been chosen there

    def visit(self) -> Visit:
        """A fresh tab."""
        context = self.browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(SETTLED_S * 1000)
        return Visit(page, self.server, self.folder)

    def look(self, visit: Visit, what: str, where: str) -> None:
        """Looks, and writes down what is wrong; an act that could not be carried out is written down, too."""
        if time.monotonic() > self.end:
            raise Enough(where)
        self.looks[what] += 1
        for finding in visit.look(where):
            self.findings.append(finding)
            print(f"  {finding.kind}: {finding.where}: {finding.what}", file=self.out, flush=True)

    def walk(self, what: str, **query) -> None:
        """One address: as it comes, every choice, every button, zooms, keys, the other theme."""
        visit = self.visit()
        try:
            for theme in ("light", "dark"):
                where = f"{json.dumps(query)} {theme}"
                visit.open(page=what, theme=theme, **query)
                self.look(visit, what, where)
                if theme == "light":
                    self._everything(visit, what, query, where)
                visit.theme()
                self.look(visit, what, f"{where}, then the other theme")
        except Error as error:
            self.findings.append(Finding("stuck", f"{what} {query}", str(error).splitlines()[0]))
            print(f"  stuck: {what} {query}: {error}", file=self.out, flush=True)
        finally:
            visit.page.context.close()

    def _everything(self, visit: Visit, what: str, query: dict, where: str) -> None:
        for name in visit.buttons(self.compute):  # among them those that open options
            visit.choose(name, None)
            self.look(visit, what, f"{where}, pressed {name}")
        choices = visit.choices()
        for at, (name, value, before) in enumerate(choices):
            self.asked.setdefault(what, set()).add((name, json.dumps(value)))
            visit.choose(name, value)
            self.look(visit, what, f"{where}, {name} = {value!r}")
            if at + 1 == len(choices) or choices[at + 1][0] != name:
                visit.choose(name, before)
        for key in ("l", "l", "ArrowRight", "ArrowLeft", "Escape"):
            visit.press(key)
            if what not in sight.see(visit.page, "page"):  # Escape leads back to the list
                visit.open(page=what, theme="light", **query)
            self.look(visit, what, f"{where}, key {key}")
        for figure in visit.figures():
            for turn in (-400, 400):
                visit.zoom(figure, turn)
                self.look(visit, what, f"{where}, wheel {turn} over {figure}")

    def steps(self, name: str) -> None:
        """Every iteration of a run with searches, by its address and by the arrow key."""
        last = store.open_run(self.folder / name).rows("scalars") - 1
        visit = self.visit()
        try:
            for k in range(last + 1):
                visit.open(page="descent", run=name, k=k)
                self.look(visit, "descent", f"{name} k={k} by address")
            visit.open(page="descent", run=name, k=0, theme="dark")
            for k in range(1, last + 1):
                visit.press("ArrowRight")
                self.look(visit, "descent", f"{name} k={k} by key")
        finally:
            visit.page.context.close()

    def report(self) -> str:
        """What was looked at, and what was found, by kind."""
        lines = [f"{sum(self.looks.values()):,} states looked at, {len(self.findings):,} findings."]
        lines += [
            f"  {page}: {count:,} states, {len(self.asked.get(page, ())):,} values chosen"
            for page, count in sorted(self.looks.items())
        ]
        kinds = collections.Counter(finding.kind for finding in self.findings)
        for kind, count in kinds.most_common():
            lines.append(f"{kind}: {count:,}")
            seen: set[str] = set()
            for finding in self.findings:
                words = re.sub(r"\d+", "#", finding.what)
                if finding.kind == kind and words not in seen:
                    seen.add(words)
                    lines.append(f"  {finding.where}: {finding.what}")
        return "\n".join(lines)


def names(folder: Path) -> list[str]:
    """Names of the runs below a folder."""
    return sorted(str(path.parent.relative_to(folder)) for path in folder.rglob("run.json") if path.is_file())


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--pages", default=",".join(("runs", "ensemble", *PAGES)))
    parser.add_argument("--only", nargs="*", default=[], help="names of runs; all without it")
    parser.add_argument("--compute", action="store_true", help="also press what takes long")
    parser.add_argument("--steps", default="rosenbrock", help="the run whose every iteration is opened")
    parser.add_argument("--minutes", type=float, default=math.inf, help="to report what was found by then")
    options = parser.parse_args()
    chosen = options.only or names(options.runs)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    server = Server(options.runs)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            crawler = Crawler(options.runs, server, browser, compute=options.compute)
            words = ""
            try:
                _everything(crawler, options, chosen)
            except Enough as where:
                words = f"Stopped after {options.minutes:g} minutes before: {where}\n"
            browser.close()
    finally:
        server.stop()
    words += crawler.report()
    print(words)
    if options.report:
        options.report.write_text(words + "\n", encoding="utf-8")
    return 1 if crawler.findings else 0


def _everything(crawler: Crawler, options, chosen: list[str]) -> None:
    if "descent" in options.pages and options.steps in chosen:
        crawler.steps(options.steps)
    for what in options.pages.split(","):
        for query in addresses(what, chosen):
            print(what, query, flush=True)
            crawler.walk(what, **query)


def addresses(what: str, chosen: list[str]) -> list[dict]:
    """The runs with which a page is opened: each alone, or several together where the page compares."""
    alone = [name for name in chosen if "/" not in name] or chosen
    members = [name for name in chosen if "/" in name]
    if what == "runs":
        return [{}]
    if what == "ensemble":
        return [{"ens_folder": folder} for folder in sorted({name.rpartition("/")[0] for name in members})]
    if what in ("compare", "optimizers"):
        return [{"run": alone[:2]}, {"run": alone[:3]}, {"run": members[:4]}] if members else [{"run": alone}]
    return [{"run": name} for name in [*alone, *members[:1]]]


if __name__ == "__main__":
    sys.exit(main())
