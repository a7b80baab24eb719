"""Refuses an option outside its range before anything is compiled."""

import numbers


def require(what, value, allowed, holds):
    """Raise ValueError naming `what`, its value and what is `allowed` unless `holds(value)`.

    Values that are not plain numbers (arrays traced by JAX) cannot be looked at and pass.
    """
    if isinstance(value, bool | str) or value is None or callable(value):
        raise ValueError(f"{what}={value!r} is not a number; allowed: {allowed}")
    if isinstance(value, numbers.Real) and not holds(value):
        raise ValueError(f"{what}={value:g} is out of range; allowed: {allowed}")
