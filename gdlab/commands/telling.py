"""What is recorded, for scripts and terminals: `task=runs` lists runs, `task=summary` tells of one.

Both read the record alone and start neither Hydra nor JAX. With --json they print one JSON document, in which
what is not finite is null.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from gdlab import store
from gdlab.analysis.validation import reached
from gdlab.findings import findings
from gdlab.messages import counted, one_line
from gdlab.plan.targets import ConfigError, nearest
from gdlab.store.config import training_keys

FLAG = "--json"
COLUMNS = ("name", "state", "iterations", "first_loss", "final_loss", "best_loss", "seconds")
_FACTS = (*COLUMNS, "reason", "started", "updated", "verified", "hyperparameters")


def answer(words: Sequence[str]) -> str:
    """What is printed for the words of a command with one of these tasks.

    Raises ConfigError for words that it does not know, and where there is no folder; StoreError where the run
    of task=summary cannot be read.
    """
    given, flags = parsed(words)
    if given["task"] == "runs":
        runs = _runs(given.get("run") or "runs")
        return _json(runs) if FLAG in flags else _table(runs)
    told = _summary(given.get("run"))
    return _json(told) if FLAG in flags else _text(told)


def parsed(words: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """({option: value}, {flag}) of the words of such a command; ConfigError for what it does not know."""
    given: dict[str, str] = {}
    flags = set()
    for word in words:
        key, assigned, value = word.partition("=")
        if word == FLAG:
            flags.add(word)
        elif not assigned or key not in ("task", "run"):
            hint = nearest(key, ("run", FLAG))
            raise ConfigError(f"{one_line(word)!r}: allowed: run=FOLDER, {FLAG}.{hint}")
        else:
            given[key] = value
    return given, flags


def _json(told) -> str:
    return json.dumps(_finite(told), indent=2, allow_nan=False, default=str)


def _runs(folder: str) -> list[dict]:
    """Of every run below a folder what COLUMNS name, or why it cannot be read."""
    if not Path(folder).is_dir():
        raise ConfigError(f"run={folder}: there is no such folder; task=runs lists the runs below run=FOLDER")
    told = []
    for name, found in store.list_runs(folder):
        if isinstance(found, dict):
            told.append(_facts(found))
        else:
            told.append({"name": name, "state": "damaged", "reason": str(found)})
    return told


def _summary(folder: str | None) -> dict:
    """Of one run its facts, how far it got, and what its record says in words."""
    if not folder:
        raise ConfigError("task=summary needs the folder of a recorded run: run=runs/NAME")
    run = store.open_run(folder)
    facts = run.summary()
    said = [{"text": one.text, "number": one.number, "link": one.link} for one in findings([run])]
    return {**_facts(facts), "arrays": sorted(run.arrays), "reached": reached(run), "findings": said}


def _facts(summary: dict) -> dict:
    """What is told of every run; of its hyper-parameters those that can alter a training."""
    told = {key: summary.get(key) for key in _FACTS}
    return told | {"hyperparameters": training_keys(summary.get("hyperparameters") or {})}


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _table(told: list[dict]) -> str:
    if not told:
        return "There is no run here."
    rows = [COLUMNS, *([_cell(run.get(key)) for key in COLUMNS] for run in told)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        reason = told[number - 1].get("reason") if number else None
        lines.append("  ".join(cells).rstrip() + (f"  {one_line(str(reason))}" if reason else ""))
    return "\n".join(lines)


def _text(told: dict) -> str:
    count = counted(told["iterations"], "iteration")
    lines = [f"{one_line(str(told['name']))}: {told['state']}, {count}"]
    if told["reason"]:
        lines.append(f"  {one_line(str(told['reason']))}")
    numbers = {key: value for key, value in told["reached"].items() if math.isfinite(value)}
    lines += [f"  {key:<22}{_cell(value)}" for key, value in numbers.items()]
    return "\n".join([*lines, *(f"- {one_line(one['text'])}" for one in told["findings"])])


def _cell(value) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.5g}"
    return one_line(str(value))
