"""What a record says, in words: sentences with the number that they rest on and the place where it is seen.

Each module of this package is one kind of finding: `find(run)` for one run or `find_among(runs)` for several,
and PAGES, the pages on which it helps. A new module is found by its being there.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["Finding", "findings"]


class Finding(NamedTuple):
    """text: a sentence. number: what it rests on, in the units that the sentence says. link: where that is
    seen, {"page": ..., "run": a name or several, "k": an iteration, ...}, the keys of an address of the app.
    weight: in [0, 1], how much it says; of many the heaviest are shown."""

    text: str
    number: float
    link: dict[str, Any]
    weight: float


def findings(runs: Sequence, page: str | None = None) -> list[Finding]:
    """What the records of `runs` (of `gdlab.open_run`) say, the heaviest first.

    page: only what helps on that page of the app ("descent", "ensemble", ...); None: everything. What a run
    has not recorded is not spoken of. Raises StoreError where a record cannot be read.
    """
    found: list[Finding] = []
    for module in _modules():
        if page is not None and page not in module.PAGES:
            continue
        if hasattr(module, "find"):
            for run in runs:
                found += module.find(run)
        elif len(runs) > 1:
            found += module.find_among(runs)
    return sorted(found, key=lambda finding: -finding.weight)


@cache
def _modules() -> tuple[ModuleType, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in names)
