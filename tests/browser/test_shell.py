"""The shell in a real browser: the list, filter, selection, keys, themes, address, files, safety."""

import json
import re
import shutil
from urllib.parse import parse_qs, urlsplit

import make_runs
import pytest

pytestmark = pytest.mark.browser

MODEL = "Bokeh.documents[0].get_model_by_name"
SWEEP = [f"sweep/sigma={sigma},seed={seed}" for sigma in (0.011, 0.2) for seed in (0, 1)]


def rows(page) -> list[str]:
    """Names of the runs in the table, top to bottom, as far as it draws them."""
    return page.locator(".gd-open").all_text_contents()


def address(page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def wait_address(browser_page, **wanted) -> None:
    for key, value in wanted.items():
        browser_page.wait_for_function(
            "([key, value]) => JSON.stringify(new URLSearchParams(location.search).getAll(key)) === value",
            arg=[key, json.dumps(value, separators=(",", ":"))],
        )


def text(page, name: str) -> str:
    return page.evaluate(f"{MODEL}('{name}').text")


def tick(page, name: str) -> None:
    page.locator(".slick-row", has_text=name).first.locator("input[type=checkbox]").check()


def type_filter(page, pattern: str) -> None:
    page.keyboard.press("/")
    page.keyboard.insert_text(pattern)


def test_every_run_is_listed_with_what_differs_and_the_damaged_one_says_why(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    assert sorted(rows(page)) == sorted([*SWEEP, "<img src=x onerror=alert(1)>", "wood", "broken"])
    heads = page.locator(".slick-header-column").all_inner_texts()
    assert [head for head in heads if head in ("sigma", "seed", "rho", "n")] == ["sigma", "seed"]
    broken = page.locator(".slick-row", has_text="broken").inner_text()
    assert "damaged run" in broken
    assert "diverged" in page.locator(".slick-row", has_text="wood").inner_text()


def test_the_filter_is_a_regular_expression_and_says_when_it_is_not(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    type_filter(page, "^wood")
    page.wait_for_function(f"{MODEL}('filter_message').text.startsWith('1 of')")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("sigma=0\\.2|^wood")
    page.wait_for_function(f"{MODEL}('filter_message').text.startsWith('3 of 7')")
    assert sorted(rows(page)) == sorted(["wood", *SWEEP[2:]])
    wait_address(page, filter=["sigma=0\\.2|^wood"])
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("sigma=(")
    page.wait_for_function(f"{MODEL}('filter_message').text.includes('Not a regular expression')")
    assert len(rows(page)) == 7
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_a_pattern_applies_to_runs_that_appear_later(visit, tmp_path):
    make_runs.make(tmp_path / "runs" / "a1")
    page = visit(tmp_path / "runs", filter="^a")
    page.wait_for_selector(".gd-open")
    make_runs.make(tmp_path / "runs" / "b1", seed=1)
    make_runs.make(tmp_path / "runs" / "a2", seed=2)
    page.wait_for_function(f"{MODEL}('filter_message').text === '2 of 3 runs'")
    assert sorted(rows(page)) == ["a1", "a2"]


def test_a_name_opens_its_descent_and_escape_leads_back(visit, runs):
    page = visit(runs)
    page.locator(".gd-open", has_text=SWEEP[0]).click()
    wait_address(page, page=["descent"], run=[SWEEP[0]])
    page.wait_for_function(f"{MODEL}('runbar_name_0')?.text === {SWEEP[0]!r}")
    assert page.locator(".gd-tab[aria-current=page]").inner_text() == "Descent"
    assert SWEEP[0] in page.title()
    page.keyboard.press("Escape")
    wait_address(page, page=["runs"])
    page.wait_for_selector(".gd-open")


def test_ticked_runs_are_compared_and_named_by_what_differs(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    compare = page.locator(".bk-btn", has_text="Compare")
    assert compare.is_disabled()
    tick(page, SWEEP[0])
    tick(page, SWEEP[1])
    compare.click()
    wait_address(page, page=["compare"])
    assert sorted(address(page)["run"]) == sorted(SWEEP[:2])
    page.wait_for_function(f"{MODEL}('runbar_label_1')?.text.startsWith('seed')")
    assert {text(page, f"runbar_label_{i}") for i in (0, 1)} == {"seed 0", "seed 1"}
    page.locator(".gd-remove .bk-btn").first.click()
    page.wait_for_function("new URLSearchParams(location.search).getAll('run').length === 1")


def test_sorting_survives_hiding_columns_and_a_reload(visit, runs):
    page = visit(runs)
    page.wait_for_selector(".gd-open")
    page.locator(".slick-header-column", has_text="Name").click()
    wait_address(page, sort=["name"])
    page.wait_for_function(
        "Bokeh.index.find_one(" + MODEL + "('runs_table')).data.getField(0, 'name').startsWith('<')"
    )
    page.locator(".bk-btn", has_text="Columns").click()
    page.get_by_label("Duration").uncheck()
    wait_address(page, hide=["seconds"])
    page.reload()
    page.wait_for_selector(".gd-open")
    page.wait_for_function(f"{MODEL}('runs_table').sort_columns.length === 1")
    heads = page.locator(".slick-header-column").all_inner_texts()
    assert "Duration" not in heads and "Final error" in heads
    assert rows(page) == sorted(rows(page), key=lambda name: (name[0] != "<", name))


def test_keys_and_help(visit, runs):
    page = visit(runs)
    page.keyboard.press("?")
    assert page.locator("#gd-keys").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#gd-keys").is_hidden()
    page.locator(".gd-tab", has_text="Compare").click()
    page.wait_for_function(f"{MODEL}('too_few_message') != null")
    # The new page is there a moment before the old one has gone.
    page.wait_for_function(f"Bokeh.index.find_one({MODEL}('filter')).el.offsetParent == null")
    page.keyboard.press("/")
    page.wait_for_function("document.querySelector('.gd-tab[aria-current]').dataset.page === 'runs'")
    page.wait_for_function("document.activeElement !== document.body")


def test_the_theme_changes_everything_and_is_remembered(visit, runs):
    page = visit(runs, theme=None, run=SWEEP[0])
    page.wait_for_function(f"{MODEL}('runbar_name_0') != null")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.locator("#gd-theme").click()
    wait_address(page, theme=["dark"])
    page.wait_for_function(f"{MODEL}('bridge').theme === 'dark'")
    assert page.evaluate("localStorage.getItem('gdlab-theme')") == "dark"
    plots = "[...Bokeh.documents[0]._all_models.values()].filter((m) => m.type === 'Figure')"
    page.wait_for_function(f"{plots}.every((m) => m.background_fill_color === '#1a1e25')")
    page.goto(page.url.replace("theme=dark", "x=1"))
    page.wait_for_function(f"document.documentElement.dataset.ready && {MODEL}('bridge').theme === 'dark'")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_pausing_is_visible_and_stops_the_refresh(visit, tmp_path):
    with make_runs.begin(tmp_path / "runs" / "live") as writer:
        make_runs.append(writer, 0, 10)
        page = visit(tmp_path / "runs", run="live")
        page.wait_for_function("document.querySelector('#gd-status').textContent === 'live · iteration 10'")
        make_runs.append(writer, 10, 10)
        page.wait_for_function("document.querySelector('#gd-status').textContent === 'live · iteration 20'")
        page.keyboard.press("p")
        page.wait_for_function("document.querySelector('#gd-status').dataset.kind === 'paused'")
        wait_address(page, pause=["1"])
        make_runs.append(writer, 20, 10)
        assert "paused · live · iteration 20" in page.locator("#gd-status").inner_text()
        page.locator("#gd-pause").click()
        page.wait_for_function("document.querySelector('#gd-status').textContent === 'live · iteration 30'")
        writer.set_status("finished")


def test_names_full_of_html_are_only_names(visit, runs):
    page = visit(runs, run="<img src=x onerror=alert(1)>", filter="<b>")
    page.wait_for_function(f"{MODEL}('runbar_name_0')?.text.startsWith('<img')")
    page.locator(".gd-tab", has_text="Runs").click()
    page.wait_for_function(f"{MODEL}('filter_message')?.text.startsWith('0 of')")
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("name", ["../../etc", "/etc", "nothing", "wood/../../x", "broken"])
def test_a_run_that_cannot_be_shown_is_a_card_beside_the_others(visit, runs, name):
    page = visit(runs, run=[name, SWEEP[0]], page="descent")
    page.wait_for_function(f"{MODEL}('error_0_message') != null")
    message = text(page, "error_0_message")
    assert re.search("does not lie under|no run|damaged", message)
    assert text(page, "runbar_name_0") == SWEEP[0]


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
    page.wait_for_function(f"{MODEL}('runs_empty')?.visible")
    assert "python -m gdlab experiment=rosenbrock" in text(page, "runs_empty_message")
    make_runs.make(tmp_path / "first")
    page.wait_for_selector(".gd-open")
    assert rows(page) == ["first"]


def test_a_thousand_runs_are_listed(visit, tmp_path):
    template = make_runs.make(tmp_path / "template", iterations=2)
    for i in range(1000):
        (tmp_path / "runs" / f"run {i:04d}" / "log.zarr").mkdir(parents=True)
        shutil.copy(template / "log.zarr" / "zarr.json", tmp_path / "runs" / f"run {i:04d}" / "log.zarr")
    page = visit(tmp_path / "runs")
    page.wait_for_selector(".gd-open")
    assert text(page, "filter_message") == "1,000 runs"
    type_filter(page, "run 0(12|99)\\d")
    page.wait_for_function(f"{MODEL}('filter_message').text === '20 of 1,000 runs'")


def test_on_a_narrow_page_nothing_sticks_out(visit, runs):
    page = visit(runs, width=800)
    page.wait_for_selector(".gd-open")
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
