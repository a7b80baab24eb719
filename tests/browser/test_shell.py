"""The shell in a real browser: the list, filter, selection, keys, themes, address, files, safety."""

import re
import shutil

import make_runs
import pytest
from playwright.sync_api import expect

from server.shell import pages
from tests.browser.gestures import (
    TIMEOUT,
    address,
    becomes,
    column,
    drawn,
    eventually,
    says,
    wait,
)
from tests.browser.sight import old_cells, see

expect.set_options(timeout=TIMEOUT)
pytestmark = pytest.mark.browser

SWEEP = [f"sweep/sigma={sigma},seed={seed}" for sigma in (0.011, 0.2) for seed in (0, 1)]


FILTERING = "Bokeh.index.find_one(model('filter')).input_el.matches(':focus')"
PILL = "document.querySelector('#gd-status').textContent"
EVERYTHING = [*SWEEP, "<img src=x onerror=alert(1)>", "wood", "broken"]


def rows(page) -> list[str]:
    """Names of the runs in the table, top to bottom, as far as it draws them."""
    return page.locator(".gd-open").all_text_contents()


def lists(page, *names: str) -> None:
    """Waits until the table shows these runs, in any order."""

    @eventually(page)
    def all_of_them_and_no_other():
        assert sorted(rows(page)) == sorted(names)


def chosen(page, key: str, *values: str) -> None:
    """Waits until the address holds these values of a key that may be repeated, in any order."""
    becomes(page, f"new URLSearchParams(location.search).getAll('{key}').sort()", sorted(values))


def heads(page) -> list[str]:
    return page.locator(".slick-header-column").all_inner_texts()


def tick(page, name: str) -> None:
    page.locator(".slick-row", has_text=name).first.locator("input[type=checkbox]").check()


def type_filter(page, pattern: str) -> None:
    page.keyboard.press("/")
    wait(page, FILTERING)
    page.keyboard.insert_text(pattern)


def test_every_run_is_listed_with_what_differs_and_the_damaged_one_says_why(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    lists(page, *EVERYTHING)
    parameters = [head for head in heads(page) if head in ("sigma", "seed", "rho", "n")]
    assert parameters == ["sigma"]  # of a test function nothing is drawn: its seed is none
    expect(page.locator(".slick-row", has_text="broken")).to_contain_text("damaged run")
    expect(page.locator(".slick-row", has_text="wood")).to_contain_text("diverged")


def test_the_filter_is_a_regular_expression_and_says_when_it_is_not(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    type_filter(page, "^wood")
    says(page, "filter_message", "1 of 7")
    lists(page, "wood")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("sigma=0\\.2|^wood")
    says(page, "filter_message", "3 of 7")
    lists(page, "wood", *SWEEP[2:])
    address(page, filter="sigma=0\\.2|^wood")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("sigma=(")
    says(page, "filter_message", "Not a regular expression")
    lists(page, *EVERYTHING)
    page.keyboard.press("Escape")
    becomes(page, "document.activeElement.tagName", "BODY")


def test_a_pattern_applies_to_runs_that_appear_later(visit, tmp_path):
    make_runs.make(tmp_path / "runs" / "a1")
    page = visit(tmp_path / "runs", filter="^a")
    page.wait_for_selector(".gd-open")
    make_runs.make(tmp_path / "runs" / "b1", seed=1)
    make_runs.make(tmp_path / "runs" / "a2", seed=2)
    becomes(page, "model('filter_message').text", "2 of 3 runs")
    lists(page, "a1", "a2")


def shown(page, field: str) -> list[str]:
    """What the table of runs shows in a column, top to bottom."""
    return [cell["shown"] for cell in see(page, "cells") if cell["field"] == field]


def test_a_run_that_goes_on_is_shown_as_it_is_now_where_it_is_sorted_now(visit, tmp_path):
    folder = tmp_path / "runs"
    with make_runs.begin(folder / "live") as writer:
        make_runs.append(writer, 0, 20)
        make_runs.make(folder / "done", iterations=30)
        page = visit(folder)
        lists(page, "live", "done")
        page.locator(".slick-header-column", has_text="Iterations").click()

        @eventually(page)
        def the_longer_one_comes_first():
            assert shown(page, "iterations") == ["30", "20"]

        make_runs.append(writer, 20, 25)
        writer.set_status("finished")

    @eventually(page)
    def every_cell_follows_its_source_and_the_order_too():
        assert shown(page, "iterations") == ["45", "30"]
        assert shown(page, "name") == ["live", "done"]
        assert shown(page, "state") == ["finished", "finished"]
        assert old_cells(page) == []


def test_columns_that_came_with_a_later_run_can_be_hidden(visit, tmp_path):
    make_runs.make(tmp_path / "runs" / "a")
    page = visit(tmp_path / "runs")
    lists(page, "a")
    assert "sigma" not in heads(page)
    make_runs.make(tmp_path / "runs" / "b", sigma=0.2)

    @eventually(page)
    def the_column_is_there():
        assert "sigma" in heads(page)

    page.get_by_role("button", name="Columns").click()
    page.locator(".bk-input-group label", has_text="sigma").click()

    @eventually(page)
    def the_column_is_gone():
        assert "sigma" not in heads(page)


def test_a_name_opens_its_descent_and_escape_leads_back(visit, runs):
    page = visit(runs)
    page.locator(".gd-open", has_text=SWEEP[0]).click()
    address(page, page="descent", run=SWEEP[0])
    becomes(page, "model('runbar_name_0').text", SWEEP[0])
    expect(page.locator(".gd-tab[aria-current=page]")).to_have_text("Descent")
    expect(page).to_have_title(re.compile(re.escape(SWEEP[0])))
    drawn(page, "curve_figure")
    page.keyboard.press("Escape")
    address(page, page="runs")
    page.wait_for_selector(".gd-open")


def test_ticked_runs_are_compared_and_named_by_what_differs(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    compare = page.locator(".bk-btn", has_text="Compare")
    expect(compare).to_be_disabled()
    tick(page, SWEEP[0])
    tick(page, SWEEP[2])
    compare.click()
    address(page, page="compare")
    chosen(page, "run", SWEEP[0], SWEEP[2])
    labels = "[0, 1].map((i) => model(`runbar_label_${i}`).text).sort()"
    becomes(page, labels, ["sigma 0.011", "sigma 0.2"])
    page.locator(".gd-remove .bk-btn").first.click()
    becomes(page, "new URLSearchParams(location.search).getAll('run').length", 1)


def shown_runs(page) -> str:
    """An expression: the runs that the page in front says it shows."""
    name = "`page_${model('bridge').page}`"
    front = f"model('main').children.find((root) => root.visible && root.name === {name})"
    bar = f"{front}.children[0].children.find((child) => child.name === 'runbar')"
    return f"{bar}.children.map((chip) => chip.children[1].text).sort()"


def ticks(page, *names: str) -> None:
    """Waits until these runs are ticked in the list, and no others."""
    indices = "model('runs_source').selected.indices"
    becomes(page, f"Array.from({indices}, (i) => data('runs_source', 'name')[i]).sort()", sorted(names))


def test_every_tab_opens_with_what_is_ticked(visit, runs):
    page = visit(runs, run="wood", page="compare")
    tabs = [name for name, each in pages.pages().items() if each.runs]
    assert {"descent", "compare", "optimizers"} <= set(tabs)
    page.locator(".gd-tab[data-page=runs]").click()
    page.wait_for_selector(".gd-open")
    ticks(page, "wood")
    tick(page, SWEEP[0])
    chosen(page, "run", "wood", SWEEP[0])
    for name in ("compare", *tabs):
        page.locator(f".gd-tab[data-page={name}]").click()
        becomes(page, shown_runs(page), sorted(["wood", SWEEP[0]]))
    page.locator(".gd-tab[data-page=ensemble]").click()
    says(page, "ensemble_title", "Ensemble of 2 runs")


def test_ticks_that_change_reach_pages_that_stand_and_go_with_the_choice(visit, runs):
    page = visit(runs, run=SWEEP[:2], page="optimizers", k="3")
    becomes(page, shown_runs(page), SWEEP[:2])
    page.locator(".gd-tab[data-page=ensemble]").click()
    says(page, "ensemble_title", "Ensemble of 2 runs")
    page.locator(".gd-tab[data-page=runs]").click()
    page.wait_for_selector(".gd-open")
    ticks(page, *SWEEP[:2])
    tick(page, SWEEP[2])
    address(page, page="runs", k=None, ens_run=None)
    page.reload()
    page.wait_for_selector(".gd-open")
    ticks(page, *SWEEP[:3])
    page.locator(".gd-tab[data-page=optimizers]").click()
    becomes(page, shown_runs(page), SWEEP[:3])
    page.locator(".gd-tab[data-page=ensemble]").click()
    says(page, "ensemble_title", "Ensemble of 3 runs")
    page.locator(".gd-tab[data-page=runs]").click()
    page.locator(".bk-btn:visible", has_text="Clear").click()
    address(page, run=None)
    page.locator(".gd-tab[data-page=optimizers]").click()
    says(page, "too_few_title", "Optimizers needs")
    page.locator(".gd-tab[data-page=runs]").click()
    page.locator(".gd-open", has_text="wood").click()
    becomes(page, shown_runs(page), ["wood"])
    page.keyboard.press("Escape")
    page.wait_for_selector(".gd-open")
    ticks(page, "wood")


TABLE = "Bokeh.index.find_one(model('runs_table'))"
EDGES = f"{TABLE}.grid.getCanvasNode().parentElement.dataset.more"


def test_columns_beside_the_edge_are_hinted_at_and_can_be_reached(visit, runs):
    page = visit(runs, width=800)
    page.wait_for_selector(".gd-open")
    becomes(page, EDGES, "right")
    becomes(page, "document.querySelector('.gd-header nav').dataset.more", "right")
    assert see(page, "cut") == []
    page.evaluate("delete Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name('runs_table'))"
                  ".grid.getCanvasNode().parentElement.dataset.more")  # fmt: skip
    assert len(see(page, "cut")) == 1
    more = page.locator(".gd-more:visible")
    more.click()
    becomes(page, EDGES, "left right")
    while more.count():
        more.click()
        page.wait_for_timeout(50)
    becomes(page, EDGES, "left")
    wide = visit(runs, width=1600)
    wide.wait_for_selector(".gd-open")
    wide.get_by_role("button", name="Columns").click()
    wide.locator(".bk-input-group label", has_text="Note").click()
    becomes(wide, EDGES, "")
    assert wide.locator(".gd-more:visible").count() == 0


def test_a_run_without_an_iteration_is_words_alone(visit, tmp_path):
    with make_runs.begin(tmp_path / "runs" / "live") as writer:
        make_runs.append(writer, 0, 0)
        page = visit(tmp_path / "runs", run="live", page="descent")
        says(page, "curve_caption", "No iteration has been recorded yet")
        becomes(page, "model('curve_figure').visible", False)
        assert see(page, "empty") == []
        make_runs.append(writer, 0, 10)
        becomes(page, "model('curve_figure').visible", True)
        becomes(page, "data('curve_dots', 'x').length", 11)


def test_sorting_survives_hiding_columns_and_a_reload(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    page.locator(".slick-header-column", has_text="Name").click()
    address(page, sort="name")
    wait(page, "Bokeh.index.find_one(model('runs_table')).data.getField(0, 'name').startsWith('<')")
    page.locator(".bk-btn", has_text="Columns").click()
    page.get_by_label("Duration").uncheck()
    address(page, hide="seconds")
    page.reload()
    page.wait_for_selector(".gd-open")
    becomes(page, "model('runs_table').sort_columns.length", 1)

    @eventually(page)
    def both_are_as_they_were():
        assert "Duration" not in heads(page) and "Final error" in heads(page)
        assert rows(page) == sorted(EVERYTHING, key=lambda name: (name[0] != "<", name))


def test_keys_and_help(visit, runs):
    page = visit(runs)
    page.keyboard.press("?")
    expect(page.locator("#gd-keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#gd-keys")).to_be_hidden()
    page.locator(".gd-tab", has_text="Compare").click()
    wait(page, "model('too_few_message') != null")
    # The new page is there a moment before the old one has gone.
    wait(page, "Bokeh.index.find_one(model('filter')).el.offsetParent == null")
    page.keyboard.press("/")
    becomes(page, "document.querySelector('.gd-tab[aria-current]').dataset.page", "runs")
    wait(page, FILTERING)


def test_a_pattern_typed_at_once_is_a_pattern_and_no_row_of_keys(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    page.locator(".gd-tab", has_text="Compare").click()
    wait(page, "Bokeh.index.find_one(model('filter')).el.offsetParent == null")
    # In one turn of the browser, before the server can have shown the list: p, t, l and ? are keys too.
    keys = "/sweepl?t"
    page.evaluate(
        "(keys) => { for (const key of keys) document.body.dispatchEvent(new KeyboardEvent('keydown',"
        " {key, bubbles: true, composed: true, cancelable: true})) }",
        keys,
    )
    becomes(page, "model('filter').value_input", keys[1:])
    says(page, "filter_message", "0 of 7")
    address(page, page="runs", filter=keys[1:], theme="light", pause=None)
    expect(page.locator("#gd-keys")).to_be_hidden()
    wait(page, FILTERING)


def test_the_theme_changes_everything_and_is_remembered(visit, runs):
    page = visit(runs, theme=None, run=SWEEP[0])
    drawn(page, "curve_figure")
    becomes(page, "document.documentElement.dataset.theme", "light")
    page.locator("#gd-theme").click()
    address(page, theme="dark")
    becomes(page, "model('bridge').theme", "dark")
    becomes(page, "localStorage.getItem('gdlab-theme')", "dark")
    plots = "[...Bokeh.documents[0]._all_models.values()].filter((m) => m.type === 'Figure')"
    wait(page, f"{plots}.length > 0 && {plots}.every((m) => m.background_fill_color === '#1a1e25')")
    page.goto(page.url.replace("theme=dark", "x=1"))
    becomes(page, "document.documentElement.dataset.ready", "yes")
    becomes(page, "model('bridge').theme", "dark")
    becomes(page, "document.documentElement.dataset.theme", "dark")


def test_pausing_is_visible_and_stops_the_refresh(visit, tmp_path):
    dots = "data('curve_dots', 'x').length"
    with make_runs.begin(tmp_path / "runs" / "live") as writer:
        make_runs.append(writer, 0, 10)
        page = visit(tmp_path / "runs", run="live")
        becomes(page, PILL, "live · iteration 10")
        make_runs.append(writer, 10, 10)
        becomes(page, PILL, "live · iteration 20")
        page.keyboard.press("p")
        becomes(page, "document.querySelector('#gd-status').dataset.kind", "paused")
        expect(page.locator("#gd-status")).to_have_text("paused · live · iteration 20")
        address(page, pause="1")
        # Another reader sees two refreshes come, a period apart: the paused page let one pass at least.
        other = visit(tmp_path / "runs", run="live")
        for start in (20, 30):
            make_runs.append(writer, start, 10)
            becomes(other, PILL, f"live · iteration {start + 10}")
            becomes(other, dots, start + 11)
        assert len(column(page, "curve_dots", "x")) == 21
        assert page.locator("#gd-status").get_attribute("data-kind") == "paused"
        page.locator("#gd-pause").click()
        becomes(page, PILL, "live · iteration 40")
        becomes(page, dots, 41)
        writer.set_status("finished")


def test_names_full_of_html_are_only_names(visit, runs):
    page = visit(runs, run="<img src=x onerror=alert(1)>", filter="<b>")
    wait(page, "model('runbar_name_0').text.startsWith('<img')")
    drawn(page, "curve_figure")
    page.locator(".gd-tab", has_text="Runs").click()
    says(page, "filter_message", "0 of")
    becomes(page, "document.querySelector('.gd-tab[aria-current]').dataset.page", "runs")
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("name", ["../../etc", "/etc", "nothing", "wood/../../x", "broken"])
def test_a_run_that_cannot_be_shown_is_a_card_beside_the_others(visit, runs, name):
    page = visit(runs, run=[name, SWEEP[0]], page="descent")
    wait(page, "/does not lie under|no run|damaged/.test(model('error_0_message').text)")
    becomes(page, "model('runbar_name_0').text", SWEEP[0])


@pytest.mark.parametrize(
    "query",
    [
        {"page": "nowhere"},
        {"page": "<script>alert(1)</script>"},
        {"theme": '"><script>alert(1)</script>'},
        {"k": "1e99", "sort": "'; DROP", "hide": ["x"] * 300, "colour": "red"},
        {"run": "\x00"},
    ],
)
def test_an_address_that_makes_no_sense_gives_a_page_that_does(visit, runs, query):
    page = visit(runs, **({"theme": None} | query if "theme" not in query else query))
    page.wait_for_selector(".gd-open, .gd-message")


def test_the_list_is_saved_as_csv(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    page.locator(".gd-menu .bk-btn").first.click()
    with page.expect_download() as download:
        page.locator(".gd-menu .bk-item", has_text="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("name,state,")
    assert len(lines) == 8
    assert download.value.suggested_filename == "runs_card.csv"


def test_an_empty_folder_says_what_to_do(visit, tmp_path):
    page = visit(tmp_path)
    wait(page, "model('runs_empty').visible")
    says(page, "runs_empty_message", "python -m gdlab experiment=rosenbrock")
    make_runs.make(tmp_path / "first")
    page.wait_for_selector(".gd-open")
    lists(page, "first")


def test_a_thousand_runs_are_listed(visit, tmp_path):
    template = make_runs.make(tmp_path / "template", iterations=2)
    for i in range(1000):
        (tmp_path / "runs" / f"run {i:04d}" / "log.zarr").mkdir(parents=True)
        shutil.copy(template / "log.zarr" / "zarr.json", tmp_path / "runs" / f"run {i:04d}" / "log.zarr")
    page = visit(tmp_path / "runs")
    page.wait_for_selector(".gd-open")
    becomes(page, "model('filter_message').text", "1,000 runs")
    type_filter(page, "run 0(12|99)\\d")
    becomes(page, "model('filter_message').text", "20 of 1,000 runs")


def test_on_a_narrow_page_nothing_sticks_out(visit, runs):
    page = visit(runs, width=800)
    page.wait_for_selector(".gd-open")
    wait(page, "document.documentElement.scrollWidth <= 800")


def test_durations_are_written_without_powers_of_ten(visit, runs):
    page = visit(runs)
    said = {
        0.0123: "12 ms",
        0.32: "320 ms",
        7.26: "7.3 s",
        59.0: "59 s",
        61.5: "1 min 1 s",
        3720: "1 h 2 min",
    }
    assert page.evaluate("(times) => times.map(gdlab.duration)", list(said)) == list(said.values())


def test_how_a_card_is_read_stands_behind_its_button(visit, runs):
    page = visit(runs, run=SWEEP[0], page="descent")
    page.locator(".gd-explain button").first.click()
    expect(page.locator(".gd-reading-words").first).to_contain_text("errors J of the iterations k")
    expect(page.locator(".gd-reading-words")).to_have_count(4)
    page.locator(".gd-explain button").first.click()
    expect(page.locator(".gd-reading-words")).to_have_count(0)
