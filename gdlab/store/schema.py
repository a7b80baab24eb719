"""What a commit record and a run.json have to hold, so that whoever reads them meets numbers and texts only.

A run folder may come from a stranger or be damaged. Whatever is of another kind than a writer would have
written is refused here, by name, and nothing behind this has to ask again.
"""

import math

from gdlab.store.errors import DamagedRun

STATES = ("running", "finished", "interrupted", "diverged", "failed")
MAX_CHANGES = 100  # of a configuration: each is applied, and hashed, when a run is looked at
_MAX_COUNT = 1 << 53  # beyond it a float no longer counts by one
_LOSSES = ("first_loss", "final_loss", "best_loss")
_TIMES = ("started", "updated", "seconds")
_SCALARS = (str, int, float, bool)
_COUNTS = ("parameters", "examples", "batch_size")


def is_count(value):
    """Whether it is a whole number from 0 to 2**53."""
    return type(value) is int and 0 <= value <= _MAX_COUNT


def is_number(value):
    """Whether it is a number that fits a float, NaN and infinity included, but no truth value."""
    if type(value) is int:
        return abs(value).bit_length() < 1024
    return type(value) is float


def is_plain(value):
    """Whether it consists of dict with texts as keys, list, text, numbers of `is_number`, bool and None."""
    if value is None or type(value) in (str, bool):
        return True
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return all(map(is_plain, value)) if type(value) is list else is_number(value)


def check_facts(found, where):
    """DamagedRun where an attribute of a run's Manifest is missing or of the wrong kind."""
    facts = found.facts
    for key in ("summary", "status", "hyperparameters"):
        _want(type(facts.get(key)) is dict and is_plain(facts[key]), key, facts, where)
    for key in _TIMES:
        _want(is_number(facts.get(key)) and math.isfinite(facts[key]), key, facts, where)
    _want(isinstance(facts.get("reason"), str | None), "reason", facts, where)
    _want(type(facts.get("state")) is str and facts["state"] in STATES, "state", facts, where)
    _want(isinstance(facts.get("config_hash"), str | None), "config_hash", facts, where)
    pyramids = facts.get("pyramids")
    _want(type(pyramids) is list and all(type(name) is str for name in pyramids), "pyramids", facts, where)
    if not all(name in found.layouts for name in pyramids):
        raise DamagedRun("among the attributes, pyramids names arrays that do not exist", where)
    summary = facts["summary"]
    _want(is_count(summary.get("iterations", 0)), "iterations", summary, where)
    for key in _LOSSES:
        _want(summary.get(key) is None or is_number(summary[key]), key, summary, where)


def check_document(document, where):
    """DamagedRun where run.json lacks something or holds it as something else."""
    _want(type(document.get("config_hash")) is str, "config_hash", document, where)
    created = document.get("created")
    _want(is_number(created) and math.isfinite(created), "created", document, where)
    identity, sessions = document.get("identity"), document.get("sessions")
    if type(identity) is not dict or type(sessions) is not list:
        raise DamagedRun("no identity in it", where)
    changes = document.get("changes", [])
    _want(
        type(changes) is list and len(changes) <= MAX_CHANGES and all(map(_is_change, changes)),
        "changes",
        document,
        where,
    )
    for facts in (identity, *sessions):
        if type(facts) is not dict or not is_plain(facts):
            raise DamagedRun(f"an identity that is none: {_short(facts)}", where)
        _check_identity(facts, where)


def _is_change(value):
    """Whether it says what changed in a configuration, and from which iteration on."""
    return (
        type(value) is dict
        and is_count(value.get("iteration"))
        and type(value.get("options")) is dict
        and is_plain(value["options"])
    )


def _check_identity(facts, where):
    for key in _COUNTS:
        _want(facts.get(key) is None or is_count(facts[key]), key, facts, where)
    classes = facts.get("classes", [])
    _want(type(classes) is list and all(type(name) in _SCALARS for name in classes), "classes", facts, where)
    group = facts.get("group") or {}
    _want(type(group) is dict and (not group or _is_group(group)), "group", facts, where)
    network = facts.get("network") or {}
    lists = [network.get(key, []) for key in ("nodes", "edges")] if type(network) is dict else [None]
    _want(all(type(part) is list for part in lists), "network", facts, where)


def _is_group(group):
    width, index, varied = (group.get(key) for key in ("width", "index", "varied"))
    if not (is_count(width) and is_count(index) and type(varied) is list):
        return False
    return index < width and all(type(key) is str for key in varied)


def _want(right, key, facts, where):
    if not right:
        raise DamagedRun(f"among the attributes, {key} is {_short(facts.get(key))}", where)


def _short(value):
    try:
        return f"{value!r:.80}"
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return f"a {type(value).__name__} beyond all bounds"
