"""From a config to live objects: the only place that turns names into calls.

A config may come from a run folder made elsewhere, so it is data all the way: plain dicts, lists, texts
and numbers. A dict with a `_target_` is a call of what `gdlab.plan.targets` allows at its place, with
`_partial_: true` that call with arguments still to come; everything else is a value, a text with "${" in
it, too. Hydra and its resolvers compose configs on the command line and have no part in this.
"""

from functools import partial

from gdlab.plan.targets import INSIDE, SLOTS, ConfigError, nearest, parameters, resolve, short

__all__ = ["ConfigError", "check", "check_sections", "instantiate", "nearest", "resolve", "takes"]

MARKS = ("_target_", "_partial_")
MAX_DEPTH = 32
NEEDED = ("problem", "optimizer")
BUILT = (*NEEDED, "dataset", "model", "schedule", "weight_decay", "class_shares")


def check(node, where="config", slots=None):
    """Refuse a config whose targets are not allowed at their place or do not take the options given.

    slots: what `node` may be; None: a whole config, whose sections have their slots, or a node of any slot.

    Raises:
      ConfigError: names the option, its place, what the target takes and the nearest valid name.
    """
    if slots is None and isinstance(node, dict) and "_target_" not in node:
        for key, child in node.items():
            if key == "probes" and isinstance(child, dict):
                for name, probe in child.items():
                    _check(probe, f"{where}.probes.{name}", ("probe",), 1)
            else:
                _check(child, f"{where}.{key}", (key,) if key in SLOTS else (), 1)
        return
    _check(node, where, SLOTS if slots is None else slots, 0)


def check_sections(config, slots=BUILT):
    """Refuse a config whose problem, optimizer, dataset, ..., as far as `slots` names them, are not nodes of
    their slots.

    Raises:
      ConfigError: as `check`; or a section is missing or no node.
    """
    for slot in slots:
        node = config.get(slot)
        if node is None and slot not in NEEDED:
            continue
        if not isinstance(node, dict) or "_target_" not in node:
            raise ConfigError(
                f"{slot}={short(node)}: allowed: what conf/{slot} holds, a mapping with a _target_"
            )
        _check(node, slot, (slot,), 0)
        if node.get("_partial_"):
            raise ConfigError(
                f"{slot}._partial_=True: allowed: false; only beta and linesearch are called later"
            )


def instantiate(node, slot, **live):
    """Build the object that `node` describes; `live` are arguments that no yaml can hold.

    Raises:
      ConfigError: as `check`; or the target itself refused a value, with its own words.
    """
    check(node, slot, (slot,))
    return _called(node, slot, (slot,), live)


def takes(node, name):
    """Whether the target of `node` has a parameter called `name`."""
    return "_target_" in node and name in parameters(resolve(node["_target_"]))


def _check(node, where, slots, depth):
    if depth > MAX_DEPTH:
        raise ConfigError(f"{where[:200]}: nested deeper than {MAX_DEPTH}")
    if isinstance(node, list | tuple):
        for number, child in enumerate(node):
            if isinstance(child, dict | list | tuple):
                _check(child, f"{where}[{number}]", slots, depth + 1)
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        _check_options(resolve(node["_target_"], slots, where), node, where)
        slots = tuple(inner for slot in slots for inner in INSIDE.get(slot, ()))
    for key, child in node.items():
        if isinstance(child, dict | list | tuple):
            _check(child, f"{where}.{key}", slots, depth + 1)


def _check_options(target, node, where):
    taken = parameters(target)
    for key, value in node.items():
        if not isinstance(key, str) or (key.startswith("_") and key not in MARKS):
            known = f"{', '.join(taken)}, {', '.join(MARKS)}"
            raise ConfigError(f"{where}: {short(key)} is no option; allowed: {known}")
        if key in MARKS or any(p.kind is p.VAR_KEYWORD for p in taken.values()):
            continue
        if key not in taken:
            raise ConfigError(
                f"{where}.{key}={short(value)}: {node['_target_']} has no option '{key}'; it takes "
                f"{', '.join(taken)}.{nearest(key, taken)}"
            )
    if not isinstance(node.get("_partial_", False), bool):
        raise ConfigError(f"{where}._partial_={short(node['_partial_'])}: allowed: true, false")


def _called(node, where, slots, live):
    function = resolve(node["_target_"], slots, where)
    inner = tuple(each for slot in slots for each in INSIDE.get(slot, ()))
    options = {key: _value(child, f"{where}.{key}", inner) for key, child in node.items() if key not in MARKS}
    if node.get("_partial_"):
        return partial(function, **options)
    try:
        return function(**{**options, **live})
    except ConfigError:
        raise
    except (ValueError, TypeError, OverflowError, FileNotFoundError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _value(node, where, slots):
    """A value of a config as an argument: what is a call is called, lists and dicts are fresh."""
    if isinstance(node, dict):
        if "_target_" in node:
            return _called(node, where, slots, {})
        return {key: _value(child, f"{where}.{key}", slots) for key, child in node.items()}
    if isinstance(node, list | tuple):
        return [_value(child, f"{where}[{number}]", slots) for number, child in enumerate(node)]
    return node
