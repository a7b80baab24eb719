"""Amounts of bytes as people write them."""

import re
from typing import Any

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_TEXT = re.compile(r"\s*(\d+(?:\.\d*)?)\s*([A-Za-z]*)\s*")


def in_bytes(amount: Any, name: str = "budget") -> int:
    """Bytes of "2 GB", "500 MiB" or of a number of bytes; ValueError for anything else."""
    if isinstance(amount, (int, float)) and not isinstance(amount, bool) and 0 <= amount < 1 << 62:
        return int(amount)
    found = _TEXT.fullmatch(amount) if isinstance(amount, str) else None
    unit = _UNITS.get((found[2] or "B").upper()) if found else None
    if found is None or unit is None:
        raise ValueError(f"{name}={amount!r:.80}: bytes are expected, as a number or as in '2 GB', '500 MiB'")
    return int(float(found[1]) * unit)


def said(count: int) -> str:
    """Bytes for people: "2 GB", "1.3 MB"."""
    for unit in ("TB", "GB", "MB", "KB"):
        if count >= _UNITS[unit]:
            return f"{count / _UNITS[unit]:.3g} {unit}"
    return f"{count:,} bytes"
