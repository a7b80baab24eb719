"""Whether titles and captions say what is drawn under them: each is compared with the data of its card."""

import re
from urllib.parse import parse_qs, urlsplit

import numpy as np

from gdlab import store
from tests.browser import sight

FACTS = """() => {
  const {shown, column} = window.gdSight
  const text = (name) => shown(name)?.text ?? ""
  const facets = (shown("details_stack")?.children ?? []).filter((child) => child.visible)
  return {
    details: text("details_title"), more: shown("details_more")?.label ?? "",
    current: facets.map((_, j) => column(`details_${j}_current`, "x")[0] ?? null),
    curve: text("curve_caption"), dots: column("curve_dots", "iteration"),
    log: shown("log_toggle")?.active ?? null, scale: shown("curve_figure")?.y_scale.type ?? null,
    error: shown("curve_figure")?.left[0]?.axis_label ?? "",
    codes: [0, 1].map((i) => text(`galaxy_${i}_caption`)), insides: text("insides_caption"),
    image: text("classes_image_title"), selected: text("tracker_selected"),
  }
}"""


def differing(page, folder) -> list[str]:
    """What titles of the page say that is not what is drawn, in words."""
    sight.with_eyes(page)
    facts = page.evaluate(FACTS)
    query = parse_qs(urlsplit(page.url).query)
    runs = [store.open_run(folder / name) for name in query.get("run", [])]
    k = int(query["k"][0]) if "k" in query else None
    found = []
    if runs:
        focus = query.get("focus", query["run"][:1])[0]
        run = runs[query["run"].index(focus)] if focus in query["run"] else runs[0]
        found += [_details(facts, run, k), _curve(facts), _scale(facts)]
        found += [
            _said("codes", words, _at(run, k)) for words, run in zip(facts["codes"], runs, strict=False)
        ]
        inside = query.get("inside", query["run"][:1])[0]
        if inside in query["run"]:
            found.append(_said("insides", facts["insides"], _at(runs[query["run"].index(inside)], k)))
    found.append(_image(facts))
    return [words for words in found if words]


def _at(run, k: int | None) -> int:
    last = run.rows("scalars")
    return last if k is None else min(k, last)


def _said(card: str, words: str, k: int) -> str | None:
    match = re.search(r"[Ii]teration ([\d,]+)", words)
    if match and int(match[1].replace(",", "")) != k:
        return f"{card} says {words!r}; chosen is iteration {k}"
    return None


def _details(facts, run, k: int | None) -> str | None:
    """The step widths of the plots are those of the iteration in the title, which is that of the address."""
    match = re.fullmatch(r"(Line search|Step) at iteration ([\d,]+)", facts["details"])
    if not match:
        return None
    told = int(match[2].replace(",", ""))
    if told != k:
        return f"details: {facts['details']!r}; the address says k={k}"
    if match[1] == "Step":
        return None
    trace = run.table("evaluations", told, told + 1).columns
    followed = np.flatnonzero(trace["search"][1:] == trace["search"][:-1])
    first = int(re.search(r"Plots (\d+)", facts["more"])[1]) - 1 if facts["more"] else 0
    wanted = trace["eta"][followed][first : first + len(facts["current"])]
    if facts["current"] != [None] and len(followed) and not np.array_equal(facts["current"], wanted):
        return f"details: {facts['details']!r} over plots of {facts['current']}, recorded {wanted.tolist()}"
    return None


def _curve(facts) -> str | None:
    match = re.match(r"Iterations ([\d,]+) to ([\d,]+)\.", facts["curve"])
    if not match or not facts["dots"]:
        return None
    said = [int(number.replace(",", "")) for number in match.groups()]
    first, last = min(facts["dots"]), max(facts["dots"])  # after the last iteration there is one more dot
    same = said[0] == first and said[1] in (last, last - 1)
    return None if same else f"curve: {match[0]!r} over dots {first} to {last}"


def _scale(facts) -> str | None:
    if facts["log"] is None or facts["scale"] is None:
        return None
    drawn = facts["scale"] == "LogScale" or "symlog" in str(facts["error"])
    return None if drawn == facts["log"] else f"the button Log is {facts['log']}, the axis {facts['scale']}"


def _image(facts) -> str | None:
    title = re.match(r"Image ([\d,]+)", facts["image"])
    chosen = re.search(r"image ([\d,]+)", facts["selected"])
    if title and chosen and title[1] != chosen[1]:
        return f"{facts['image']!r} under {facts['selected']!r}"
    return None
