"""Selections of runs: several, each with a name and a colour, made of brushes on axes and of single runs.

A brush is an interval of an axis in the axis's own units, open at an end that it was drawn to. A run
belongs to a selection where it lies in all its brushes, or was added by hand, unless it was taken out by
hand. Single runs are written as short keys made from their names, so that an address holds hundreds.
The browser computes the same from the same text (`static/ensemble.js`).
"""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

MOST, MOST_FOCUS, MOST_NAME, MOST_KEYS = 6, 4, 60, 4000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LENGTH = 5  # letters of a key: two of a thousand runs share one once in two thousand ensembles
_CHUNK = 300  # keys in one value of the address


class Choice(NamedTuple):
    """hue: a position in the palette's categories; brushes: {axis: (low or None, high or None)};
    plus, minus: keys of runs that were added and taken out by hand."""

    name: str
    hue: int
    brushes: Mapping[str, tuple]
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()


class Selections(NamedTuple):
    """active: the choice that gestures change; focus: keys of the runs looked at, the newest first."""

    choices: tuple[Choice, ...] = ()
    active: int = 0
    focus: tuple[str, ...] = ()


def key(name: str) -> str:
    """A run's key, made of its name alone."""
    number = zlib.crc32(name.encode())
    return "".join(LETTERS[number >> 6 * i & 63] for i in range(LENGTH))


def parse(text: str) -> Selections:
    """The selections in the browser's text. ValueError where it is not what `dump` writes."""
    try:
        found = json.loads(text)
        choices = tuple(_choice(each) for each in found["selections"][:MOST])
        focus = _keys(found["focus"])[:MOST_FOCUS]
        active = int(found["active"])
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not a selection: {error!r}") from None
    return Selections(choices, max(0, min(active, len(choices) - 1)), focus)


def dump(selections: Selections) -> str:
    """The text that the browser reads."""
    choices = [
        {
            "name": choice.name,
            "hue": choice.hue,
            "brushes": {axis: list(ends) for axis, ends in choice.brushes.items()},
            "plus": list(choice.plus),
            "minus": list(choice.minus),
        }
        for choice in selections.choices
    ]
    return json.dumps({"selections": choices, "active": selections.active, "focus": list(selections.focus)})


def read(state) -> Selections:
    """The selections in an address; what is malformed in it is left out."""
    choices = []
    for text in state.get_all("ens_sel")[:MOST]:
        try:
            name, hue, brushes = json.loads(text)
            choice = {"name": name, "hue": hue, "brushes": brushes, "plus": [], "minus": []}
            _choice(choice)
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            continue
        choices.append(choice)
    for text in state.get_all("ens_pick"):
        number, sign, keys = text[:1], text[1:2], text[2:]
        if number in tuple("012345"[: len(choices)]) and sign in ("~", "."):
            choices[int(number)]["minus" if sign == "~" else "plus"] += _cut(keys)
    focus = _cut(state.get("ens_focus", ""))
    active = state.get("ens_active", 0, low=0, high=MOST)
    return parse(json.dumps({"selections": choices, "active": active, "focus": focus}))


def keys(selections: Selections) -> dict[str, object]:
    """The address's keys for these selections."""
    texts, picks = [], []
    for i, choice in enumerate(selections.choices):
        content = [choice.name, choice.hue, {axis: list(ends) for axis, ends in choice.brushes.items()}]
        texts.append(json.dumps(content, separators=(",", ":"), ensure_ascii=False))
        for sign, runs in ((".", choice.plus), ("~", choice.minus)):
            picks += [f"{i}{sign}" + "".join(runs[j : j + _CHUNK]) for j in range(0, len(runs), _CHUNK)]
    return {
        "ens_sel": texts,
        "ens_pick": picks,
        "ens_active": selections.active or None,
        "ens_focus": "".join(selections.focus) or None,
    }


def members(selections: Selections, values: Mapping[str, np.ndarray], keys: Sequence[str]) -> np.ndarray:
    """bool [S, M]: which run belongs to which selection.

    values: {axis: float64 [M]}, clamped to the axis's range, NaN where a run has none; a brush on an axis
    that is not there is passed over. keys: the runs' keys.
    """
    places = {each: i for i, each in enumerate(keys)}
    out = np.zeros((len(selections.choices), len(keys)), bool)
    for row, choice in zip(out, selections.choices, strict=True):
        brushes = [(values[axis], *ends) for axis, ends in choice.brushes.items() if axis in values]
        row[:] = bool(brushes)
        for value, low, high in brushes:
            row &= value >= (-np.inf if low is None else low)
            row &= value <= (np.inf if high is None else high)
        for wanted, runs in ((True, choice.plus), (False, choice.minus)):
            row[[places[each] for each in runs if each in places]] = wanted
    return out


def _choice(found) -> Choice:
    name, hue = found["name"], found["hue"]
    if not isinstance(name, str) or type(hue) is not int or not 0 <= hue < MOST:
        raise ValueError(f"a selection needs a name and a hue in 0 ... {MOST - 1}")
    brushes = {}
    for axis, (low, high) in found["brushes"].items():
        ends = [None if end is None else float(end) for end in (low, high)]
        if any(end is not None and not math.isfinite(end) for end in ends):
            raise ValueError(f"the brush on {axis!r} must have finite ends")
        brushes[axis] = tuple(ends)
    return Choice(name.strip()[:MOST_NAME], hue, brushes, _keys(found["plus"]), _keys(found["minus"]))


def _keys(found) -> tuple[str, ...]:
    letters = set(LETTERS)
    good = (each for each in found if isinstance(each, str) and len(each) == LENGTH and letters >= set(each))
    return tuple(dict.fromkeys(good))[:MOST_KEYS]


def _cut(text: str) -> list[str]:
    return [text[i : i + LENGTH] for i in range(0, len(text), LENGTH)]
