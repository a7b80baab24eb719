"""The crawler goes through pairs of page, run, theme and act: nothing that nobody should see is on a screen.

Every pair of values of two of these is met at least once; `python -m tests.browser.crawl` meets all of them.
"""

import itertools
import shutil

import jax
import jax.numpy as jnp
import make_runs
import pytest

import gdlab
from tests.browser.crawl import PAGES, Crawler

pytestmark = pytest.mark.browser

ACTS = ("choices", "log", "move", "theme")
MOST_CHOICES = 3  # of a page, other ones in each case


@pytest.fixture(scope="module")
def kinds(trained, dumped, tmp_path_factory):
    """{kind: name of a run} in one folder, "made" among them, which has no line searches."""
    root = tmp_path_factory.mktemp("kinds")
    found = {"descent": trained / "rosenbrock", "batches": trained / "galaxy", "network": dumped / "digits"}
    for kind, path in found.items():
        shutil.copytree(path, root / kind)
    make_runs.make(root / "foreign", searches=False)
    with gdlab.Recorder(root / "loop", config={"learning_rate": 0.1}) as recorder:
        for step in range(10, 400, 5):
            params = {name: jnp.full(3, 1 / (1 + step)) for name in ("a", "b")}
            updates = jax.tree.map(lambda leaf: -0.1 * leaf, params)
            seen = gdlab.observe(loss=1 / step, params=params, grads=params, updates=updates)
            recorder.write(step, seen, reward=step**0.5)
    return root, [*found, "foreign", "loop"]


def cases(*factors):
    """Rows of one value of each factor in which every pair of values of two factors occurs."""
    columns = range(len(factors))
    missing = {
        (i, a, j, b) for i, j in itertools.combinations(columns, 2) for a in factors[i] for b in factors[j]
    }
    every = list(itertools.product(*factors))
    rows = []

    def pairs(row):
        return {(i, row[i], j, row[j]) for i, j in itertools.combinations(columns, 2)}

    while missing:
        row = max(every, key=lambda row: len(pairs(row) & missing))
        missing -= pairs(row)
        rows.append(row)
    return rows


def test_every_pair_occurs():
    rows = cases("abc", "xy", range(4))
    for i, j in itertools.combinations(range(3), 2):
        wanted = set(itertools.product(("abc", "xy", range(4))[i], ("abc", "xy", range(4))[j]))
        assert {(row[i], row[j]) for row in rows} == wanted
    assert len(rows) < 24


@pytest.mark.parametrize("kind", ["descent", "batches", "network", "foreign", "loop"])
def test_pairs_of_page_run_theme_and_act_show_what_they_should(browser, serve, kinds, kind):
    root, names = kinds
    server = serve(root)
    crawler = Crawler(root, server, browser)
    rows = cases(PAGES, names, ("light", "dark"), ACTS)
    visit = crawler.visit()
    for number, (what, run, theme, act) in enumerate(rows):
        if run != kind:
            continue
        runs = [run, names[number % len(names)]] if what in ("compare", "optimizers") else [run]
        visit.open(page=what, theme=theme, run=list(dict.fromkeys(runs)))
        crawler.look(visit, what, f"{what} of {run} in {theme}")
        _do(visit, act, number)
        crawler.look(visit, what, f"{what} of {run} in {theme}, then {act}")
    visit.page.context.close()
    assert sum(crawler.looks.values()) >= 2 * len(PAGES)
    assert crawler.findings == [], crawler.report()


def _do(visit, act: str, number: int) -> None:
    if act == "choices":
        choices = visit.choices()
        for name, value, _ in choices[number :: max(1, len(choices) // MOST_CHOICES)][:MOST_CHOICES]:
            visit.choose(name, value)
    elif act == "log":
        visit.press("l")
    elif act == "move":
        visit.press("ArrowRight")
        for figure in visit.figures()[:1]:
            visit.zoom(figure, -400)
    elif act == "theme":
        visit.theme()
