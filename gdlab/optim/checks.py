"""Refuses an option outside its range before anything is compiled."""

import difflib
import inspect
import numbers


def require(what, value, allowed, holds):
    """Raise ValueError naming `what`, its value and what is `allowed` unless `holds(value)`.

    Values that are not plain numbers (arrays traced by JAX) cannot be looked at and pass.
    """
    if isinstance(value, bool | str) or value is None or callable(value):
        raise ValueError(f"{what}={value!r} is not a number; allowed: {allowed}")
    if isinstance(value, numbers.Real) and not holds(value):
        raise ValueError(f"{what}={value:g} is out of range; allowed: {allowed}")


def refuse_others(name, function, others, meant):
    """Raise TypeError where a call has `others` than the options of `function`, with the one that was meant:
    that of `meant`, {other: option}, or the nearest."""
    allowed = [
        key for key, one in inspect.signature(function).parameters.items() if one.kind == one.KEYWORD_ONLY
    ]
    for other in others:
        near = [meant[other]] if other in meant else difflib.get_close_matches(other, allowed, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise TypeError(f"{name} has no option '{other}'; allowed: {', '.join(allowed)}.{hint}")
